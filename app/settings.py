"""Every setting of the gateway once: its `CARLENS_…` environment variable, default, unit and reason."""

import os
from pathlib import Path
from typing import Annotated, Literal, Self

from pydantic import Field, field_validator, model_validator
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict

from models.backends import AUTO, NAMES

MIB = 1024 * 1024

LogLevel = Literal["critical", "error", "warning", "info", "debug"]


class Settings(BaseSettings):
    """Read from the environment, `CARLENS_PORT=9000` and so on; an argument wins over the environment. A value out
    of its bounds is refused at start with the name of the setting."""

    model_config = SettingsConfigDict(env_prefix="CARLENS_", env_ignore_empty=True, frozen=True, extra="forbid")

    host: str = Field(
        default="127.0.0.1",
        description="Address to listen on. Loopback by default: nothing is opened to the network unasked.",
    )
    port: int = Field(default=8000, ge=0, le=65535, description="TCP port to listen on; 0 takes any free one.")
    device: str = Field(
        default="auto",
        pattern=r"^(auto|cpu|cuda(:\d{1,3})?)$",
        description="Where predictors run: `auto` (a GPU where there is one), `cpu`, `cuda` or `cuda:1`.",
    )
    workers: int = Field(
        default=0,
        ge=0,
        le=256,
        description="Processes that serve at one port, each with a device, a batcher and weights in memory of its own; "
        "0 means one for each GPU, else one. On the CPU they share out the cores. All limits are for each of them.",
    )
    backend: str = Field(
        default=AUTO,
        description="What runs the networks: `auto` (torch on a GPU; on the CPU OpenVINO, else ONNX Runtime, where "
        "there are graphs beside the weights, else torch), `openvino`, `onnxruntime` or `torch`; for single predictors "
        "`damage=torch,parts=onnxruntime`.",
    )
    weights_dir: Path | None = Field(
        default=None,
        description="Folder searched for weights before the shipped one: the same name replaces, a new name adds.",
    )
    cache_dir: Path = Field(
        default=Path("~/.cache/carlens"),
        validate_default=True,
        description="Folder for converted graphs, so that a second start is quick.",
    )
    predictors: Annotated[list[str] | None, NoDecode] = Field(
        default=None,
        description="Names of the predictors to load, separated by commas; all that are found where it is not set. "
        "Each one loaded takes memory and device time. One that finds regions for another is loaded with it.",
    )
    max_body_bytes: int = Field(
        default=32 * MIB,
        ge=1024,
        le=1024 * MIB,
        description="Bytes of one photo. A photo is held in memory whole while it is read; larger ones get 413.",
    )
    max_pixels: int = Field(
        default=60_000_000,
        ge=1,
        description="Pixels of one photo, from its header, before anything is allocated. 60 megapixels decoded are "
        "172 MiB; more than phones take.",
    )
    max_side: int = Field(
        default=16_384, ge=1, description="Pixels on the longer side of one photo, from its header, like `max_pixels`."
    )
    max_decoded_pixels: int = Field(
        default=240_000_000,
        ge=1,
        description="Pixels held decoded at a time, over all requests, so that memory stays bounded (240 megapixels "
        "are 687 MiB). Further photos wait before decode, within their deadline.",
    )
    decode_threads: int = Field(
        default=0, ge=0, le=256, description="Photos decoded at a time; 0 means as many as there are cores to use."
    )
    queue_limit: int = Field(
        default=64,
        ge=1,
        le=100_000,
        description="Items waiting per predictor; more are refused with 503, because a long queue answers too late.",
    )
    max_deadline_ms: int = Field(
        default=60_000, ge=50, le=3_600_000, description="Largest `X-Deadline-Ms` a request may ask for, milliseconds."
    )
    default_deadline_ms: int = Field(
        default=10_000,
        ge=50,
        le=3_600_000,
        description="Milliseconds from the first byte to the answer where a request has no `X-Deadline-Ms`.",
    )
    body_timeout_s: float = Field(
        default=20.0,
        gt=0,
        le=3600,
        description="Seconds without a byte after which a request's body counts as stalled and is refused. The whole "
        "body is under the request's deadline.",
    )
    header_timeout_s: float = Field(
        default=20.0,
        gt=0,
        le=3600,
        description="Seconds for the headers of a request, from the connection or, on one that was kept, from the "
        "first byte; then the connection is closed. Nobody shall hold connections for nothing.",
    )
    answer_timeout_s: float = Field(
        default=60.0,
        gt=0,
        le=3600,
        description="Seconds without a byte taken of an answer after which its connection is closed.",
    )
    stuck_s: float = Field(
        default=30.0,
        gt=0,
        le=3600,
        description="Seconds that one batch may take on the device before it counts as stuck. Until the device is back "
        "the service is not ready, and refuses photos at once.",
    )
    grace_s: float = Field(
        default=20.0, ge=0, le=3600, description="Seconds at shutdown to finish what was taken; the rest gets 503."
    )
    log_level: LogLevel = Field(default="info", description="Least severe messages that are logged.")

    @field_validator("predictors", mode="before")
    @classmethod
    def _split_names(cls, value: object) -> object:
        if isinstance(value, str):
            return [name.strip() for name in value.split(",") if name.strip()]
        return value

    @field_validator("backend")
    @classmethod
    def _known(cls, value: str) -> str:
        if unknown := [name for name in _backends(value).values() if name not in (AUTO, *NAMES)]:
            raise ValueError(f"unknown backend {', '.join(unknown)}: one of {', '.join((AUTO, *NAMES))}")
        return value

    @field_validator("log_level", "device", "backend", mode="before")
    @classmethod
    def _lower(cls, value: object) -> object:
        return value.lower() if isinstance(value, str) else value

    @field_validator("weights_dir", "cache_dir")
    @classmethod
    def _home(cls, value: Path | None) -> Path | None:
        return None if value is None else value.expanduser()

    @model_validator(mode="after")
    def _deadlines_fit(self) -> Self:
        if self.default_deadline_ms > self.max_deadline_ms:
            raise ValueError(
                f"default_deadline_ms ({self.default_deadline_ms}) is over max_deadline_ms ({self.max_deadline_ms})"
            )
        return self

    @property
    def backends(self) -> dict[str, str]:
        """`backend` by predictor; `""` is for all that are not named."""
        return _backends(self.backend)

    @property
    def decoders(self) -> int:
        """Photos decoded at a time: `decode_threads`, or the cores this process may use."""
        if self.decode_threads:
            return self.decode_threads
        return cores()


def cores() -> int:
    """The cores that this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def _backends(text: str) -> dict[str, str]:
    pairs = [part.rpartition("=") for part in text.split(",") if part.strip()]
    return {name.strip(): backend.strip() for name, _, backend in pairs}
