"""Predictors of nothing but numpy, and photos drawn here: what the gateway's tests need instead of models."""

import io
import threading
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from pydantic import BaseModel, Field

from models.drawing import Drawn
from models.masks import Legend, Mask
from models.photo import Header, Photo, Region
from models.predictor import (
    Arrays,
    Card,
    Input,
    Licence,
    Options,
    Predictor,
    RegionOptions,
    Specification,
    Tensor,
    VehicleOptions,
)

SIZE = 8


class Scores(RegionOptions):
    """Options of every type the gateway must read."""

    min_score: float = Field(default=0.5, ge=0, le=1, description="Least brightness that counts as bright.")
    top_k: int = Field(default=3, ge=1, le=3, description="How many channels to tell.")


class VehicleScores(VehicleOptions, Scores):
    """The same for a predictor that reads a vehicle."""


class Area(BaseModel):
    x1: float
    y1: float
    x2: float
    y2: float
    source: str
    score: float | None = None
    fallback: bool = False


class BrightnessAnswer(BaseModel):
    """How bright the region is."""

    bright: bool
    mean: float
    channels: list[float]
    region: Area


class Brightness(Predictor[RegionOptions, BrightnessAnswer]):
    """The mean colour of the region. The fields are switches that a test turns."""

    card = Card(
        version="1.0.0",
        architecture="mean",
        labels={"label": ["dark", "bright"]},
        input=Input(width=SIZE, height=SIZE),
        figures={"accuracy": 1.0},
        licence=Licence(weights="Apache-2.0", why="there are none"),
        weights="sha256:000000000000",
    )

    def __init__(self, name: str = "brightness", **changes: Any) -> None:
        given: dict[str, Any] = {
            "name": name,
            "summary": "How bright a photo is",
            "description": "The mean of the region's pixels, 0 (black) to 255 (white), over all and by channel.",
            "options": Scores,
            "answer": BrightnessAnswer,
            "inputs": {"pixels": Tensor((SIZE, SIZE, 3))},
            "reads": (SIZE, SIZE),
            "regions": ("box", "photo"),
            "batch_sizes": (1, 2, 4),
            "drawable": True,
            "example": EXAMPLE,
        }
        self.specification = Specification(**{**given, **changes})
        self.fail_load: Exception | None = None
        self.fail_prepare: Exception | None = None
        self.fail_run: BaseException | None = None
        self.fail_finish: Exception | None = None
        self.fail_draw: Exception | None = None
        self.mean: Callable[[float], float] = float
        self.wait_load: threading.Event | None = None
        self.wait_prepare: threading.Event | None = None
        self.wait_run: threading.Event | None = None
        self.preparing = threading.Event()
        self.running = threading.Event()
        self.rows = 0
        self.options: Options | None = None
        self.decoded: tuple[int, int] | None = None

    def forget(self) -> None:
        """The photo that proved it at the start."""
        self.preparing.clear()
        self.running.clear()
        self.rows, self.options, self.decoded = 0, None, None

    def load(self, device: str) -> None:
        _wait(self.wait_load)
        _fail(self.fail_load)
        self.loaded = True

    def prepare(self, photo: Photo, region: Region, options: RegionOptions) -> Arrays:
        self.preparing.set()
        _wait(self.wait_prepare)
        _fail(self.fail_prepare)
        self.options = options
        self.decoded = (photo.pixels.shape[1], photo.pixels.shape[0])
        return {"pixels": photo.resized(region, SIZE, SIZE)}

    def run(self, batch: Arrays) -> Arrays:
        self.running.set()
        _wait(self.wait_run)
        _fail(self.fail_run)
        pixels = batch["pixels"]
        self.rows += int((pixels.reshape(len(pixels), -1).sum(axis=1) > 0).sum())  # padding and warm-up are zeros
        return {"channels": pixels.astype(np.float64).mean(axis=(1, 2))}

    def finish(self, output: Arrays, header: Header, region: Region, options: RegionOptions) -> BrightnessAnswer:
        _fail(self.fail_finish)
        channels = [float(value) for value in output["channels"]]
        mean = self.mean(sum(channels) / 3)
        least = getattr(options, "min_score", 0.5)
        area = Area(**{name: getattr(region, name) for name in Area.model_fields})
        shown = channels[: getattr(options, "top_k", 3)]
        return BrightnessAnswer(bright=mean >= least * 255, mean=mean, channels=shown, region=area)

    def shapes(self, answer: BrightnessAnswer) -> Sequence[Drawn]:
        _fail(self.fail_draw)
        return [Drawn("", box=(-9, 10, 9999, 10), color=(255, 0, 0))]  # a line below the upper edge


class Sighting(BaseModel):
    type: str = "car"
    score: float
    box: tuple[float, float, float, float]
    said: dict[str, float] = {}


class FinderAnswer(BaseModel):
    """Where the vehicles are."""

    vehicles: list[Sighting]


