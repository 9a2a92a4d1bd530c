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

CLOSER = 1.5
"""By how much larger at least the photo is read again where nothing sure was seen: what is too small or too blurred for
one size is mostly found at the other."""

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
    nothing sure is seen is looked at a second time, larger, and the cells of both looks are merged."""

    name = "vehicles"
    kind = "boxes"
    fit = "letterbox"
    batch_sizes = (1, 2, 4, 8)
    cpu_batch = 2

    def describe(self) -> Specification:
        width, height = self.closer
        plain = self.specify(
            description="Every vehicle with its type, score and box. `main` marks the one that the photo is about: the "
            "one that fills the frame, not the sharpest in the background. In a close-up there is none. A photo in "
            "which nothing sure is seen is looked at twice, the second time larger, which takes longer.",
            options=VehiclesOptions,
            answer=VehiclesAnswer,
            example=EXAMPLE,
        )
        return replace(plain, inputs={**plain.inputs, "closer": Tensor((height, width, 3))}, reads=(width, height))

    @property
    def closer(self) -> tuple[int, int]:
        """Width and height of the second look."""
        size = self.manifest.input
        return _larger(size.width), _larger(size.height)

    def prepare(self, photo: Photo, region: Region, options: VehiclesOptions) -> Arrays:
        return {**super().prepare(photo, region, options), "closer": photo.letterboxed(region, *self.closer)}

    def run(self, batch: Arrays) -> Arrays:
        """`boxes` (batch, cells, 4) and `scores` (batch, cells, types) of the first look, and of the second
        `closer_boxes` and `closer_scores`, with scores of 0 for photos that had none; each in its own input's pixels.
        """
        looks = dict(self.backend.run({"image": batch["image"]}))
        unsure = np.flatnonzero(looks["scores"].max(axis=(1, 2)) < SURE)
        if len(unsure):
            size = next(size for size in self.batch_sizes if size >= len(unsure))
            rows = np.resize(unsure, size)  # padded by the same photos over again
            for name, found in self.backend.run({"image": batch["closer"][rows]}).items():
                every = np.zeros((len(batch["image"]), *found.shape[1:]), found.dtype)
                every[unsure] = found[: len(unsure)]
                looks[f"closer_{name}"] = every
        return looks

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
        if "closer_boxes" in output:
            looks.append(_seen(output["closer_boxes"], output["closer_scores"], region, self.closer, faintest))
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


def _larger(side: int) -> int:
    """The first multiple of the network's stride that is `CLOSER` times the side or more."""
    return math.ceil(CLOSER * side / STRIDE) * STRIDE


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
