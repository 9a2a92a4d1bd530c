"""Which of the vehicles in a photo is meant; pure numpy over boxes and scores."""

import numpy as np
from numpy.typing import NDArray

from models.boxes import Boxes, areas

FAINTEST = 0.1
"""Lowest score of a box that can be the main vehicle, where it is large."""

SURE = 0.3
"""A box of this score need not be large; a photo without one is looked at again."""

SMALL, LARGE = 0.04, 0.15
"""Shares of the photo between which the score that is asked of a box falls from `SURE` to `FAINTEST`."""

TINY = 0.004
"""A box under this share of the photo is never meant, however sure."""

BARELY = 0.02
"""Lowest score of a box that is meant where no other can be, if it shows a whole vehicle."""

WHOLE = 0.012
"""Such a box takes at least this share of the photo."""

SHAPES = (0.75, 4.0)
"""And this much width for its height: a van from its end, a long car from its side. What looks like a vehicle in a
close-up, a lamp or a mirror, is mostly taller or cut by the edge."""

ASIDE = 0.25
"""What a box in a corner loses of its weight to one in the middle."""

NEAR = 0.015
"""Share of a side within which a box counts as cut by the photo's edge."""


def main_vehicle(boxes: Boxes, scores: NDArray[np.float64], width: float, height: float) -> int | None:
    """The index of the vehicle that is meant, None where the photo is to be read whole. `boxes` (vehicles, 4) in the
    photo's pixels, cut to it; scores 0 to 1; `width` and `height` of the photo.

    The main vehicle is the one with the largest `side * sqrt(score) * place`: side is the root of the box's share of
    the photo, place falls a little from the middle to the corners. Size counts for more than score, as the network
    scores what looks like its training photos: a small whole car behind gets 0.78, the damaged one in front that fills
    the frame 0.29. So that such a one is weighed at all, faint boxes are, if large; a faint small one is mostly no
    vehicle. Of equals the earlier wins.

    Where no box can be so, one that shows a whole vehicle is meant however faint, down to `BARELY`: no edge cuts it, it
    has a vehicle's shape and is not small. The network has most of the cars it misses under `FAINTEST`, in boxes as
    good as others: of 400 made-up wide photos of `train` cars this raised the right ones from 0.83 to 0.93, while of
    160 photos of damage, more than half of them close-ups without a main vehicle, it named one in one more.

    None is meant where no box can be (none at all, only tiny ones, or faint or small ones that the edge cuts: what a
    close-up shows of its background), and where the best is faint and three edges or four cut it: the camera is too
    near for a box to say where the car is. Such a faint box still keeps small cars behind it from being taken for the
    main one.
    """
    if not len(boxes):
        return None
    share = areas(boxes) / (width * height)
    cut = _cut(boxes, width, height)
    asked = np.interp(share, [SMALL, LARGE], [SURE, FAINTEST])
    able = (scores >= asked) & (share >= TINY) & ((cut == 0) | (share >= SMALL))
    if not able.any():
        able = (scores >= BARELY) & (share >= WHOLE) & (cut == 0) & _shaped(boxes)
    if not able.any():
        return None
    best = int(np.argmax(np.where(able, np.sqrt(share * scores) * _place(boxes, width, height), -1.0)))
    return None if scores[best] < SURE and cut[best] >= 3 else best


def _shaped(boxes: Boxes) -> NDArray[np.bool_]:
    """Which boxes have a vehicle's shape."""
    sides = boxes[:, 2:] - boxes[:, :2]
    shaped: NDArray[np.bool_] = (sides[:, 0] >= SHAPES[0] * sides[:, 1]) & (sides[:, 0] <= SHAPES[1] * sides[:, 1])
    return shaped


def _cut(boxes: Boxes, width: float, height: float) -> NDArray[np.int64]:
    """How many of the photo's edges each box touches."""
    x, y = NEAR * width, NEAR * height
    touching = [boxes[:, 0] <= x, boxes[:, 1] <= y, boxes[:, 2] >= width - x, boxes[:, 3] >= height - y]
    edges: NDArray[np.int64] = np.sum(touching, axis=0, dtype=np.int64)
    return edges


def _place(boxes: Boxes, width: float, height: float) -> NDArray[np.float64]:
    """1 in the middle of the photo, `1 - ASIDE` in its corners."""
    centres = (boxes[:, :2] + boxes[:, 2:]) / 2 / [width, height]
    away: NDArray[np.float64] = np.linalg.norm(centres - 0.5, axis=1) / np.sqrt(0.5)
    return 1 - ASIDE * away
