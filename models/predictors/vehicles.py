"""`vehicles`: every vehicle in a photo, and which one is meant; other predictors read the regions it finds."""

import math
from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, Field

from models import boxes as rectangles
from models.answers import Box, finite
from models.drawing import Color, Drawn
from models.main_vehicle import BARELY, SURE, main_vehicle
from models.photo import Header, Photo, Region, fitted
from models.predictor import Arrays, Options, Specification, Tensor
from models.predictors.weighted import WeightedPredictor

OVERLAP = 0.45
"""Boxes that overlap more are of one vehicle, whatever their types: a pick-up is seen as car and truck at once."""

FARTHER, CLOSER = 0.5, 1.5
"""At how much of its size, at least, the photo is read again where nothing sure and large was seen, as a vehicle that
fills the frame is mostly missed at the first size and found at that; and where nothing sure was seen at both, as what
is too small or too blurred is found at this."""

FILLS = 0.2
"""Share of the input from which a sure box may fill its photo, the rest being letterbox."""

STRIDE = 32
"""Pixels of the input between the network's coarsest cells: its sides are multiples of it."""


class VehiclesOptions(Options):
    """Which vehicles are told."""

    min_score: float | None = Field(
        default=None,
        ge=0,
        le=1,
        description="Lowest score to tell. Without it each type has its own. The main vehicle is told in any case.",
    )
    max_detections: int = Field(
        default=50, ge=1, le=100, description="How many vehicles to tell at most: the main one, then best first."
    )


class Vehicle(BaseModel):
    """One vehicle, in the photo's own pixels."""

    type: str
    score: float = Field(ge=0, le=1)
    box: Box
    area_fraction: float = Field(ge=0, le=1, description="Share of the photo that the box covers")
    main: bool = Field(
        description="Whether this is the vehicle that is meant: at most one is. None is where the photo was taken too "
        "close for any box to hold it; the whole photo is of it then"
    )


class VehiclesAnswer(BaseModel):
    """Every vehicle that was seen."""

    vehicles: list[Vehicle] = Field(
        description="The main one first, even where its score is under `min_score`, then best first"
    )


