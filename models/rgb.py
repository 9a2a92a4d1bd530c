"""Any mode a decoder answers in to RGB, 8 bits a channel, alpha over white; and orientation applied."""

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from models.formats import UndecodableImage

_BITS_PER_SAMPLE, _PHOTOMETRIC = 258, 262
_WHITE_IS_ZERO = 0


def rgb(image: Image.Image) -> NDArray[np.uint8]:
    """Decodes `image`: uint8 (height, width, 3). Raises `UndecodableImage` and whatever the decoder raises."""
    if image.mode == "I" or image.mode.startswith("I;16"):
        return _gray(image)
    if image.mode in ("F", "LAB"):
        kind = "floating-point samples" if image.mode == "F" else "the LAB colour space"
        raise UndecodableImage(f"A photo with {kind} is not read. Save it as RGB with 8 or 16 bits a channel.")
    if image.has_transparency_data:
        return _over_white(image)
    return np.asarray(image if image.mode == "RGB" else image.convert("RGB"))


def _gray(image: Image.Image) -> NDArray[np.uint8]:
    # Pillow's own conversion to RGB clips at 255, so that nearly all of such a photo turns white.
    values = np.asarray(image)
    tags = getattr(image, "tag_v2", {})
    bits = 16
    if image.mode == "I":
        if values.min(initial=0) < 0 or values.max(initial=0) > 0xFFFF:
            raise UndecodableImage("A photo with 32-bit samples is not read. Save it with 8 or 16 bits a channel.")
    elif tags.get(_BITS_PER_SAMPLE) in (12, (12,)):
        bits = 12
    gray = (values >> (bits - 8)).astype(np.uint8)
    if image.mode != "I" and tags.get(_PHOTOMETRIC) == _WHITE_IS_ZERO:
        gray = np.invert(gray)
    transparent = image.info.get("transparency")
    if isinstance(transparent, int):
        gray[values == transparent] = 255
    return np.repeat(gray[..., np.newaxis], 3, axis=2)


def _over_white(image: Image.Image) -> NDArray[np.uint8]:
    if image.mode == "La":
        image = image.convert("LA")
    rgba = image.convert("RGBA")
    alpha = rgba.getchannel("A")
    if alpha.getextrema() == (255, 255):
        return np.asarray(rgba.convert("RGB"))
    white = Image.new("RGB", rgba.size, "white")
    white.paste(rgba, mask=alpha)
    return np.asarray(white)


def upright(pixels: NDArray[np.uint8], orientation: int) -> NDArray[np.uint8]:
    """The EXIF orientation (1-8) undone: rows and columns exchanged from 5 on."""
    if orientation == 1:
        return pixels
    # A pixel as one item of three bytes moves twice as fast as three items of one.
    whole = np.ascontiguousarray(pixels).view("V3")[..., 0]
    if orientation >= 5:
        whole = whole.T
    if orientation in (2, 3, 6, 7):
        whole = whole[:, ::-1]
    if orientation in (3, 4, 7, 8):
        whole = whole[::-1]
    height, width = whole.shape
    return np.ascontiguousarray(whole).view(np.uint8).reshape(height, width, 3)
