"""The kind `instances`: an R-CNN's objects with label, score, box and outline, over the labels of any manifest."""

from abc import abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, Literal, TypeVar

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, Field, PrivateAttr
from typing_extensions import TypeAliasType

from models import outlines
from models.answers import Box, PolygonMask, RleMask, finite
from models.drawing import Color, Drawn
from models.masks import MOST_LABELS, Mask
from models.photo import Header, Photo, Region
from models.predictor import A, Arrays, O, Options, Specification, Tensor
from models.predictors.weighted import WeightedPredictor

MaskForm = TypeAliasType("MaskForm", Literal["polygon", "rle", "none"])

SILENT = 0.1
"""Score from which what has a silent label claims its place."""


class InstancesOptions(Options):
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
    masks: MaskForm = Field(
        default="polygon", description="Masks as polygons, as COCO run lengths (`rle`), or not at all."
    )


class Instance(BaseModel):
    """One object, in the photo's own pixels."""

    label: str
    score: float = Field(ge=0, le=1)
    box: Box
    mask: PolygonMask | RleMask | None
    area_fraction: float = Field(ge=0, le=1, description="Share of the photo that the mask covers")
    _outline: list[list[float]] | None = PrivateAttr(default=None)

    @property
    def outline(self) -> list[list[float]]:
        """The mask's polygons, each `[x, y, x, y, …]`, however it is written, and where it is not."""
        if self._outline is None:
            return self.mask.polygons if isinstance(self.mask, PolygonMask) else []
        return self._outline


class InstancesAnswer(BaseModel):
    """Every object that was seen."""

    counts: dict[str, int] = Field(description="How many instances of each label are told")
    instances: list[Instance] = Field(description="Best first")


Found = TypeVar("Found", bound=Instance)


class InstancesPredictor(WeightedPredictor[O, A]):
    """What predictors of instances share: detections of one photo, in its own pixels, and their picture, one steady
    colour per label."""

    kind = "instances"
    batch_sizes = (1, 2, 4)
    cpu_batch = 1
    known = 1.0
    """Score from which joins know of what is too unsure to be told."""

    def specify(
        self, description: str, options: type[O], answer: type[A], example: Mapping[str, object]
    ) -> Specification:
        plain = super().specify(description, options, answer, example)
        least = Tensor((len(self.manifest.classes["label"]),), "float32")
        labels = self.manifest.labels["label"]
        # more labels than a picture of classes has indices: then there is none
        legend = {label: self.color(n) for n, label in enumerate(labels)} if len(labels) <= MOST_LABELS else {}
        return replace(plain, inputs={**plain.inputs, "least": least}, legend=legend)

    def prepare(self, photo: Photo, region: Region, options: O) -> Arrays:
        """`image`, and `least` (labels,): the lowest score of each label, silent ones too, from which an outline is
        asked for, so that no more of them are made."""
        assert isinstance(options, InstancesOptions)
        lowest = [
            self._threshold(name)
            if name in self.manifest.silent
            else min(self._threshold(name) if options.min_score is None else options.min_score, self.known)
            for name in self.manifest.classes["label"]
        ]
        return {**super().prepare(photo, region, options), "least": np.array(lowest, np.float32)}

    def found(self, output: Arrays, header: Header, options: InstancesOptions, of: type[Found]) -> list[Found]:
        """The detections that the options ask for, best first, each an `of`. Raises `ValueError` where the scores are
        no numbers."""
        return self._outlined(output, header, self._shown(output, options), options.masks, of)

    def unsure(self, output: Arrays, header: Header, options: InstancesOptions) -> list[Instance]:
        """What the options do not ask for and still reaches `known`, best first, with its outline: of use to joins."""
        told, scores = set(self._shown(output, options)), self._scores(output)
        best = [int(i) for i in np.argsort(-scores, kind="stable") if scores[i] >= self.known and int(i) not in told]
        return self._outlined(output, header, best, "polygon", Instance)

    def _shown(self, output: Arrays, options: InstancesOptions) -> list[int]:
        """The rows of the output that the options ask for, best first."""
        scores, sure = self._scores(output), self.thresholds(output)
        shown = (scores > 0) & (scores >= (sure if options.min_score is None else options.min_score))
        return [int(i) for i in np.argsort(-scores, kind="stable") if shown[i]][: options.max_detections]

    def unspoken(self, output: Arrays, header: Header) -> list[Instance]:
        """What has one of the manifest's silent labels and reaches its threshold, best first, with its outline. Nobody
        is told of it, but joins may know what lies there."""
        scores = output["scores"].astype(np.float64)
        there = ~self._spoken(output) & (scores >= self.thresholds(output))
        best = [int(i) for i in np.argsort(-scores, kind="stable") if there[i]]
        return self._outlined(output, header, best, "polygon", Instance)

    def _outlined(self, output: Arrays, header: Header, rows: Sequence[int], form: str, of: type[Found]) -> list[Found]:
        """Rows of the output in the photo's own pixels."""
        scores, names = output["scores"].astype(np.float64), self._names(output)
        size = self.manifest.input
        stretch = np.array([header.width / size.width, header.height / size.height] * 2)
        limit = np.array([header.width, header.height] * 2)
        boxes = np.clip(output["boxes"].astype(np.float64) * stretch, 0, limit)
        return [_instance(of, names[i], float(scores[i]), boxes[i], output["masks"][i], header, form) for i in rows]

    def sure(self, output: Arrays) -> bool:
        """Whether any detection reaches its label's threshold, whatever the options show."""
        scores = self._scores(output)
        return bool(((scores > 0) & (scores >= self.thresholds(output))).any())  # unused rows have score 0

    def presence(self, output: Arrays) -> float | None:
        """The probability that the photo shows any instance; None where the manifest has no map for it."""
        if not self.manifest.presence:
            return None
        scores = self._scores(output)
        x, y = np.array(self.manifest.presence).T
        return round(float(np.interp(strength(scores, self.thresholds(output)), x, y)), 4)

    def thresholds(self, output: Arrays) -> NDArray[np.float64]:
        """The threshold of each row's label."""
        return np.array([self._threshold(name) for name in self._names(output)])

    def _threshold(self, label: str) -> float:
        return self.manifest.thresholds.get(label, SILENT if label in self.manifest.silent else 0.5)

    def _spoken(self, output: Arrays) -> NDArray[np.bool_]:
        """Which rows have a label that is told."""
        return output["labels"].astype(np.int64) < len(self.manifest.labels["label"])

    def _scores(self, output: Arrays) -> NDArray[np.float64]:
        """The score of each row, 0 where its label is silent. Raises `ValueError` where one is no number."""
        return finite(output["scores"].astype(np.float64)) * self._spoken(output)

    def counts(self, instances: Sequence[Instance]) -> dict[str, int]:
        """How many there are of each label, those without any too."""
        return {label: sum(i.label == label for i in instances) for label in self.manifest.labels["label"]}

    def _names(self, output: Arrays) -> list[str]:
        labels = self.manifest.classes["label"]
        return [labels[int(n)] for n in output["labels"]]

    @abstractmethod
    def told(self, answer: A) -> Sequence[Instance]:
        """The instances in an answer, whatever it calls them."""

    def title(self, instance: Instance) -> str:
        """What stands beside an instance in the picture."""
        return instance.label

    def shapes(self, answer: A) -> Sequence[Drawn]:
        labels = self.manifest.labels["label"]
        return [_drawn(i, self.title(i), self.color(labels.index(i.label))) for i in self.told(answer)]

    def masks(self, answer: A) -> Sequence[Mask]:
        return [Mask(i.label, i.score, i.outline) for i in self.told(answer)]


