"""What lies between the parts of an R-CNN (`models.networks.stages`): which boxes stay, in numpy, photo by photo."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from models.boxes import suppress

Numbers = Mapping[str, NDArray[Any]]
"""Named arrays."""

Part = Callable[[Numbers], Numbers]
"""One of the network's parts."""

MASK_SIDE = 28

OUTLINED = (2, 4, 8, 16, 32)
"""Outlines of a photo are asked for in these numbers, so that the device sees few shapes; more of them in turns."""

SMALLEST_PROPOSAL, SMALLEST = 1e-3, 1e-2
"""Pixels of the input that a side of a proposal, of a detection has at least."""


@dataclass(frozen=True, slots=True)
class Limits:
    """What a detector keeps: `proposals` a photo that overlap less than `proposal_overlap`, `detections` a photo of at
    least `min_score` that overlap others of their label less than `overlap`."""

    proposals: int = 250
    proposal_overlap: float = 0.7
    detections: int = 100
    overlap: float = 0.5
    min_score: float = 0.03


class Rcnn:
    """A detector of three parts: `dense`, `boxes` and `masks`, None where it has no outlines. Takes and gives what
    `models.networks.detector.Detector` does, scores that are no numbers for a photo whose network gives none, too.
    Outlines are asked for photo by photo, as many as there are."""

    def __init__(self, dense: Part, boxes: Part, masks: Part | None, limits: Limits) -> None:
        self.dense, self.boxes, self.masks, self.limits = dense, boxes, masks, limits

    def __call__(self, batch: Numbers) -> Numbers:
        seen = self.dense({"image": batch["image"]})
        level = np.repeat(np.arange(len(seen["counts"])), seen["counts"])
        regions = np.stack([self._proposals(*one, level) for one in zip(seen["boxes"], seen["scores"], strict=True)])
        photos, most = regions.shape[:2]
        photo = np.repeat(np.arange(photos), most)
        told = self.boxes({"features": seen["features"], "boxes": regions.reshape(-1, 4), "photo": photo})
        scores, boxes = (told[name].reshape(photos, most, *told[name].shape[1:]) for name in ("scores", "moved"))
        found = [self._detections(*one) for one in zip(scores, boxes, strict=True)]
        least = batch.get("least", np.zeros((photos, scores.shape[-1]), np.float32))
        masks = [self._masks(*one) for one in zip(seen["features"], found, least, strict=True)]
        rows = [{**one, "masks": outlines} for one, outlines in zip(found, masks, strict=True)]
        filled = {name: np.stack([_rows(one[name], self.limits.detections) for one in rows]) for name in rows[0]}
        made = (seen["boxes"], seen["scores"], scores, boxes, filled["masks"])
        # Comparisons with what is no number are false: it would be left out on the way, and nothing seem to be there.
        filled["scores"][~np.logical_and.reduce([_finite(part) for part in made])] = np.nan
        return filled

    def warm(self, batch: Numbers) -> None:
        """Runs the part for outlines once at every size, on one photo's `batch`, so that none is new later."""
        if self.masks is None:
            return
        features = self.dense(batch)["features"]
        for size in OUTLINED:
            boxes = np.zeros((size, 4), np.float32)
            numbers = np.zeros(size, np.int64)
            self.masks({"features": features, "boxes": boxes, "photo": numbers, "label": numbers})

    def _proposals(self, boxes: NDArray[Any], scores: NDArray[Any], level: NDArray[np.int64]) -> NDArray[Any]:
        """(proposals, 4): the candidates of one photo that stay, best first, then zeros."""
        apart = boxes + (level * (1 + boxes.max()))[:, None]  # so that levels do not meet
        large = np.flatnonzero((boxes[:, 2:] - boxes[:, :2]).min(axis=1) >= SMALLEST_PROPOSAL)
        kept = suppress(apart[large], scores[large], self.limits.proposal_overlap, self.limits.proposals)
        return _rows(boxes[large][kept], self.limits.proposals)

    def _detections(self, scores: NDArray[Any], boxes: NDArray[Any]) -> dict[str, NDArray[Any]]:
        """The `boxes`, `scores` and `labels` of one photo that stay, best first; of `scores` (proposals, classes)."""
        region, label = np.nonzero(scores > self.limits.min_score)
        sides = boxes[region, label, 2:] - boxes[region, label, :2]
        large = sides.min(axis=1, initial=np.inf) >= SMALLEST
        region, label = region[large], label[large]
        boxes, scores = boxes[region, label], scores[region, label]
        apart = boxes + (label * (1 + boxes.max(initial=0)))[:, None]
        kept = suppress(apart, scores, self.limits.overlap, self.limits.detections)
        return {"boxes": boxes[kept], "scores": scores[kept], "labels": label[kept]}

    def _masks(self, features: NDArray[Any], found: Numbers, least: NDArray[Any]) -> NDArray[np.float32]:
        """(detections, 28, 28): the outlines of one photo's detections that are asked for, zeros for the others."""
        masks = np.zeros((len(found["scores"]), MASK_SIDE, MASK_SIDE), np.float32)
        asked = np.flatnonzero(found["scores"] >= least[found["labels"]])
        if self.masks is None or not len(asked):
            return masks
        for start in range(0, len(asked), OUTLINED[-1]):
            some = asked[start : start + OUTLINED[-1]]
            size = next(size for size in OUTLINED if size >= len(some))
            given = {"boxes": _rows(found["boxes"][some], size), "label": _rows(found["labels"][some], size)}
            given = {"features": features[None], **given, "photo": np.zeros(size, np.int64)}
            masks[some] = self.masks(given)["masks"][: len(some)]
        return masks


def _finite(values: NDArray[Any]) -> NDArray[np.bool_]:
    """(photos,): whether all numbers of a photo are finite."""
    whole: NDArray[np.bool_] = np.isfinite(values.reshape(len(values), -1)).all(axis=1)
    return whole


def _rows(values: NDArray[Any], number: int) -> NDArray[Any]:
    """`values` with zeros after them, `number` rows."""
    filled = np.zeros((number, *values.shape[1:]), values.dtype)
    filled[: len(values)] = values
    return filled
