"""Bytes to `Photo`: header first, limits before allocation, then pixels, upright and RGB."""

import io
import math
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace

import numpy as np
import pillow_heif
from numpy.typing import NDArray
from PIL import AvifImagePlugin, Image, TiffImagePlugin, WebPImagePlugin  # noqa: F401 - they register themselves

from models import avif, containers, exif, jpeg
from models.formats import (
    EmptyImage,
    ImageTooLarge,
    PhotoError,
    UndecodableImage,
    UnsupportedFormat,
    damaged,
    ends_early,
    recognise,
)
from models.rgb import rgb, upright

__all__ = [
    "EmptyImage",
    "Header",
    "ImageTooLarge",
    "Limits",
    "Photo",
    "PhotoError",
    "Region",
    "UndecodableImage",
    "UnsupportedFormat",
    "around",
    "clip_box",
    "decode",
    "fitted",
    "read_header",
    "whole",
]

# Threads come from the caller, one photo each; and only the photo itself is wanted of a HEIC file.
pillow_heif.register_heif_opener(thumbnails=False, depth_images=False, aux_images=False, decode_threads=1)
AvifImagePlugin.DEFAULT_MAX_THREADS = 1
# Pillow's guard against bombs is a warning at one fixed size and an error at twice that. `Limits` take its place:
# they are checked before anything opened here is decoded.
Image.MAX_IMAGE_PIXELS = None

# Now, not with the first photo: a decoder that cannot be imported then, for want of a file descriptor, is no damage.
Image.preinit()

LETTERBOX_GREY = 114


@dataclass(frozen=True, slots=True)
class Limits:
    """What is refused from the header alone: total pixels and pixels a side."""

    max_pixels: int = 60_000_000
    max_side: int = 16_384


@dataclass(frozen=True, slots=True)
class Header:
    """What a photo says of itself. `width` and `height` are pixels after EXIF orientation (1-8) is applied."""

    width: int
    height: int
    format: str
    exif_orientation: int = 1


@dataclass(frozen=True, slots=True)
class Region:
    """A part of a photo, in its full-size upright pixels; `source` says who named it: `box` (the caller), `whole`
    (nobody), or the predictor that found it (`vehicle`, …), which may also say what is there: `label`. `fallback`: it
    is all of the photo only because the predictor that was to find it failed."""

    x1: float
    y1: float
    x2: float
    y2: float
    source: str = "whole"
    score: float | None = None
    label: str | None = None
    fallback: bool = False


@dataclass(frozen=True, slots=True)
class Photo:
    """Upright RGB pixels, uint8 (height, width, 3); a JPEG maybe decoded at 1/2, 1/4 or 1/8 of `header`'s size."""

    header: Header
    pixels: NDArray[np.uint8]

    def resized(self, region: Region, width: int, height: int) -> NDArray[np.uint8]:
        """The region scaled to `width` x `height`, aspect not kept: uint8 (height, width, 3), bilinear, antialiased.

        What reaches over the photo's edge is cut off first; a region under one decoded pixel is widened to one."""
        rows, columns = self.pixels.shape[:2]
        x1, x2 = _span(region.x1, region.x2, columns / self.header.width, columns)
        y1, y2 = _span(region.y1, region.y2, rows / self.header.height, rows)
        # Pillow takes pixels over by copying them, so it gets no more than the filter reaches.
        left, right = _reach(x1, x2, width, columns)
        top, bottom = _reach(y1, y2, height, rows)
        part = Image.fromarray(np.ascontiguousarray(self.pixels[top:bottom, left:right]))
        box = (x1 - left, y1 - top, x2 - left, y2 - top)
        return np.array(part.resize((width, height), Image.Resampling.BILINEAR, box=box))

    def letterboxed(self, region: Region, width: int, height: int) -> NDArray[np.uint8]:
        """The region scaled to fit `width` x `height`, aspect kept, at the top left; the rest is 114, the grey of
        YOLOX. As `resized` else; `fitted` gives the size that the region gets."""
        columns, rows = fitted(region, width, height)
        canvas = np.full((height, width, 3), LETTERBOX_GREY, np.uint8)
        canvas[:rows, :columns] = self.resized(region, columns, rows)
        return canvas


def fitted(region: Region, width: int, height: int) -> tuple[int, int]:
    """Width and height, whole pixels, at least one each, of the largest copy of the region inside `width` x `height`.
    The region lies within its photo; a side under a pixel counts as one."""
    across, down = max(1.0, region.x2 - region.x1), max(1.0, region.y2 - region.y1)
    scale = min(width / across, height / down)
    return min(width, max(1, int(across * scale + 1e-6))), min(height, max(1, int(down * scale + 1e-6)))


def _span(start: float, end: float, scale: float, length: int) -> tuple[float, float]:
    """One side of a region in decoded pixels, inside the photo and at least one pixel long."""
    if not (math.isfinite(start) and math.isfinite(end)):
        raise ValueError(f"a region needs finite edges, not {start}, {end}")
    start, end = (min(max(edge * scale, 0.0), float(length)) for edge in (start, end))
    if end - start < 1.0:
        start = min(max((start + end - 1.0) / 2, 0.0), length - 1.0)
        end = start + 1.0
    return start, end


def _reach(start: float, end: float, size: int, length: int) -> tuple[int, int]:
    margin = max(1.0, (end - start) / size) + 1.0
    return max(0, math.floor(start - margin)), min(length, math.ceil(end + margin))


TIGHT = 0.5
"""Share of the photo from which on a vehicle is not cut out."""


def whole(header: Header) -> Region:
    """All of the photo."""
    return Region(0.0, 0.0, float(header.width), float(header.height), "whole")