class Instances(InstancesPredictor[InstancesOptions, InstancesAnswer]):
    """Weights of one's own of the kind `instances`, served under their manifest's name."""

    def describe(self) -> Specification:
        labels = self.manifest.labels["label"]
        return self.specify(
            description="Every instance with its label, score, box and mask: " + ", ".join(labels) + ".",
            options=InstancesOptions,
            answer=InstancesAnswer,
            example=_example(labels),
        )

    def finish(self, output: Arrays, header: Header, region: Region, options: InstancesOptions) -> InstancesAnswer:
        instances = self.found(output, header, options, Instance)
        return InstancesAnswer(counts=self.counts(instances), instances=instances)

    def told(self, answer: InstancesAnswer) -> Sequence[Instance]:
        return answer.instances


def strength(scores: NDArray[np.float64], thresholds: NDArray[np.float64]) -> float:
    """How near a photo's surest detection comes to its label's threshold: 0 no detection, 0.5 at it, 1 a score of 1, in
    straight lines between. `scores` and `thresholds` (detections,), a score of 0 is no detection."""
    over = (scores - thresholds) / np.maximum(1 - thresholds, 1e-9)
    under = scores / np.maximum(thresholds, 1e-9)
    return float(np.clip(np.where(scores >= thresholds, 0.5 + over / 2, under / 2), 0, 1).max(initial=0.0))


def _instance(
    of: type[Found], label: str, score: float, box: NDArray[np.float64], mask: NDArray[Any], header: Header, form: str
) -> Found:
    x1, y1, x2, y2 = (float(v) for v in box)
    rings = outlines.trace(mask.astype(np.float64), (x1, y1, x2, y2))
    written: PolygonMask | RleMask | None = None
    if form == "polygon":
        written = outlines.polygons(rings)
    elif form == "rle":
        written = outlines.run_lengths(rings, header.width, header.height)
    area = sum(abs(outlines.signed_area(ring)) for ring in rings)
    instance = of(
        label=label,
        score=round(score, 4),
        box=Box(x1=round(x1, 1), y1=round(y1, 1), x2=round(x2, 1), y2=round(y2, 1)),
        mask=written,
        area_fraction=round(min(1.0, area / (header.width * header.height)), 5),
    )
    instance._outline = outlines.polygons(rings).polygons
    return instance


def _drawn(instance: Instance, title: str, color: Color) -> Drawn:
    box, shape = instance.box, instance.outline if instance.mask else []
    return Drawn(title, instance.score, (box.x1, box.y1, box.x2, box.y2), shape, color)


EXAMPLE_INSTANCE = {
    "score": 0.87,
    "box": {"x1": 412.0, "y1": 480.5, "x2": 760.0, "y2": 602.0},
    "mask": {"polygons": [[412.0, 490.0, 600.0, 480.5, 760.0, 560.0, 500.0, 602.0]]},
    "area_fraction": 0.017,
}


def _example(labels: Sequence[str]) -> dict[str, Any]:
    counts = {label: int(n == 0) for n, label in enumerate(labels)}
    return {"counts": counts, "instances": [{"label": labels[0], **EXAMPLE_INSTANCE}]}
