"""`damage`: where a car is damaged, how, and the outline of each damage."""

from collections.abc import Sequence
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, Field, PrivateAttr

from models import outlines
from models.answers import Box, PolygonMask, RleMask
from models.drawing import Drawn, draw_instances
from models.photo import Header, Photo, Region
from models.predictor import Arrays, Options, Specification, Tensor
from models.predictors.weighted import WeightedPredictor


class DamageOptions(Options):
    """Which detections are told, and how their masks are written."""

    min_score: float | None = Field(
        default=None,
        ge=0,
        le=1,
        description="Lowest score to tell. Without it each class has its own, chosen on validation photos.",
    )
    max_detections: int = Field(
        default=50, ge=1, le=100, description="How many detections to tell at most, best first."
    )
    masks: Literal["polygon", "rle", "none"] = Field(
        default="polygon", description="Masks as polygons, as COCO run lengths (`rle`), or not at all."
    )


class Detection(BaseModel):
    """One damage, in the photo's own pixels."""

    label: str
    score: float = Field(ge=0, le=1)
    box: Box
    mask: PolygonMask | RleMask | None
    area_fraction: float = Field(ge=0, le=1, description="Share of the photo that the mask covers")
    _outline: list[list[float]] = PrivateAttr(default_factory=list)  # what is drawn, however the mask is written


class DamageAnswer(BaseModel):
    """Every damage that was seen."""

    damaged: bool = Field(
        description="At least one detection reaches its class's threshold, whatever `min_score` shows"
    )
    counts: dict[str, int] = Field(description="How many detections of each class are told")
    detections: list[Detection] = Field(description="Best first")


class Damage(WeightedPredictor[DamageOptions, DamageAnswer]):
    """An R-CNN with masks over the labels of the manifest."""

    name = "damage"
    kind = "instances"

    def describe(self, inputs: dict[str, Tensor], reads: tuple[int, int]) -> Specification:
        return Specification(
            name=self.name,
            summary=self.manifest.summary,
            description="Every damage with its class, score, box and mask. `damaged` says whether any of them is sure "
            "enough. Photos of the damaged side of a car, from half a metre to the whole car, work best.",
            options=DamageOptions,
            answer=DamageAnswer,
            inputs=inputs,
            reads=reads,
            batch_sizes=(1, 2, 4),
            drawable=True,
            example=EXAMPLE,
        )

    def finish(self, output: Arrays, header: Header, region: Region, options: DamageOptions) -> DamageAnswer:
        labels, scores = self.manifest.labels["label"], output["scores"].astype(np.float64)
        names = [labels[int(n)] for n in output["labels"]]
        sure = np.array([self.manifest.thresholds.get(name, 0.5) for name in names])
        real = scores > 0  # unused rows have score 0
        shown = real & (scores >= (sure if options.min_score is None else options.min_score))
        size = self.manifest.input
        stretch = np.array([header.width / size.width, header.height / size.height] * 2)
        limit = np.array([header.width, header.height] * 2)
        boxes = np.clip(output["boxes"].astype(np.float64) * stretch, 0, limit)
        order = [int(i) for i in np.argsort(-scores, kind="stable") if shown[i]][: options.max_detections]
        detections = [
            self._detection(names[i], float(scores[i]), boxes[i], output["masks"][i], header, options.masks)
            for i in order
        ]
        return DamageAnswer(
            damaged=bool((real & (scores >= sure)).any()),
            counts={label: sum(d.label == label for d in detections) for label in labels},
            detections=detections,
        )

    @staticmethod
    def _detection(
        label: str, score: float, box: NDArray[np.float64], mask: NDArray[np.generic], header: Header, form: str
    ) -> Detection:
        x1, y1, x2, y2 = (float(v) for v in box)
        rings = outlines.trace(mask.astype(np.float64), (x1, y1, x2, y2))
        written: PolygonMask | RleMask | None = None
        if form == "polygon":
            written = outlines.polygons(rings)
        elif form == "rle":
            written = outlines.run_lengths(rings, header.width, header.height)
        area = sum(abs(outlines.signed_area(ring)) for ring in rings)
        detection = Detection(
            label=label,
            score=round(score, 4),
            box=Box(x1=round(x1, 1), y1=round(y1, 1), x2=round(x2, 1), y2=round(y2, 1)),
            mask=written,
            area_fraction=round(min(1.0, area / (header.width * header.height)), 5),
        )
        if form != "none":
            detection._outline = outlines.polygons(rings).polygons
        return detection

    def draw(self, photo: Photo, answer: DamageAnswer) -> NDArray[np.uint8]:
        labels = self.manifest.labels["label"]
        return draw_instances(photo.pixels, [_drawn(d, labels) for d in answer.detections])


def _drawn(detection: Detection, labels: Sequence[str]) -> Drawn:
    box = detection.box
    corners = (box.x1, box.y1, box.x2, box.y2)
    return Drawn(detection.label, detection.score, corners, detection._outline, labels.index(detection.label))


EXAMPLE = {
    "damaged": True,
    "counts": {"dent": 1, "scratch": 0, "crack": 0, "glass_shatter": 0, "lamp_broken": 0, "tire_flat": 0},
    "detections": [
        {
            "label": "dent",
            "score": 0.87,
            "box": {"x1": 412.0, "y1": 480.5, "x2": 760.0, "y2": 602.0},
            "mask": {"polygons": [[412.0, 490.0, 600.0, 480.5, 760.0, 560.0, 500.0, 602.0]]},
            "area_fraction": 0.017,
        }
    ],
}
