"""Small mask probabilities to outlines in photo pixels, as polygons or as COCO run lengths."""

from collections.abc import Sequence

import numpy as np
from contourpy import LineType, contour_generator
from numpy.typing import NDArray
from pycocotools import mask as coco  # type: ignore[import-untyped]

from models.answers import PolygonMask, RleMask

Ring = NDArray[np.float64]


def trace(probabilities: NDArray[np.floating], box: tuple[float, float, float, float]) -> list[Ring]:
    """Outer rings (n, 2) as x, y in photo pixels of a mask (side, side) that spans `box` (x1, y1, x2, y2), at
    probability 0.5, or at four fifths of its peak where it never gets there. Marching squares: sub-pixel, no stairs."""
    side = len(probabilities)
    padded = np.zeros((side + 2, side + 2))
    padded[1:-1, 1:-1] = probabilities
    level = min(0.5, 0.8 * float(padded.max()))
    if level <= 0:
        return []
    lines = contour_generator(z=padded, line_type=LineType.Separate).lines(level)
    x1, y1, x2, y2 = box
    scale = np.array([(x2 - x1) / side, (y2 - y1) / side])
    corner = np.array([x1, y1])
    rings = [np.clip((np.asarray(line) - 0.5) * scale, 0, scale * side) + corner for line in lines]
    # Holes run the other way round than outer rings; COCO's polygons cannot say "hole", so they are filled.
    areas = [signed_area(ring) for ring in rings]
    outer = max(areas, key=abs, default=0.0)
    smallest = max(1.0, 0.002 * abs(outer))
    return [ring for ring, area in zip(rings, areas, strict=True) if area * outer > 0 and abs(area) >= smallest]


def inside(polygons: Sequence[Sequence[float]], xs: Ring, ys: Ring) -> NDArray[np.bool_]:
    """Which points of the grid `xs` (columns,) by `ys` (rows,), both ascending, lie in any of the polygons, each
    `[x, y, x, y, …]`: bool (rows, columns). By the even-odd rule, row by row: every edge that crosses a row turns
    outside to inside for all that is to the right of it, or back."""
    found = np.zeros((len(ys), len(xs)), bool)
    for polygon in polygons:
        x1, y1 = np.asarray(polygon, np.float64).reshape(-1, 2).T
        x2, y2 = np.roll(x1, -1), np.roll(y1, -1)
        rows, edges = np.nonzero((y1 <= ys[:, None]) != (y2 <= ys[:, None]))
        slope = (x2[edges] - x1[edges]) / (y2[edges] - y1[edges])
        columns = np.searchsorted(xs, x1[edges] + (ys[rows] - y1[edges]) * slope)
        turns = np.zeros((len(ys), len(xs) + 1), np.intp)
        np.add.at(turns, (rows, columns), 1)
        found |= turns[:, :-1].cumsum(axis=1) % 2 == 1
    return found


def signed_area(ring: Ring) -> float:
    """Shoelace formula, in square pixels; the sign tells the direction."""
    x, y = ring[:, 0], ring[:, 1]
    return float(np.dot(x, np.roll(y, -1)) - np.dot(y, np.roll(x, -1))) / 2


def polygons(rings: list[Ring]) -> PolygonMask:
    """Rings as flat lists, a tenth of a pixel exact."""
    return PolygonMask(polygons=[np.round(ring[:-1], 1).ravel().tolist() for ring in rings])


def run_lengths(rings: list[Ring], width: int, height: int) -> RleMask:
    """Rings as COCO's compressed run lengths over the whole photo."""
    if rings:
        merged = coco.merge(coco.frPyObjects([ring.ravel().tolist() for ring in rings], height, width))
    else:
        merged = coco.encode(np.zeros((height, width), np.uint8, order="F"))
    return RleMask(size=[height, width], counts=merged["counts"].decode("ascii"))
