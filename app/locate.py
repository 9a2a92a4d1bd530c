"""Which region of the photo a predictor reads: the caller's box, or all of it."""

import math
import re

from app.errors import InvalidOption
from models.photo import Header, Region
from models.predictor import Specification

Box = tuple[float, float, float, float]

NUMBER = re.compile(r"[+-]?(\d+(\.\d*)?|\.\d+)([eE][+-]?\d+)?", re.ASCII)
LEAST = 1.0
"""Pixels a side that must be left of a box after it is cut to the photo."""


def parse_box(text: str) -> Box:
    """`x1,y1,x2,y2`, four finite numbers with x1 < x2 and y1 < y2. Raises `InvalidOption`."""
    parts = [part.strip() for part in text.split(",")]
    if len(parts) != 4 or not all(NUMBER.fullmatch(part) for part in parts):
        raise InvalidOption("`box` needs four numbers, x1,y1,x2,y2, in the photo's pixels: box=120,700,2900,2600.")
    x1, y1, x2, y2 = (float(part) for part in parts)
    if not all(math.isfinite(value) for value in (x1, y1, x2, y2)):
        raise InvalidOption("`box` needs four finite numbers, x1,y1,x2,y2.")
    if x1 >= x2 or y1 >= y2:
        raise InvalidOption("`box` needs x1 < x2 and y1 < y2: its upper left corner first, then its lower right one.")
    return x1, y1, x2, y2


def locate(specification: Specification, box: Box | None, header: Header) -> Region:
    """The first region of the specification's that there is, cut to the photo. Raises `InvalidOption`."""
    if box is None or "box" not in specification.regions:
        return Region(0.0, 0.0, float(header.width), float(header.height))
    x1, x2 = (min(max(x, 0.0), float(header.width)) for x in (box[0], box[2]))
    y1, y2 = (min(max(y, 0.0), float(header.height)) for y in (box[1], box[3]))
    if x2 - x1 < LEAST or y2 - y1 < LEAST:
        raise InvalidOption(
            f"Nothing is left of `box` inside the photo, which is {header.width} x {header.height} pixels "
            "after EXIF orientation. Give it in those pixels, or leave it out."
        )
    return Region(x1, y1, x2, y2, source="box")


def scale_for(specification: Specification, region: Region) -> float:
    """The fraction of full size at which the photo still has the pixels this predictor reads, at most 1."""
    width, height = specification.reads
    return min(1.0, max(width / (region.x2 - region.x1), height / (region.y2 - region.y1)))
