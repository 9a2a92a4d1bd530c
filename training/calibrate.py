"""Temperatures and thresholds, fitted on validation photos and kept in the manifest."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from models.answers import softmax
from training.data.annotated import Annotated


def fit_temperature(logits: NDArray[np.floating], truth: NDArray[np.int64]) -> float:
    """The temperature with the least negative log-likelihood (Guo et al. 2017, arXiv:1706.04599), 0.25 to 4."""
    grid = np.exp(np.linspace(np.log(0.25), np.log(4), 121))
    rows = np.arange(len(truth))
    losses = [-np.log(np.clip(softmax(logits, t)[rows, truth], 1e-12, None)).mean() for t in grid]
    return round(float(grid[int(np.argmin(losses))]), 4)


def sure_threshold(confidence: NDArray[np.float64], right: NDArray[np.bool_], precision: float = 0.95) -> float:
    """The lowest score from which on at least `precision` of what reaches it is right; 1 where none does."""
    order = np.argsort(-confidence)
    ranked = confidence[order]
    share = np.cumsum(right[order]) / np.arange(1, len(order) + 1)
    last_of_its_score = np.append(ranked[1:] < ranked[:-1], True)  # a threshold cannot part equal scores
    enough = np.flatnonzero((share >= precision) & last_of_its_score)
    return round(float(ranked[enough[-1]]), 4) if len(enough) else 1.0


def _iou(box: Sequence[float], others: NDArray[np.float64]) -> NDArray[np.float64]:
    """Overlap of one x, y, width, height with many."""
    x1, y1 = np.maximum(box[0], others[:, 0]), np.maximum(box[1], others[:, 1])
    x2 = np.minimum(box[0] + box[2], others[:, 0] + others[:, 2])
    y2 = np.minimum(box[1] + box[3], others[:, 1] + others[:, 3])
    shared = np.clip(x2 - x1, 0, None) * np.clip(y2 - y1, 0, None)
    result: NDArray[np.float64] = shared / (box[2] * box[3] + others[:, 2] * others[:, 3] - shared)
    return result


def _matched(
    photos: Sequence[Annotated], results: list[dict[str, Any]], label: int
) -> tuple[NDArray[np.float64], NDArray[np.bool_], int]:
    """Scores of a class, best first; which of them meet a yet unmet object at IoU 0.5; how many objects there are."""
    boxes = {
        p.id: np.array([i.box() for i in p.instances if i.label == label and not i.crowd], np.float64).reshape(-1, 4)
        for p in photos
    }
    for found in boxes.values():
        found[:, 2:] -= found[:, :2]
    free = {photo: np.ones(len(found), bool) for photo, found in boxes.items()}
    chosen = sorted((r for r in results if r["category_id"] == label), key=lambda r: -r["score"])
    hits = np.zeros(len(chosen), bool)
    for n, result in enumerate(chosen):
        others, open_ = boxes[result["image_id"]], free[result["image_id"]]
        if len(others):
            overlap = _iou(result["bbox"], others) * open_
            best = int(overlap.argmax())
            if overlap[best] >= 0.5:
                hits[n], open_[best] = True, False
    return np.array([r["score"] for r in chosen]), hits, sum(len(found) for found in boxes.values())


def detection_thresholds(
    photos: Sequence[Annotated],
    results: list[dict[str, Any]],
    labels: Sequence[str],
    quiet: list[list[tuple[int, float]]],
    false_alarms: float = 0.05,
) -> dict[str, float]:
    """A threshold per class: the one with the best F1 at IoU 0.5, raised where needed, all classes alike, until at most
    `false_alarms` of the undamaged photos have a detection above it. `quiet`: (label, score) pairs of each of those."""
    base = []
    for label in range(len(labels)):
        scores, hits, objects = _matched(photos, results, label)
        if not len(scores):
            base.append(0.5)
            continue
        found = np.cumsum(hits)
        f1 = 2 * found / (np.arange(1, len(hits) + 1) + objects)
        base.append(float(scores[int(f1.argmax())]))
    for lift in np.arange(0, 1.001, 0.01):
        raised = [threshold + (1 - threshold) * lift for threshold in base]
        loud = sum(any(score >= raised[label] for label, score in one) for one in quiet)
        if loud <= false_alarms * len(quiet):
            break
    return {name: round(min(0.99, value), 4) for name, value in zip(labels, raised, strict=True)}
