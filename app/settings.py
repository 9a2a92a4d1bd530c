"""Every setting of the gateway once: its `CARLENS_…` environment variable, default, unit and reason."""

import ipaddress
import re
from pathlib import Path
from typing import Annotated, Literal

from limits import parse_many
from pydantic import Field, ValidationInfo, field_validator
from pydantic_settings import BaseSettings, NoDecode, PydanticBaseSettingsSource, SettingsConfigDict

from app import sources
from app.cores import cores
from app.replicas import Scale, each, scale, share
from models.backends import AUTO, NAMES

MIB = 1024 * 1024

Names = Annotated[list[str], NoDecode]
"""Separated by commas in the environment."""

LogLevel = Literal["critical", "error", "warning", "info", "debug"]
LogFormat = Literal["json", "text"]
EngineName = Literal["process", "ray"]


class Settings(BaseSettings):
    """Read from the environment, `CARLENS_PORT=9000` and so on, then from `.env`, then from a TOML file, `port = 9000`;
    an argument wins over all of them. A value out of its bounds is refused at start with the name of the setting, and
    so is a name that is none."""

    model_config = SettingsConfigDict(
        env_prefix="CARLENS_",
        env_file=sources.DOTENV,
        dotenv_filtering="match_prefix",
        env_ignore_empty=True,
        frozen=True,
        extra="forbid",
    )

    config: Path | None = Field(
        default=None,
        description="TOML file of settings by their names in small letters, as `port = 9000`; `carlens.toml` in the "
        "working directory is read unasked. Set in the environment or in `.env`.",
    )

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
    engine: EngineName = Field(
        default="process",
        description="Where predictors run: `process`, in this one, or `ray`, as replicas that Ray Serve keeps on a "
        "cluster; that needs `carlens[ray]`.",
    )
    ray_name: str = Field(
        default="carlens",
        pattern=r"^[a-z][a-z0-9-]{0,40}$",
        description="With `ray`: what this service's applications in the cluster are called. Each service that shares "
        "a cluster needs a name of its own; one that starts clears away what is left under its name.",
    )
    replicas: str = Field(
        default="1",
        description="With `ray`: replicas of each predictor, as `2`, or `1-4` to scale with the load; for single "
        "predictors `1,damage=2-8`.",
    )
    replica_cpus: str = Field(
        default="1",
        description="With `ray`: cores that a replica takes of its node, and computes with (at least one thread); for "
        "single predictors `1,damage=4`.",
    )
    replica_gpus: str = Field(
        default="0",
        description="With `ray`: GPUs that a replica takes, as `1`, or `0.25` where four share one; for single "
        "predictors `0,damage=1`. Those without one run on the CPU, whatever `device` says.",
    )
    scale_up_s: float = Field(
        default=10.0,
        ge=1,
        le=3600,
        description="With `ray`: seconds of more load than the replicas should have before another one starts.",
    )
    scale_down_s: float = Field(
        default=300.0,
        ge=1,
        le=86400,
        description="With `ray`: seconds of less load before a replica ends; to start one takes long.",
    )
    backend: str = Field(
        default=AUTO,
        description="What runs the networks: `auto` (torch on a GPU; on the CPU OpenVINO, else ONNX Runtime, where "
        "there are graphs beside the weights, else torch), `openvino` (bf16 where the processor has it), "
        "`openvino-fp32`, `openvino-int8` (quicker, a little less right; `openvino` where the weights have no int8 "
        "graph), `onnxruntime` or `torch`; for single predictors `damage=torch,parts=onnxruntime`.",
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
    lazy: Annotated[list[str] | None, NoDecode] = Field(
        default=None,
        description="Names of predictors that are loaded when they are asked first, separated by commas: no memory for "
        "what is rarely asked. Whoever asks first waits for that, within the deadline; readiness does not.",
    )
    stuck_s: float = Field(
        default=30.0,
        gt=0,
        le=3600,
        description="Seconds that a photo may wait for the device, or a batch run on it, before the service calls "
        "itself not ready: more than the slowest batch takes, less than balancers should go on sending to a device "
        "that hangs. While a batch runs for longer, photos are refused at once.",
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
        validate_default=True,
        description="Milliseconds from the first byte to the answer where a request has no `X-Deadline-Ms`.",
    )
    max_claim_bytes: int = Field(
        default=200 * MIB,
        ge=1024,
        le=8192 * MIB,
        description="Bytes of all photos of one claim, as its form has them; more get 413. They are never held all at "
        "once: at most five photos of a claim are, each of `max_body_bytes` at most.",
    )
    max_claims: int = Field(
        default=4,
        ge=1,
        le=10_000,
        description="Claims worked on at a time; more get 503 before anything of them is read. Four hold at most "
        "640 MiB of photos, and a single photo waits behind sixteen of theirs.",
    )
    max_claim_deadline_ms: int = Field(
        default=300_000, ge=50, le=3_600_000, description="Largest `X-Deadline-Ms` of a claim, milliseconds."
    )
    default_claim_deadline_ms: int = Field(
        default=120_000,
        ge=50,
        le=3_600_000,
        validate_default=True,
        description="Milliseconds from the first byte to the answer where a claim has no `X-Deadline-Ms`. Photos that "
        "are not done by then are told so, the others are answered.",
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
    grace_s: float = Field(
        default=20.0, ge=0, le=3600, description="Seconds at shutdown to finish what was taken; the rest gets 503."
    )
    keys_file: Path | None = Field(
        default=None,
        description="File of API keys, which `carlens key` writes; without it no key is asked for. A change is taken "
        "within two seconds, without a restart.",
    )
    rate_per_key: str | None = Field(
        default=None,
        description="Requests of one key, as `600/minute` or `20/second`, so that one client leaves room for others; "
        "unlimited where it is not set.",
    )
    rate_per_address: str | None = Field(
        default=None,
        description="Requests from one address (of IPv6: from one network of 64 bits), likewise, with and without key.",
    )
    rate_storage: str = Field(
        default="memory://",
        description="Where requests are counted: `memory://` of each worker by itself, or what several workers and "
        "machines share, as `redis://host:6379`.",
    )
    trusted_proxies: Names = Field(
        default=[],
        description="Addresses or networks of the proxies before the service, separated by commas: from these alone "
        "`X-Forwarded-For` is believed. Anybody can write that header.",
    )
    cors_origins: Names = Field(
        default=[],
        description="Web sites whose pages may ask from a browser, as `https://shop.example`, separated by commas, or "
        "`*` for all. None by default: a page from elsewhere cannot read what is answered.",
    )
    log_level: LogLevel = Field(default="info", description="Least severe messages that are logged.")
    drain_delay_s: float = Field(
        default=0.0,
        ge=0,
        le=3600,
        description="Seconds at shutdown between `/health/ready` turning 503 and the end of taking photos, so that a "
        "balancer that asks it every few seconds sends no more; the grace time follows.",
    )
    log_format: LogFormat = Field(
        default="json",
        description="Form of a log line: `json`, an object, or `text`, for people.",
    )
    access_log: bool = Field(default=True, description="Whether each request is logged, one line when it is answered.")
    traces: bool = Field(
        default=False,
        description="Whether each request is traced, by OpenTelemetry and to where the `OTEL_` variables say; needs "
        "`carlens[traces]`.",
    )

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        return sources.ordered(settings_cls, init_settings, dotenv_settings)

    @field_validator("predictors", "lazy", "trusted_proxies", "cors_origins", mode="before")
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

    @field_validator("replicas")
    @classmethod
    def _counts(cls, value: str) -> str:
        each(value, scale)
        return value

    @field_validator("replica_cpus", "replica_gpus")
    @classmethod
    def _shares(cls, value: str) -> str:
        each(value, share)
        return value

    @field_validator("log_level", "log_format", "device", "backend", "engine", mode="before")
    @classmethod
    def _lower(cls, value: object) -> object:
        return value.lower() if isinstance(value, str) else value

    @field_validator("rate_per_key", "rate_per_address")
    @classmethod
    def _one_rate(cls, value: str | None) -> str | None:
        try:
            rates = None if value is None else parse_many(value)
        except ValueError:
            rates = []
        if rates is not None and (len(rates) != 1 or rates[0].amount < 1):
            raise ValueError("not one rate: a number and a time, as 600/minute, 20/second or 1000 per 2 hours")
        return value

    @field_validator("trusted_proxies")
    @classmethod
    def _networks(cls, value: list[str]) -> list[str]:
        for one in value:
            ipaddress.ip_network(one)  # the server takes what is none for a name, and never trusts it
        return value

    @field_validator("cors_origins")
    @classmethod
    def _origins(cls, value: list[str]) -> list[str]:
        for one in value:
            if one != "*" and not re.fullmatch(r"https?://[^/?#@\s*]+", one):
                raise ValueError(f"{one!r} is no origin: https://host, or https://host:port, and nothing after it")
        return value

    @field_validator("config", "weights_dir", "cache_dir", "keys_file")
    @classmethod
    def _home(cls, value: Path | None) -> Path | None:
        return None if value is None else value.expanduser()

    @field_validator("default_deadline_ms", "default_claim_deadline_ms")
    @classmethod
    def _deadlines_fit(cls, value: int, known: ValidationInfo) -> int:
        name = str(known.field_name)
        largest = known.data.get(limit := name.replace("default", "max"), value)
        if value > largest:
            raise ValueError(f"{name} ({value}) is over {limit} ({largest}): lower it")
        return value

    @property
    def backends(self) -> dict[str, str]:
        """`backend` by predictor; `""` is for all that are not named."""
        return _backends(self.backend)

    @property
    def scales(self) -> dict[str, Scale]:
        """`replicas` by predictor."""
        return each(self.replicas, scale)

    @property
    def cpus_of_replicas(self) -> dict[str, float]:
        return each(self.replica_cpus, share)

    @property
    def gpus_of_replicas(self) -> dict[str, float]:
        return each(self.replica_gpus, share)

    @property
    def of_replicas(self) -> dict[str, list[str]]:
        """The predictors that each setting of replicas names."""
        return {
            "replicas": list(self.scales),
            "replica_cpus": list(self.cpus_of_replicas),
            "replica_gpus": list(self.gpus_of_replicas),
        }

    @property
    def decoders(self) -> int:
        """Photos decoded at a time: `decode_threads`, or the cores this process may use."""
        if self.decode_threads:
            return self.decode_threads
        return cores()


def _backends(text: str) -> dict[str, str]:
    pairs = [part.rpartition("=") for part in text.split(",") if part.strip()]
    return {name.strip(): backend.strip() for name, _, backend in pairs}
