"""Outlines to pixels."""

from collections.abc import Sequence

import numpy as np
from PIL import Image, ImageDraw


def rasterise(rings: Sequence[np.ndarray], width: int, height: int) -> np.ndarray:
    """Rings in pixels to a mask uint8 (height, width) of 0 and 1."""
    mask = Image.new("L", (width, height))
    for ring in rings:
        ImageDraw.Draw(mask).polygon([(float(x), float(y)) for x, y in ring], fill=1)
    return np.asarray(mask)
