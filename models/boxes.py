"""Boxes as arrays: how far they overlap, and one box for each thing that several were drawn around."""

import numpy as np
from numpy.typing import NDArray

Boxes = NDArray[np.float64]
"""(boxes, 4) as x1, y1, x2, y2."""


def areas(boxes: Boxes) -> NDArray[np.float64]:
    """Area of each box; one turned inside out has none."""
    sides: NDArray[np.float64] = np.maximum(boxes[:, 2:] - boxes[:, :2], 0)
    return sides[:, 0] * sides[:, 1]


def intersections(box: NDArray[np.float64], boxes: Boxes) -> NDArray[np.float64]:
    """Area that `box` (4,) shares with each of `boxes`."""
    low, high = np.maximum(box[:2], boxes[:, :2]), np.minimum(box[2:], boxes[:, 2:])
    return areas(np.concatenate([low, high], axis=1))


def overlaps(box: NDArray[np.float64], boxes: Boxes) -> NDArray[np.float64]:
    """Intersection over union of `box` (4,) with each of `boxes`, 0 to 1; 0 where neither has an area."""
    shared = intersections(box, boxes)
    joined = areas(box[None])[0] + areas(boxes) - shared
    shares: NDArray[np.float64] = shared / np.maximum(joined, np.finfo(np.float64).tiny)
    return shares


def suppress(boxes: Boxes, scores: NDArray[np.float64], threshold: float, most: int = 300) -> list[int]:
    """Non-maximum suppression: which boxes stay, best first, `most` of them at the most.

    The best box stays, all that overlap it by more than `threshold` go, and so on with those left. Of equal scores the
    earlier box wins.
    """
    order = np.argsort(-scores, kind="stable")
    kept: list[int] = []
    while len(order) and len(kept) < most:
        best, rest = int(order[0]), order[1:]
        kept.append(best)
        order = rest[overlaps(boxes[best], boxes[rest]) <= threshold]
    return kept
