"""Which region of the photo a predictor reads: the caller's box, what another predictor found, or all of it."""

import math
import re
from collections.abc import Container, Mapping

from app.errors import InvalidOption
from app.schemas import AnyPredictor
from models.photo import Header, Region, clip_box, whole
from models.predictor import Options, Specification

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


def source(specification: Specification, box: Box | None, options: Options, served: Container[str]) -> str:
    """The first of the specification's sources that there is: `box`, `photo`, or a served predictor's name."""
    for one in specification.regions:
        if one == "box":
            if box is not None:
                return one
        elif one == "photo" or (one in served and getattr(options, "vehicle", "auto") != "whole"):
            return one
    return "photo"


def named(box: Box | None, header: Header) -> Region:
    """The caller's box, cut to the photo; all of the photo without one. Raises `InvalidOption`."""
    if box is None:
        return whole(header)
    region = clip_box(*box, header)
    if region is None or region.x2 - region.x1 < LEAST or region.y2 - region.y1 < LEAST:
        raise InvalidOption(
            f"Nothing is left of `box` inside the photo, which is {header.width} x {header.height} pixels "
            "after EXIF orientation. Give it in those pixels, or leave it out."
        )
    return region


def scale_for(specification: Specification, region: Region) -> float:
    """The fraction of full size at which the photo still has the pixels this predictor reads, at most 1."""
    width, height = specification.reads
    return min(1.0, max(width / (region.x2 - region.x1), height / (region.y2 - region.y1)))


def check(predictors: Mapping[str, AnyPredictor]) -> None:
    """At start: raises `ValueError` where predictors wait for each other's regions in a circle."""
    for name in predictors:
        _follow(name, predictors, [])


def _follow(name: str, predictors: Mapping[str, AnyPredictor], way: list[str]) -> None:
    if name in way:
        raise ValueError(f"predictors read each other's regions in a circle: {' <- '.join([*way, name])}")
    for other in predictors[name].specification.finders:
        if other in predictors:
            _follow(other, predictors, [*way, name])
