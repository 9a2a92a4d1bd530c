"""Random parts of a photo that a network is shown in training: any, a close-up, a close-up of nothing."""

import numpy as np

Part = tuple[float, float, float, float]
"""x1, y1, x2, y2 in the photo's pixels."""

CLOSE = (0.2, 0.6)
"""Shares of a photo's sides that a close-up has."""


def frame(size: tuple[int, int], least: float, rng: np.random.Generator, most: float = 1.0) -> Part:
    """A random part of a photo, each side `least` to `most` of its own; x1, y1, x2, y2."""
    width, height = size
    w, h = width * rng.uniform(least, most), height * rng.uniform(least, most)
    x, y = rng.uniform(0, width - w), rng.uniform(0, height - h)
    return x, y, x + w, y + h


def close_frame(size: tuple[int, int], around: tuple[float, float], rng: np.random.Generator) -> Part:
    """A close-up: a part of a photo with the point `around` anywhere in it, each side a fifth to three fifths of the
    photo's; x1, y1, x2, y2."""
    share, place = rng.uniform(*CLOSE, 2), rng.uniform(0, 1, 2)
    sides = np.array(size) * share
    x, y = np.clip(np.array(around) - place * sides, 0, np.array(size) - sides)
    return float(x), float(y), float(x + sides[0]), float(y + sides[1])


def bare_frame(size: tuple[int, int], boxes: np.ndarray, rng: np.random.Generator, tries: int = 20) -> Part | None:
    """A random part of a photo that keeps off all `boxes` (n, 4) by a fiftieth of its sides; None where none turned up.

    As small as a close-up, so that what is seen is sound panels.
    """
    gap = np.array([-size[0], -size[1], size[0], size[1]]) / 50
    for _ in range(tries):
        x1, y1, x2, y2 = part = frame(size, CLOSE[0], rng, most=CLOSE[1])
        near = boxes + gap
        clear = (near[:, 0] >= x2) | (near[:, 2] <= x1) | (near[:, 1] >= y2) | (near[:, 3] <= y1)
        if clear.all():
            return part
    return None
