"""The contract of a predictor: its specification, and the four steps a photo takes through it."""

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Annotated, Generic, Literal, TypeVar

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field, StringConstraints
from typing_extensions import TypeAliasType

from models.drawing import Color, Drawn, palette
from models.masks import Legend, Mask
from models.photo import Header, Photo, Region

Arrays = Mapping[str, NDArray[np.generic]]
"""Named arrays. One item has fixed shapes; a batch of them has a leading axis, the same for every name."""

MOST_REGIONS = 16
"""Regions of one photo that others read; a crowd of small ones would keep the device from everybody else."""

State = TypeAliasType("State", Literal["loading", "ready", "failed", "unloaded"])
VehicleChoice = TypeAliasType("VehicleChoice", Literal["auto", "whole"])
"""Named, so that they have one name in the OpenAPI document, and in the clients made from it."""


class Options(BaseModel):
    """Base of every predictor's options: query parameters, typed, bounded and described; an unknown one is an error."""

    model_config = ConfigDict(extra="forbid", frozen=True)


BoxText = Annotated[str, StringConstraints(strip_whitespace=True, max_length=200)]


class RegionOptions(Options):
    """Options of a predictor that may read a part of the photo."""

    box: BoxText | None = Field(
        default=None,
        description="The vehicle's region in a wide photo, `x1,y1,x2,y2` in the photo's own pixels after EXIF "
        "orientation. It is cut to the photo. Without it the whole photo is read.",
        examples=["120,700,2900,2600"],
    )


class VehicleOptions(RegionOptions):
    """Options of a predictor that reads one vehicle, and has it found in the photo."""

    box: BoxText | None = Field(
        default=None,
        description="The vehicle's region, `x1,y1,x2,y2` in the photo's own pixels after EXIF orientation. It is cut "
        "to the photo, and wins over `vehicle`.",
        examples=["120,700,2900,2600"],
    )
    vehicle: VehicleChoice = Field(
        default="auto",
        description="`auto`: the photo's main vehicle is found first, and what is around it is left out, unless it "
        "takes half of the photo. `whole`: all of the photo is read, which is quicker, and right where it is cut to "
        "the vehicle already.",
    )


class Input(BaseModel):
    """The size a predictor reads, in pixels."""

    width: int
    height: int


class Licence(BaseModel):
    """What the weights may be used for, and why no more."""

    weights: str
    why: str


class Card(BaseModel):
    """What `GET /v1/models` tells of a predictor that the predictor knows itself."""

    version: str = "0.0.0"
    architecture: str = "none"
    labels: dict[str, list[str]] = Field(default_factory=dict)
    thresholds: dict[str, float] = Field(default_factory=dict)
    input: Input = Input(width=0, height=0)
    figures: dict[str, float] = Field(default_factory=dict)
    licence: Licence = Licence(weights="not stated", why="this predictor has no manifest")
    weights: str = "none"
    backend: str = "numpy"
    device: str = "cpu"


@dataclass(frozen=True, slots=True)
class Tensor:
    """Shape (without the batch axis) and dtype of one array that `prepare` makes."""

    shape: tuple[int, ...]
    dtype: str = "uint8"


