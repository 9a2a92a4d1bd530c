"""Boxes as arrays: how far they overlap, and one box for each thing that several were drawn around."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

Boxes = NDArray[Any]
"""(boxes, 4) as x1, y1, x2, y2."""


def areas(boxes: Boxes) -> NDArray[Any]:
    """Area of each box (..., 4); one turned inside out has none."""
    sides: NDArray[Any] = np.maximum(boxes[..., 2:] - boxes[..., :2], 0)
    shared: NDArray[Any] = sides[..., 0] * sides[..., 1]
    return shared


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


BLOCK = 64
"""So many boxes are compared at a time: one by one the calls into numpy would take most of the time."""


def suppress(boxes: Boxes, scores: NDArray[Any], threshold: float, most: int = 300) -> list[int]:
    """Non-maximum suppression: which boxes stay, best first, `most` of them at the most.

    The best box stays, all that overlap it by more than `threshold` go, and so on with those left. Of equal scores the
    earlier box wins.
    """
    order = np.argsort(-scores, kind="stable")
    ranked, sizes = boxes[order], areas(boxes[order])
    kept: list[int] = []
    for start in range(0, len(order), BLOCK):
        block = np.arange(start, min(start + BLOCK, len(order)))
        if kept:
            block = block[~_over(ranked, sizes, np.array(kept), block, threshold).any(axis=0)]
        over = _over(ranked, sizes, block, block, threshold)
        gone = np.zeros(len(block), bool)
        for n, one in enumerate(block.tolist()):
            if gone[n]:
                continue
            kept.append(one)
            if len(kept) == most:
                return [int(number) for number in order[kept]]
            gone |= over[n]
    return [int(number) for number in order[kept]]


def _over(
    boxes: Boxes, sizes: NDArray[Any], first: NDArray[np.int64], second: NDArray[np.int64], threshold: float
) -> NDArray[np.bool_]:
    """(first, second): which of the boxes of these numbers overlap by more than the threshold."""
    one, other = boxes[first].T[:, :, None], boxes[second].T[:, None]
    width = np.minimum(one[2], other[2]) - np.maximum(one[0], other[0])
    height = np.minimum(one[3], other[3]) - np.maximum(one[1], other[1])
    shared = np.maximum(width, 0) * np.maximum(height, 0)
    joined = sizes[first][:, None] + sizes[second] - shared
    over: NDArray[np.bool_] = shared > threshold * np.maximum(joined, np.finfo(joined.dtype).tiny)
    return over
