"""Weights and their manifest: reading, verifying, and the int8 storage of large kernels."""

import hashlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field, ValidationError
from safetensors import SafetensorError
from safetensors.numpy import load

from models.predictor import Card, Input, Licence

SHIPPED = Path(__file__).parent / "weights"
SCALE = ".int8_scale"
BESIDE = "@"
"""Between name and version in the names of files that are served beside `NAME.json`, to those who ask for them."""

Kind = Literal["instances", "classifier", "heads", "boxes"]
"""What weights give, and so which predictor serves them."""

Fit = Literal["stretch", "letterbox"]
"""How a photo comes to the input's size: `stretch` does not keep its shape, `letterbox` does (`Photo.letterboxed`)."""


class WeightsError(Exception):
    """Weights that cannot be served; the text names the file and what was expected."""


class LabelRow(BaseModel):
    """What a label of a vehicle model means, null where it is not known."""

    label: str
    make: str | None = None
    model: str | None = None
    year: int | None = None


class Training(BaseModel):
    """How the weights came about."""

    recipe: str
    data: list[str]
    start: str
    epochs: float
    steps: int
    hours: float
    machine: str
    notes: str = ""


class Int8(BaseModel):
    """What the int8 graphs beside the weights come to: `figures` as the manifest's own, measured by `figures_command`
    in `backend`; ranges are from `photos` training photos, drawn by `seed`."""

    backend: str
    photos: int
    seed: int
    figures: dict[str, Any]
    figures_command: str


class Manifest(BaseModel):
    """`NAME.json` beside `NAME.safetensors`: all there is to know of one set of weights.

    `silent` are labels that the network gives beyond those of `label`, whose numbers follow theirs, and that nobody is
    told: they claim what would else be called by one of those. `channels`, `mean` and `std` (of values 0-1) are what
    the network makes of the RGB photo by itself.
    `thresholds` and `temperature` are per label or per head; `presence` are the knots of the map from a photo's
    strongest detection (`strength` in predictors/instances.py) to the probability that there is anything to detect;
    `figures` were measured on `val` with these very weights, after rounding, by `figures_command`; `int8` is what int8
    graphs come to, where there are any; `sha256` is that of the safetensors file.
    """

    model_config = ConfigDict(extra="forbid")

    format: Literal[1] = 1
    name: str
    kind: Kind
    summary: str
    version: str
    architecture: str
    network: dict[str, Any] = Field(default_factory=dict)
    labels: dict[str, list[str]]
    silent: list[str] = Field(default_factory=list)
    table: list[LabelRow] = Field(default_factory=list)
    input: Input
    interpolation: Literal["bilinear"] = "bilinear"
    fit: Fit = "stretch"
    channels: Literal["rgb", "bgr"] = "rgb"
    mean: tuple[float, float, float] = (0.485, 0.456, 0.406)
    std: tuple[float, float, float] = (0.229, 0.224, 0.225)
    thresholds: dict[str, float] = Field(default_factory=dict)
    temperature: dict[str, float] = Field(default_factory=dict)
    presence: list[tuple[float, float]] = Field(default_factory=list)
    training: Training
    figures: dict[str, float]
    figures_command: str
    int8: Int8 | None = None
    licence: Licence
    sha256: str

    @property
    def classes(self) -> dict[str, list[str]]:
        """All that the network tells apart: the labels, the silent ones too."""
        return {**self.labels, "label": self.labels["label"] + self.silent} if self.silent else self.labels

    def card(self, backend: str, device: str) -> Card:
        """What `GET /v1/models` tells of these weights."""
        return Card(
            version=self.version,
            architecture=self.architecture,
            labels=self.labels,
            thresholds=self.thresholds,
            input=self.input,
            figures=self.int8.figures if self.int8 and self.int8.backend == backend else self.figures,
            licence=self.licence,
            weights=f"sha256:{self.sha256[:12]}",
            backend=backend,
            device=device,
        )


