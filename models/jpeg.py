"""JPEG: the header read by its segments, the pixels through libjpeg-turbo, scaled while they are decoded."""

import io
from dataclasses import dataclass

import numpy as np
import simplejpeg
from numpy.typing import NDArray
from PIL import Image

from models import exif
from models.formats import UndecodableImage, damaged, ends_early

MAX_SEGMENTS = 10_000
# A scan costs a pass over all blocks and may cost no bytes; encoders write about ten, some patient ones thirty.
MAX_SCANS = 100

_START_OF_FRAME = frozenset(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC}
_WITHOUT_LENGTH = frozenset(range(0xD0, 0xD8)) | {0x00, 0x01}
_EOI, _SOS, _APP1, _APP14, _COMMENT = 0xD9, 0xDA, 0xE1, 0xEE, 0xFE

# What libjpeg only remarks on: the pixels are all there. Everything else it warns of means that some are not.
_HARMLESS = ("extraneous bytes", "Invalid SOS parameters", "JFIF revision", "Adobe color transform")


@dataclass(frozen=True, slots=True)
class Frame:
    """What the segments before the first scan say. Sizes are as stored, before orientation."""

    width: int
    height: int
    components: int
    orientation: int
    tables: bytes
    """The stream up to the first scan, without what is only said about the photo (EXIF, ICC, thumbnails)."""
    scan: int
    """Where the first scan's segment begins."""


def read(data: bytes) -> Frame:
    """The first picture's frame. Raises `UndecodableImage`."""
    size: tuple[int, int, int] | None = None
    orientation: int | None = None
    kept = [b"\xff\xd8"]
    position = 2
    for _ in range(MAX_SEGMENTS):
        position = data.find(b"\xff", position)
        while position >= 0 and data[position + 1 : position + 2] == b"\xff":
            position += 1
        if position < 0 or position + 4 > len(data):
            raise ends_early("JPEG")
        marker = data[position + 1]
        if marker in _WITHOUT_LENGTH:
            position += 2
            continue
        end = position + 2 + int.from_bytes(data[position + 2 : position + 4], "big")
        if marker == _SOS and size is not None:
            return Frame(*size, orientation or 1, b"".join(kept), position)
        if marker in (_EOI, _SOS) or end < position + 4:
            raise damaged("JPEG")
        if end > len(data):
            raise ends_early("JPEG")
        segment = data[position + 4 : end]
        if marker in _START_OF_FRAME and size is None:
            size = _size(segment)
        if marker == _APP1 and orientation is None and segment.startswith(b"Exif\0\0"):
            orientation = exif.orientation(segment)
        if marker == _APP14 or not (0xE0 <= marker <= 0xEF or marker == _COMMENT):
            kept.append(data[position:end])
        position = end
    raise damaged("JPEG")


def _size(segment: bytes) -> tuple[int, int, int]:
    if len(segment) < 6:
        raise damaged("JPEG")
    height, width = int.from_bytes(segment[1:3], "big"), int.from_bytes(segment[3:5], "big")
    if not width or not height:
        raise UndecodableImage("The JPEG header names a photo without pixels. Save the photo again and send that.")
    return width, height, segment[5]


def decode(data: bytes, frame: Frame, divisor: int) -> NDArray[np.uint8]:
    """RGB pixels as stored, at 1/`divisor` (1, 2, 4, 8) of the frame's size, rounded up. Releases the GIL.

    A stream that ends early or has holes is an error, never grey filler. Raises `UndecodableImage`, `ValueError`.
    """
    # What looks like a scan's marker may stand in metadata: the cheap count first, the exact one where it matters.
    if data.count(b"\xff\xda") > MAX_SCANS and _scans(data, frame.scan) > MAX_SCANS:
        raise UndecodableImage(f"The JPEG has more than {MAX_SCANS} scans. Save the photo again and send that.")
    height, width = -(-frame.height // divisor), -(-frame.width // divisor)
    try:
        found = simplejpeg.decode_jpeg_header(data, strict=False)
    except ValueError as error:
        if "subsampling" not in str(error):
            raise
        return _by_pillow(data, frame, divisor)
    if found[:2] != (frame.height, frame.width):
        raise damaged("JPEG")
    # simplejpeg: 12 MP at full size in 55 ms where Pillow's draft takes 150, at a half 45 against 55, below alike.
    colours = "CMYK" if frame.components == 4 else "RGB"
    try:
        pixels = _by_turbo(data, colours, width, height, divisor, strict=True)
    except ValueError as error:
        if not any(remark in str(error) for remark in _HARMLESS):
            raise
        pixels = _by_turbo(data, colours, width, height, divisor, strict=False)
    if pixels.shape[:2] != (height, width):
        raise damaged("JPEG")
    return pixels if frame.components != 4 else _from_cmyk(pixels)


def _by_turbo(data: bytes, colours: str, width: int, height: int, divisor: int, strict: bool) -> NDArray[np.uint8]:
    return np.asarray(
        simplejpeg.decode_jpeg(data, colours, min_height=height, min_width=width, min_factor=divisor, strict=strict)
    )


def _from_cmyk(pixels: NDArray[np.uint8]) -> NDArray[np.uint8]:
    # Every program that writes CMYK JPEG stores it inverted, as Adobe does, marked or not.
    height, width = pixels.shape[:2]
    image = Image.frombuffer("CMYK", (width, height), np.invert(pixels), "raw", "CMYK", 0, 1)
    return np.asarray(image.convert("RGB"))


def _by_pillow(data: bytes, frame: Frame, divisor: int) -> NDArray[np.uint8]:
    # TurboJPEG knows the usual chroma subsamplings alone; libjpeg itself, under Pillow, knows all.
    with Image.open(io.BytesIO(frame.tables + data[frame.scan :]), formats=["JPEG"]) as image:
        if image.size != (frame.width, frame.height):
            raise damaged("JPEG")
        image.draft(None, (max(1, frame.width // divisor), max(1, frame.height // divisor)))
        return np.asarray(image.convert("RGB"))


def _scans(data: bytes, position: int) -> int:
    """How many scans the first picture has, counted no further than needed."""
    scans = 0
    while scans <= MAX_SCANS:
        position = data.find(b"\xff", position)
        if position < 0 or position + 4 > len(data):
            break
        marker = data[position + 1]
        if marker == _EOI:
            break
        if marker == 0xFF:
            position += 1
        elif marker in _WITHOUT_LENGTH:
            position += 2
        else:
            scans += marker == _SOS
            position += 2 + max(2, int.from_bytes(data[position + 2 : position + 4], "big"))
    return scans