def clip_box(x1: float, y1: float, x2: float, y2: float, header: Header) -> Region | None:
    """The box cut to the photo; None where nothing of it is left (or it has no area, or a coordinate is NaN)."""
    left, right = max(x1, 0.0), min(x2, float(header.width))
    top, bottom = max(y1, 0.0), min(y2, float(header.height))
    if any(map(math.isnan, (x1, y1, x2, y2))) or left >= right or top >= bottom:
        return None
    return Region(left, top, right, bottom, "box")


def around(region: Region, margin: float, header: Header) -> Region | None:
    """The region with a margin, a share of its own sides, on each side, cut to the photo; None where nothing of it
    lies there."""
    across, down = margin * (region.x2 - region.x1), margin * (region.y2 - region.y1)
    cut = clip_box(region.x1 - across, region.y1 - down, region.x2 + across, region.y2 + down, header)
    return cut and replace(region, x1=cut.x1, y1=cut.y1, x2=cut.x2, y2=cut.y2)


def framed(region: Region, margin: float, header: Header) -> Region | None:
    """What is read of a photo for a vehicle in that region: the region with its margin; all of the photo where that
    takes `TIGHT` of it, as such a photo is cut to its vehicle already. None where nothing of it lies there."""
    cut = around(region, margin, header)
    if cut and (cut.x2 - cut.x1) * (cut.y2 - cut.y1) >= TIGHT * header.width * header.height:
        return whole(header)
    return cut


def read_header(data: bytes, limits: Limits) -> Header:
    """Format and size from the first bytes, nothing allocated. Raises a `PhotoError`."""
    format = recognise(data)
    with _refused(format):
        if format == "JPEG":
            frame = jpeg.read(data)
            width, height, orientation = frame.width, frame.height, frame.orientation
            _check(width, height, limits)
        else:
            container = _container(data, format)
            if container:
                _check(container.width, container.height, limits)
                if container.area > limits.max_pixels:
                    raise ImageTooLarge(f"The {format} data is in tiles of {container.area:,} pixels. Save it without.")
            elif format == "AVIF":
                for size in avif.sizes(data):
                    _check(*size, limits)
            with _opened(container.data if container else data, format) as image:
                width, height = image.size
                orientation = _orientation(image, container)
            _check(width, height, limits)
    if _undone(data, format, orientation) >= 5:
        width, height = height, width
    return Header(width, height, format, orientation)


def decode(data: bytes, header: Header, scale: float = 1.0) -> Photo:
    """Pixels at `scale` (0-1] of full size or the next finer step the format offers. Raises `UndecodableImage`."""
    if not scale > 0:
        raise ValueError(f"scale must be over 0, not {scale}")
    size = (header.width, header.height)
    turned = _undone(data, header.format, header.exif_orientation)
    stored = (size[1], size[0]) if turned >= 5 else size
    with _refused(header.format):
        if header.format == "JPEG":
            frame = jpeg.read(data)
            divisor = next(step for step in (8, 4, 2, 1) if step == 1 or scale * step <= 1)
            if (frame.width, frame.height) != stored:
                raise damaged("JPEG")
            pixels = jpeg.decode(data, frame, divisor)
        else:
            container = _container(data, header.format)
            with _opened(container.data if container else data, header.format) as image:
                if image.size != stored:
                    raise damaged(header.format)
                pixels = rgb(image)
            if pixels.shape != (stored[1], stored[0], 3):
                raise damaged(header.format)
        return Photo(header, upright(pixels, turned))


def _check(width: int, height: int, limits: Limits) -> None:
    if width > limits.max_side or height > limits.max_side or width * height > limits.max_pixels:
        raise ImageTooLarge(
            f"The photo is {width} x {height} pixels. Send at most {limits.max_pixels / 1e6:g} megapixels and "
            f"{limits.max_side} pixels a side."
        )


_READERS = {"GIF": containers.gif, "PNG": containers.png, "TIFF": containers.tiff, "WEBP": containers.webp}


def _container(data: bytes, format: str) -> containers.Container | None:
    """What can be said of the file before its decoder sees it; None for the formats that hide nothing."""
    if format in ("AVIF", "HEIC"):
        containers.check_boxes(data, format)
    reader = _READERS.get(format)
    return reader(data) if reader else None


def _opened(data: bytes, format: str) -> Image.Image:
    return Image.open(io.BytesIO(data), formats=["HEIF" if format == "HEIC" else format])


def _orientation(image: Image.Image, container: containers.Container | None) -> int:
    """The container's, or else what stands in the EXIF data the decoder found; pillow-heif has set that one back."""
    if container and container.orientation != 1:
        return container.orientation
    if image.format == "HEIF":
        value = image.info.get("original_orientation")
        return value if isinstance(value, int) and 1 <= value <= 8 else 1
    data = image.info.get("exif")
    return exif.orientation(data) if isinstance(data, bytes) else 1


def _undone(data: bytes, format: str, orientation: int) -> int:
    """The orientation that is left to undo: a HEIC file with turns of its own comes upright from its decoder, and its
    EXIF only repeats them."""
    turns = b"\0\0\0\x09irot" in data or b"\0\0\0\x09imir" in data
    return 1 if format == "HEIC" and turns else orientation


_SIGNS_OF_AN_END = ("truncat", "premature", "end of file", "eof", "ends early", "no more data", "not enough data")


@contextmanager
def _refused(format: str) -> Iterator[None]:
    """Whatever a decoder raises on hostile bytes becomes a `PhotoError` with a sentence that helps."""
    try:
        yield
    except PhotoError:
        raise
    except Exception as error:
        if isinstance(error, OSError) and error.errno is not None:
            raise  # the machine's trouble, not the photo's: decoders' own errors have no number
        early = any(sign in str(error).lower() for sign in _SIGNS_OF_AN_END)
        raise (ends_early(format) if early else damaged(format)) from error