class Weights:
    """A manifest and the tensors beside it; the tensors are read and verified when asked for."""

    def __init__(self, manifest: Manifest, path: Path) -> None:
        self.manifest, self.path = manifest, path

    def verify(self) -> bytes:
        """The file's bytes; `WeightsError` where it cannot be read or is not the manifest's."""
        try:
            data = self.path.read_bytes()
        except OSError as error:
            raise WeightsError(
                f"{self.path}: cannot be read ({error.strerror}); the manifest beside it expects it"
            ) from error
        found = hashlib.sha256(data).hexdigest()
        if found != self.manifest.sha256:
            raise WeightsError(
                f"{self.path}: sha256 is {found[:12]}…, the manifest expects {self.manifest.sha256[:12]}…"
            )
        return data

    def tensors(self) -> dict[str, NDArray[np.generic]]:
        """The network's state, int8 kernels expanded to fp32; `WeightsError` where the file is not the manifest's."""
        data = self.verify()
        try:
            return expand(load(data))
        except SafetensorError as error:
            raise WeightsError(f"{self.path}: not a safetensors file ({error})") from error


def find(name: str, weights_dir: Path | None = None, version: str | None = None) -> Weights:
    """The weights of that name; `weights_dir` (the setting `CARLENS_WEIGHTS_DIR`) is searched before the shipped ones.
    With a `version`, those of the files `NAME@VERSION` in `weights_dir`.

    Raises `WeightsError` where there are none, or where the manifest is broken or another's.
    """
    folders = (weights_dir, SHIPPED) if weights_dir else (SHIPPED,)
    stem = name if version is None else f"{name}{BESIDE}{version}"
    for folder in folders:
        path = folder / f"{stem}.json"
        if path.exists():
            return _open(path, name, version)
    raise WeightsError(
        f"no weights for {name!r}: expected {stem}.json and {stem}.safetensors in {' or '.join(map(str, folders))}"
    )


def _open(path: Path, name: str, version: str | None) -> Weights:
    try:
        manifest = Manifest.model_validate_json(path.read_bytes())
    except OSError as error:
        raise WeightsError(f"{path}: cannot be read ({error.strerror})") from error
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"]) or "the file"
        raise WeightsError(f"{path}: {where}: {first['msg']}") from error
    if manifest.name != name:
        raise WeightsError(f"{path}: the manifest is of {manifest.name!r}, expected {name!r}")
    if version is not None and manifest.version != version:
        raise WeightsError(f"{path}: the manifest's version is {manifest.version!r}, the file's name says {version!r}")
    tensors = path.with_name(f"{path.stem}.safetensors")
    if not tensors.exists():
        raise WeightsError(f"{tensors}: missing; the manifest beside it expects it")
    return Weights(manifest, tensors)


def shrink(state: Mapping[str, NDArray[np.generic]], smallest: int = 16384) -> dict[str, NDArray[np.generic]]:
    """State to store: kernels (two axes or more, `smallest` values or more) as int8 with one symmetric scale per output
    channel beside them; other floats as they are."""
    stored: dict[str, NDArray[np.generic]] = {}
    for name, value in state.items():
        if value.ndim < 2 or value.size < smallest or value.dtype.kind != "f":
            stored[name] = np.asarray(value, order="C")  # `ascontiguousarray` would give a number an axis
            continue
        peak = np.abs(value.reshape(len(value), -1).astype(np.float32)).max(axis=1)
        scale = np.where(peak > 0, peak / 127, 1).astype(np.float32)
        grid = value.astype(np.float32) / scale.reshape(-1, *[1] * (value.ndim - 1))
        stored[name] = np.rint(grid).clip(-127, 127).astype(np.int8)
        stored[name + SCALE] = scale
    return stored


def expand(stored: Mapping[str, NDArray[np.generic]]) -> dict[str, NDArray[np.generic]]:
    """What `shrink` stored, as fp32 where it is floating point."""
    state: dict[str, NDArray[np.generic]] = {}
    for name, value in stored.items():
        if name.endswith(SCALE):
            continue
        scale = stored.get(name + SCALE)
        if scale is not None:
            state[name] = value.astype(np.float32) * scale.astype(np.float32).reshape(-1, *[1] * (value.ndim - 1))
        else:
            state[name] = value.astype(np.float32) if value.dtype.kind == "f" else value
    return state
