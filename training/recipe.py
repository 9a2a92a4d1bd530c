"""A recipe: one TOML file that says what is trained on what, and how."""

import tomllib
from pathlib import Path
from typing import Annotated, Any, Literal

import numpy as np
from pydantic import BaseModel, ConfigDict, Field, PrivateAttr, field_validator, model_validator

from training.schedules import OneCycle, Schedule, at_progress
from training.stages import Stage

FOLDER = Path(__file__).parent / "recipes"


class Recipe(BaseModel):
    """Every key a recipe file may have; `task` and `data` hold what only one kind of task reads."""

    model_config = ConfigDict(extra="forbid")

    name: str
    kind: Literal["classifier", "heads", "instances"]
    summary: str
    architecture: str
    start: str = Field(description="File in the data folder with the starting weights, torchvision's key names")
    sizes: list[list[float]] = Field(description="[[progress, pixels a side], …]: the input size from that progress on")
    scales: list[Annotated[float, Field(gt=0)]] = Field(
        default_factory=list, description="Factors on that size, one drawn for each step: multi-scale training"
    )
    epochs: float
    batch: int
    rate: float = Field(description="Peak learning rate of what is new")
    trunk_rate: float = Field(description="Factor on it for what was pretrained")
    weight_decay: float = 0.05
    clip: float = Field(default=5.0, description="Largest gradient norm")
    smoothing: float = 0.0
    average: float = Field(default=0.0, description="Decay of the weights' moving average; 0 for none")
    blend: float = Field(
        default=0.0,
        ge=0,
        lt=1,
        description="Share of the start's weights in what is stored (WiSE-FT, Wortsman et al. 2022, arXiv:2109.01903): "
        "for a start `weights:NAME` of the same labels",
    )
    seed: int = 0
    accumulate: int = Field(default=1, ge=1, description="Parts of a batch computed one after the other")
    evaluate_every: float = Field(default=0.0, ge=0, description="Epochs between figures on `val`; 0: at the end alone")
    keep_best: str = Field(default="", description="Figure on `val` whose best weights are kept; else the last are")
    schedule: Schedule = Field(default_factory=OneCycle)
    stages: list[Stage] = Field(default_factory=list)
    network: dict[str, Any] = Field(default_factory=dict)
    task: dict[str, Any] = Field(default_factory=dict)
    data: dict[str, str] = Field(default_factory=dict, description="Files of the data folder, by role")
    terms: dict[str, str] = Field(default_factory=dict, description="licence of the weights, and why")
    _file: str = PrivateAttr(default="")

    @property
    def file(self) -> str:
        """What the recipe's file is called, without its ending: weights of one name may come of several recipes."""
        return self._file or self.name

    def __eq__(self, other: object) -> bool:
        """By what they say, wherever they were read."""
        return isinstance(other, Recipe) and self.model_dump() == other.model_dump()

    __hash__ = None  # type: ignore[assignment]

    @field_validator("schedule", mode="before")
    @classmethod
    def _one_cycle_without_name(cls, value: Any) -> Any:
        return {"name": "one_cycle", **value} if isinstance(value, dict) else value

    @model_validator(mode="after")
    def _fits(self) -> "Recipe":
        if self.batch % self.accumulate:
            raise ValueError(f"accumulate: a batch of {self.batch} has no {self.accumulate} equal parts")
        if self.blend and not self.start.startswith("weights:"):
            raise ValueError("blend: mixes in the weights that the run went on from, so start must be weights:NAME")
        if self.keep_best and not self.evaluate_every:
            raise ValueError("keep_best: set evaluate_every, the epochs between measurements, too")
        return self

    def side(self, progress: float) -> int:
        """Input pixels a side at `progress` in [0, 1]."""
        return int(at_progress(self.sizes, progress))

    def drawn_side(self, step: int, steps: int) -> int:
        """Input pixels a side of one step: that of its progress, times one of `scales`, a multiple of 32."""
        side = self.side(min(1.0, step / steps))
        if not self.scales:
            return side
        factor = np.random.default_rng((self.seed, 1, step)).choice(self.scales)
        return max(32, round(side * float(factor) / 32) * 32)


def read(name: str, changes: list[str] | None = None) -> Recipe:
    """The recipe of that name (or path), with `key=value` or `key.key=value` changes; values are TOML.

    Raises `ValueError` with the known names, or with the key that is wrong.
    """
    table = _table(name)
    for change in changes or []:
        key, found, text = change.partition("=")
        if not found:
            raise ValueError(f"--set {change!r}: write key=value")
        try:
            value = tomllib.loads(f"value = {text}")["value"]
        except tomllib.TOMLDecodeError:
            value = text
        *parents, last = key.strip().split(".")
        place = table
        for parent in parents:
            place = place.setdefault(parent, {})
            if not isinstance(place, dict):
                raise ValueError(f"--set {change!r}: {parent} is a value, it has no keys")
        place[last] = value
    recipe = Recipe.model_validate(table)
    recipe._file = Path(name).stem
    return recipe


def _table(name: str) -> dict[str, Any]:
    """What the file says; where it has a `base`, that recipe with its own keys put over it, table by table."""
    path = Path(name) if name.endswith(".toml") else FOLDER / f"{name}.toml"
    if not path.exists():
        known = ", ".join(sorted(file.stem for file in FOLDER.glob("*.toml")))
        raise ValueError(f"no recipe {name!r}: known are {known}, or give a path that ends in .toml")
    try:
        table = tomllib.loads(path.read_text())
    except tomllib.TOMLDecodeError as error:
        raise ValueError(f"{path}: not TOML ({error})") from None
    base = table.pop("base", None)
    if base is None:
        return table
    if base == name:
        raise ValueError(f"{path}: base is the recipe itself")
    return _over(_table(base), table)


def _over(base: dict[str, Any], own: dict[str, Any]) -> dict[str, Any]:
    found = dict(base)
    for key, value in own.items():
        both = isinstance(value, dict) and isinstance(found.get(key), dict)
        found[key] = _over(found[key], value) if both else value
    return found
