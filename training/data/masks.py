"""Masks as run lengths, and as rings that cover the same pixels, holes left out."""

from itertools import pairwise
from typing import Any

import numpy as np
from contourpy import FillType, contour_generator
from numpy.typing import NDArray
from scipy.spatial import KDTree

from training.data.annotated import Ring


def decode(code: dict[str, Any], width: int, height: int) -> NDArray[np.uint8]:
    """COCO's run lengths, plain or compressed, to 0 and 1, uint8 (height, width). `ValueError` says what is wrong."""
    size, counts = code.get("size"), code.get("counts")
    if size != [height, width]:
        raise ValueError(f"the mask's size is {size}, the photo's [{height}, {width}]")
    runs = _runs(counts) if isinstance(counts, str) else counts
    whole = isinstance(runs, list) and all(type(n) is int and n >= 0 for n in runs)
    if not whole or sum(runs) != width * height:
        raise ValueError(f"the mask's run lengths do not add up to {width * height} pixels")
    return np.repeat(np.arange(len(runs)) % 2, runs).astype(np.uint8).reshape(width, height).T


def _runs(counts: str) -> list[int] | None:
    """Compressed run lengths as numbers; None where they are none. Not by pycocotools: it does not look whether they
    fit the photo, and writes past its array where they do not.

    Five bits a character from 48 on, the sixth says that the number goes on; from the fourth number on, the difference
    to the one before the last is stored (COCO's `maskApi.c`).
    """
    runs: list[int] = []
    value = shift = 0
    for character in counts:
        bits = ord(character) - 48
        if not 0 <= bits < 64 or shift > 60:
            return None
        value |= (bits & 31) << shift
        shift += 5
        if bits & 32:
            continue
        if bits & 16:
            value -= 1 << shift
        runs.append(value + (runs[-2] if len(runs) > 2 else 0))
        value = shift = 0
    return runs if shift == 0 else None


def rings(mask: NDArray[np.uint8]) -> list[Ring]:
    """Outlines of a mask (height, width) in pixels, half-way between those inside and outside. A hole is joined to
    its outline by a cut of no width, since a list of rings cannot say "hole"."""
    padded = np.pad(mask.astype(np.float64), 1)
    found, offsets = contour_generator(z=padded, fill_type=FillType.OuterOffset).filled(0.5, 2.0)
    joined = []
    for points, ends in zip(found, offsets, strict=True):
        # Sample n stands for the pixel from n to n + 1, and the padding moved it on by one.
        parts = [points[a : b - 1] - 0.5 for a, b in pairwise(ends)]
        ring = parts[0]
        for hole in parts[1:]:
            ring = _cut(ring, hole)
        joined.append(ring.astype(np.float32))
    return joined


def _cut(ring: NDArray[np.float64], hole: NDArray[np.float64]) -> NDArray[np.float64]:
    """The ring, from its point nearest to the hole once around the hole, and on."""
    gaps, nearest = KDTree(ring).query(hole)
    there = int(gaps.argmin())
    here = int(nearest[there])
    around = np.roll(hole, -there, axis=0)
    return np.concatenate([ring[: here + 1], around, around[:1], ring[here:]])