class Vehicles(WeightedPredictor[VehiclesOptions, VehiclesAnswer]):
    """A one-stage detector whose cells are merged here, so that its device sees fixed shapes only. A photo in which
    nothing sure and large is seen is looked at again, smaller, and where still nothing sure is, larger; the cells of
    all looks are merged."""

    name = "vehicles"
    kind = "boxes"
    fit = "letterbox"
    batch_sizes = (1, 2, 4, 8)
    cpu_batch = 2

    def describe(self) -> Specification:
        width, height = self.size(CLOSER)
        plain = self.specify(
            description="Every vehicle with its type, score and box. `main` marks the one that the photo is about: the "
            "one that fills the frame, not the sharpest in the background. In a close-up there is none. A photo in "
            "which nothing sure and large is seen is looked at again in other sizes, which takes longer.",
            options=VehiclesOptions,
            answer=VehiclesAnswer,
            example=EXAMPLE,
        )
        more = {name: Tensor((down, across, 3)) for name, (across, down) in self.again.items()}
        return replace(plain, inputs={**plain.inputs, **more}, reads=(width, height))

    @property
    def again(self) -> dict[str, tuple[int, int]]:
        """Width and height of the further looks."""
        return {"farther": self.size(FARTHER), "closer": self.size(CLOSER)}

    def size(self, factor: float) -> tuple[int, int]:
        """Width and height of the first look times the factor, raised to what the network can read."""
        size = self.manifest.input
        across, down = (math.ceil(factor * side / STRIDE) * STRIDE for side in (size.width, size.height))
        return across, down

    def prepare(self, photo: Photo, region: Region, options: VehiclesOptions) -> Arrays:
        """Every look is scaled from the next larger one, as scaling takes as long as there are pixels; the region is
        always all of the photo."""
        looks: dict[str, NDArray[np.uint8]] = {}
        sizes = {**self.again, "image": self.size(1)}
        for name in sorted(sizes, key=lambda name: sizes[name], reverse=True):
            looks[name] = photo.letterboxed(region, *sizes[name])
            columns, rows = fitted(region, *sizes[name])
            photo = replace(photo, pixels=looks[name][:rows, :columns])
        return looks

    def run(self, batch: Arrays) -> Arrays:
        """`boxes` (batch, cells, 4) and `scores` (batch, cells, types) of the first look, and of the others
        `farther_boxes`, `farther_scores` and so on, with scores of 0 for photos that had none; each in its own input's
        pixels."""
        looks = dict(self.backend.run({"image": batch["image"]}))
        sure = looks["scores"].max(axis=2) >= SURE
        looks.update(self._again("farther", batch, ~(sure & _filling(looks["boxes"], batch["image"])).any(axis=1)))
        unsure = ~sure.any(axis=1)
        if "farther_scores" in looks:
            # what is smaller the first look saw better, and of what is faint it saw more
            scores = looks["farther_scores"]
            left = (scores.max(axis=2) < SURE) | ~_filling(looks["farther_boxes"], batch["farther"])
            looks["farther_scores"] = np.multiply(scores, ~left[..., None])
            unsure &= left.all(axis=1)
        return {**looks, **self._again("closer", batch, unsure)}

    def _again(self, look: str, batch: Arrays, which: NDArray[np.bool_]) -> Arrays:
        """What a further look gives of the photos that are `which`, zeros of the others; nothing where none is."""
        chosen = np.flatnonzero(which)
        seen: dict[str, NDArray[np.generic]] = {}
        if len(chosen):
            size = next(size for size in self.batch_sizes if size >= len(chosen))
            rows = np.resize(chosen, size)  # padded by the same photos over again
            for name, found in self.backend.run({"image": batch[look][rows]}).items():
                seen[f"{look}_{name}"] = np.zeros((len(which), *found.shape[1:]), found.dtype)
                seen[f"{look}_{name}"][chosen] = found[: len(chosen)]
        return seen

    def finish(self, output: Arrays, header: Header, region: Region, options: VehiclesOptions) -> VehiclesAnswer:
        types, scores, boxes = self._found(output, header, region, options)
        main = main_vehicle(boxes, scores, header.width, header.height)
        labels = self.manifest.labels["label"]
        sure = np.array([self.manifest.thresholds.get(labels[n], 0.5) for n in types])
        shown = scores >= (sure if options.min_score is None else options.min_score)
        order = [n for n in range(len(scores)) if shown[n] and n != main]
        if main is not None:
            order.insert(0, main)
        return VehiclesAnswer(
            vehicles=[
                _vehicle(labels[types[n]], float(scores[n]), boxes[n], header, n == main)
                for n in order[: options.max_detections]
            ]
        )

    def _found(
        self, output: Arrays, header: Header, region: Region, options: VehiclesOptions
    ) -> tuple[NDArray[np.int64], NDArray[np.float64], NDArray[np.float64]]:
        """Type, score and box in the photo's pixels of every vehicle, best first, however faint the main one may be."""
        faintest = BARELY if options.min_score is None else min(BARELY, options.min_score)
        size = self.manifest.input
        looks = [_seen(output["boxes"], output["scores"], region, (size.width, size.height), faintest)]
        for look, shape in self.again.items():
            if f"{look}_boxes" in output:
                looks.append(_seen(output[f"{look}_boxes"], output[f"{look}_scores"], region, shape, faintest))
                if look == "farther":
                    looks[-1] = (_sharper(looks[-1][0], *looks[0]), looks[-1][1])
        boxes, every = (np.concatenate(parts) for parts in zip(*looks, strict=True))
        scores = every.max(axis=1)
        best = np.argsort(-scores, kind="stable")[:CELLS]
        boxes, every, scores = np.clip(boxes[best], 0, [header.width, header.height] * 2), every[best], scores[best]
        kept = rectangles.suppress(boxes, scores, OVERLAP)
        return every[kept].argmax(axis=1), scores[kept], boxes[kept]

    def regions(self, answer: VehiclesAnswer, header: Header) -> Sequence[Region]:
        """The vehicles' boxes in the answer's order; none where there is no main one: the photo is to be read whole
        then, whatever stands in its background."""
        if not any(one.main for one in answer.vehicles):
            return []
        return [Region(**dict(one.box), source="vehicle", score=one.score) for one in answer.vehicles]

    def color(self, number: int) -> Color:
        return MAIN

    def shapes(self, answer: VehiclesAnswer) -> Sequence[Drawn]:
        return [_drawn(one) for one in answer.vehicles]