class Finder(Predictor[Options, FinderAnswer]):
    """Finds vehicles where the test says they are, the one that is meant first."""

    card = Brightness.card

    def __init__(self, *boxes: tuple[float, float, float, float], name: str = "vehicles", **changes: Any) -> None:
        given: dict[str, Any] = {
            "name": name,
            "summary": "Where the vehicles are",
            "description": "The boxes that the test chose.",
            "options": Options,
            "answer": FinderAnswer,
            "inputs": {"pixels": Tensor((SIZE, SIZE, 3))},
            "reads": (SIZE, SIZE),
            "batch_sizes": (1, 2),
            "drawable": True,
        }
        self.specification = Specification(**{**given, **changes})
        self.boxes = list(boxes)
        self.fail_run: BaseException | None = None
        self.fail_regions: Exception | None = None
        self.fail_complete: Exception | None = None
        self.wait_finish: threading.Event | None = None
        self.runs = 0

    def forget(self) -> None:
        """The photo that proved it at the start."""
        self.runs = 0

    def load(self, device: str) -> None:
        pass

    def prepare(self, photo: Photo, region: Region, options: Options) -> Arrays:
        self.runs += 1
        return {"pixels": photo.resized(region, SIZE, SIZE)}

    def run(self, batch: Arrays) -> Arrays:
        if batch["pixels"].any():  # not while warming
            _fail(self.fail_run)
        return {"pixels": batch["pixels"]}

    def finish(self, output: Arrays, header: Header, region: Region, options: Options) -> FinderAnswer:
        _wait(self.wait_finish)
        return FinderAnswer(vehicles=[Sighting(score=0.9, box=box) for box in self.boxes])

    def regions(self, answer: FinderAnswer, header: Header) -> list[Region]:
        _fail(self.fail_regions)
        return [Region(*one.box, source="vehicle", score=one.score) for one in answer.vehicles]

    def complete(self, answer: FinderAnswer, by: str, said: Sequence[tuple[Region, BaseModel]]) -> FinderAnswer:
        _fail(self.fail_complete)
        means = {
            (region.x1, region.y1, region.x2, region.y2): one.mean
            for region, one in said
            if isinstance(one, BrightnessAnswer)
        }
        seen = [
            one.model_copy(update={"said": {**one.said, by: means[one.box]}}) if one.box in means else one
            for one in answer.vehicles
        ]
        return answer.model_copy(update={"vehicles": seen})

    def shapes(self, answer: FinderAnswer) -> Sequence[Drawn]:
        return [Drawn("", box=(-9, 30, 9999, 30), color=(0, 0, 255))]


class OutlinerOptions(Options):
    min_score: float = Field(default=0.0, ge=0, le=1, description="Lowest score to tell.")
    masks: Literal["polygon", "none"] = Field(default="polygon", description="Outlines, or none.")


class Outlined(BaseModel):
    label: str
    score: float
    polygons: list[list[float]]


class OutlinerAnswer(BaseModel):
    """What is where."""

    things: list[Outlined]


LEGEND: Legend = {"dent": (230, 159, 0), "scratch": (0, 158, 224), "crack": (213, 62, 79)}


class Outliner(Predictor[OutlinerOptions, OutlinerAnswer]):
    """Finds the things that the test names, with their outlines."""

    card = Brightness.card

    def __init__(self, *things: Outlined, name: str = "outliner", **changes: Any) -> None:
        given: dict[str, Any] = {
            "name": name,
            "summary": "What is where",
            "description": "The outlines that the test chose.",
            "options": OutlinerOptions,
            "answer": OutlinerAnswer,
            "inputs": {"pixels": Tensor((SIZE, SIZE, 3))},
            "reads": (SIZE, SIZE),
            "batch_sizes": (1, 2),
            "legend": LEGEND,
            "example": {"things": [{"label": "dent", "score": 0.9, "polygons": [[0, 0, 9, 0, 9, 9]]}]},
        }
        self.specification = Specification(**{**given, **changes})
        self.things = list(things)
        self.fail_masks: Exception | None = None
        self.wait_masks: threading.Event | None = None
        self.masking = threading.Event()
        self.decoded: tuple[int, int] | None = None

    def load(self, device: str) -> None:
        pass

    def prepare(self, photo: Photo, region: Region, options: OutlinerOptions) -> Arrays:
        self.decoded = (photo.pixels.shape[1], photo.pixels.shape[0])
        return {"pixels": photo.resized(region, SIZE, SIZE)}

    def run(self, batch: Arrays) -> Arrays:
        return {"pixels": batch["pixels"]}

    def finish(self, output: Arrays, header: Header, region: Region, options: OutlinerOptions) -> OutlinerAnswer:
        told = [one for one in self.things if one.score >= options.min_score]
        if options.masks == "none":
            told = [one.model_copy(update={"polygons": []}) for one in told]
        return OutlinerAnswer(things=told)

    def masks(self, answer: OutlinerAnswer) -> Sequence[Mask]:
        self.masking.set()
        _wait(self.wait_masks)
        _fail(self.fail_masks)
        return [Mask(one.label, one.score, one.polygons) for one in answer.things]


def reader(name: str = "brightness", **changes: Any) -> Brightness:
    """`Brightness` of the main vehicle."""
    sources = {"options": VehicleScores, "regions": ("box", "vehicles", "photo")}
    return Brightness(name, **{**sources, **changes})


EXAMPLE: Mapping[str, object] = {
    "bright": True,
    "mean": 141.5,
    "channels": [150.0, 140.0, 134.5],
    "region": {"x1": 0.0, "y1": 0.0, "x2": 3024.0, "y2": 4032.0, "source": "whole", "score": None},
}


def _wait(event: threading.Event | None) -> None:
    if event is not None and not event.wait(30):
        raise TimeoutError("the test never let go")


def _fail(error: BaseException | None) -> None:
    if error is not None:
        raise error


def encoded(pixels: NDArray[np.uint8], kind: str = "JPEG", **save: Any) -> bytes:
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, kind, **save)
    return file.getvalue()


def photo(width: int = 64, height: int = 48, kind: str = "JPEG", color: tuple[int, int, int] = (200, 40, 90)) -> bytes:
    """One plain colour, as a file."""
    return encoded(np.full((height, width, 3), color, np.uint8), kind)


def halves(width: int = 64, height: int = 48, kind: str = "PNG") -> bytes:
    """Black on the left, white on the right."""
    pixels = np.zeros((height, width, 3), np.uint8)
    pixels[:, width // 2 :] = 255
    return encoded(pixels, kind)