@dataclass(frozen=True, slots=True)
class Specification:
    """What the gateway must know of a predictor before it asks it anything.

    `name` is the route (`/v1/NAME`): lower-case letters, digits and `_`, at most 64.
    `regions` says where the part of the photo that is read comes from, first choice first: `box` (the caller's
    option of that name), `photo` (all of it), or another predictor's name, which is then asked first, about the same
    photo, and whose `regions` are read; the caller's option `vehicle`, where there is one, may forbid that.
    `margin` is added around a region that another predictor found, on each side, as a share of that side.
    `completed_by` names predictors that read this one's regions, each of them, to complete its answer (`complete`);
    they are asked along with it wherever they are served, and have no route of their own.
    `inputs` are the arrays of one prepared item; they never change after `load`.
    `batch_sizes` are the padded sizes the device sees, ascending; all are warmed before readiness. On the CPU those up
    to `cpu_batch` alone (None: all): where a row takes as long in a large batch as in a small one, a large one only
    makes others wait, and every size takes time at the start, and memory.
    `reads` is the size in pixels (width, height) the region is scaled to, so that a JPEG is decoded no finer.
    `legend` are the labels of its masks, each with its colour, in an order that stays: at most 255. Without
    any there are no masks.
    """

    name: str
    summary: str
    description: str
    options: type[Options]
    answer: type[BaseModel]
    inputs: Mapping[str, Tensor]
    reads: tuple[int, int]
    regions: tuple[str, ...] = ("photo",)
    margin: float = 0.0
    completed_by: tuple[str, ...] = ()
    batch_sizes: tuple[int, ...] = (1, 2, 4, 8, 16)
    cpu_batch: int | None = None
    drawable: bool = False
    legend: Legend = field(default_factory=dict)
    example: Mapping[str, object] = field(default_factory=dict)

    def sizes_on(self, device: str) -> tuple[int, ...]:
        """The padded sizes of batches on `device` (`cpu`, `cuda`, `cuda:1`)."""
        most = self.cpu_batch if device == "cpu" else None
        return tuple(size for size in self.batch_sizes if most is None or size <= most)

    @property
    def finders(self) -> tuple[str, ...]:
        """The predictors whose regions this one may read."""
        return tuple(source for source in self.regions if source not in ("box", "photo"))


O = TypeVar("O", bound=Options)
A = TypeVar("A", bound=BaseModel)


class Predictor(ABC, Generic[O, A]):
    """One version of a model behind one route. `prepare` and `finish` run in worker threads, several at once, and keep
    no state; `load` is called once, by a thread that loads, while others serve; `run` by the device's own thread alone.
    Before it is asked by others, a drawn photo goes through all four."""

    specification: Specification
    card: Card

    @abstractmethod
    def load(self, device: str) -> None:
        """Put the weights on `device` (`cpu`, `cuda`, `cuda:1`); raise with what is missing, never half-load."""

    @abstractmethod
    def prepare(self, photo: Photo, region: Region, options: O) -> Arrays:
        """One photo's region to fixed-shape arrays as `specification.inputs` says; training calls it too."""

    @abstractmethod
    def run(self, batch: Arrays) -> Arrays:
        """A padded batch on the device: every array has a leading axis of a size in `batch_sizes`; so have those
        returned. Rows are independent. Device memory exhausted is raised as `MemoryError`."""

    @abstractmethod
    def finish(self, output: Arrays, header: Header, region: Region, options: O) -> A:
        """One row of `run`'s arrays to the typed answer, in the photo's own pixels."""

    def regions(self, answer: A, header: Header) -> Sequence[Region]:
        """The regions of the photo that other predictors may read, tight, the one that is meant first; none: all of
        the photo. Only where others name this one in `specification.regions`."""
        raise NotImplementedError(f"{self.specification.name} finds no regions for others")

    def complete(self, answer: A, by: str, said: Sequence[tuple[Region, BaseModel]]) -> A:
        """The answer with what the predictor `by` said of its regions, those it could answer for. Only where
        `specification.completed_by` names any."""
        raise NotImplementedError(f"{self.specification.name} is completed by nobody")

    def shapes(self, answer: A) -> Sequence[Drawn]:
        """What of the answer is drawn on the photo, in the photo's own pixels, the first on top. Only where
        `specification.drawable`."""
        return ()

    def color(self, number: int) -> Color:
        """The colour in pictures of the label of that number among those of `card`, RGB: always the same."""
        return palette(number)

    def caption(self, answer: A) -> Sequence[str]:
        """Lines of text for the picture, of what has no place in the photo; those of several answers stand together."""
        return ()

    def masks(self, answer: A) -> Sequence[Mask]:
        """The mask of each thing in the answer, in the answer's order, with labels of the legend. Only where
        `specification.legend` has any."""
        return ()