MAIN: Color = (255, 255, 255)
OTHER: Color = (190, 190, 190)
"""Colours are for what is found on a vehicle."""


CELLS = 1000
"""Of more cells than these the faintest are left out before boxes are merged, so that no photo takes long."""


def _filling(boxes: NDArray[np.generic], images: NDArray[np.generic]) -> NDArray[np.bool_]:
    """Which of the boxes (batch, cells, 4) are large in their image (batch, height, width, 3)."""
    filling: NDArray[np.bool_] = rectangles.areas(boxes) >= FILLS * images.shape[1] * images.shape[2]
    return filling


def _seen(
    boxes: NDArray[np.generic],
    scores: NDArray[np.generic],
    region: Region,
    size: tuple[int, int],
    faintest: float,
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Boxes in the photo's pixels and scores by type of the cells of one look, read at `size`, that are not fainter.
    Raises `ValueError` where they are no numbers."""
    every = finite(scores.astype(np.float64))
    best = every.max(axis=1)
    cells = np.flatnonzero((best > 0) & (best >= faintest))
    columns, rows = fitted(region, *size)
    stretch = np.array([(region.x2 - region.x1) / columns, (region.y2 - region.y1) / rows] * 2)
    kept = finite(boxes[cells].astype(np.float64))  # those of cells that saw nothing may well be endless
    return kept * stretch + [region.x1, region.y1] * 2, every[cells]


def _sharper(
    boxes: NDArray[np.float64], first: NDArray[np.float64], scores: NDArray[np.float64]
) -> NDArray[np.float64]:
    """The boxes, in place of each the best of the first look's `first` (with their `scores` by type) that is of the
    same vehicle: fewer pixels show that one is there, and less well where it ends."""
    ranked = first[np.argsort(-scores.max(axis=1, initial=0), kind="stable")]
    found = boxes.copy()
    for box in found:
        same = np.flatnonzero(rectangles.overlaps(box, ranked) > OVERLAP)
        if len(same):
            box[:] = ranked[same[0]]
    return found


def _vehicle(label: str, score: float, box: NDArray[np.float64], header: Header, main: bool) -> Vehicle:
    x1, y1, x2, y2 = (round(float(v), 1) for v in box)
    share = float(rectangles.areas(box[None])[0]) / (header.width * header.height)
    return Vehicle(
        type=label,
        score=round(min(1.0, score), 4),
        box=Box(x1=x1, y1=y1, x2=x2, y2=y2),
        area_fraction=round(min(1.0, share), 5),
        main=main,
    )


def _drawn(vehicle: Vehicle) -> Drawn:
    box, color = vehicle.box, MAIN if vehicle.main else OTHER
    label = f"main {vehicle.type}" if vehicle.main else vehicle.type
    return Drawn(label, vehicle.score, (box.x1, box.y1, box.x2, box.y2), color=color)


EXAMPLE = {
    "vehicles": [
        {
            "type": "car",
            "score": 0.82,
            "box": {"x1": 140.0, "y1": 210.5, "x2": 1050.0, "y2": 700.0},
            "area_fraction": 0.464,
            "main": True,
        },
        {
            "type": "truck",
            "score": 0.41,
            "box": {"x1": 1020.0, "y1": 180.0, "x2": 1196.5, "y2": 290.0},
            "area_fraction": 0.02,
            "main": False,
        },
    ]
}
