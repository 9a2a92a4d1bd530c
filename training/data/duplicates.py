"""Photos that show the same, found by a perceptual hash: other sizes, other quality, small crops of one picture."""

import imagehash
import numpy as np
from numpy.typing import NDArray
from PIL import Image

from models.photo import Header, PhotoError, decode
from training.data.archive import photo_header

Hashes = NDArray[np.uint64]
NEAR = 8
"""Bits of 64 in which two photos may differ and still count as the same."""

FINE = 64
"""Pixels of the shorter side that are enough: the hash is made of 32 x 32."""


def perceptual_hash(data: bytes, header: Header | None = None) -> int:
    """64 bits of pHash (DCT of 32 x 32 grey pixels; Zauner 2010). `header` is the photo's, where it was read before.
    `ValueError` says why a photo cannot be read."""
    header = header or photo_header(data)
    try:
        pixels = decode(data, header, min(1.0, FINE / min(header.width, header.height))).pixels
    except PhotoError as error:
        raise ValueError(f"the photo cannot be read: {error}") from None
    return int(str(imagehash.phash(Image.fromarray(pixels))), 16)


def near(known: Hashes, one: int) -> NDArray[np.intp]:
    """Places of those of `known` that show the same as `one`."""
    return np.flatnonzero(np.bitwise_count(known ^ np.uint64(one)) <= NEAR)
