"""Answers drawn on a photo: translucent masks, thin outlines, legible labels, one steady colour per class."""

import io
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

Color = tuple[int, int, int]
Box = tuple[float, float, float, float]
MediaType = Literal["image/jpeg", "image/png", "image/webp"]

# Colours that stay apart for every kind of colour blindness (after Okabe and Ito and Paul Tol), bright enough on paint.
_PALETTE: tuple[Color, ...] = (
    (230, 159, 0),
    (0, 158, 224),
    (213, 62, 79),
    (0, 178, 130),
    (240, 228, 66),
    (204, 121, 190),
    (136, 204, 238),
    (0, 90, 181),
    (170, 110, 40),
    (153, 221, 85),
    (255, 170, 187),
    (136, 34, 85),
)
_MASK_OPACITY = 0.34
_HALO_OPACITY = 0.3
_MASK_PIXELS = 2**26


@dataclass(frozen=True, slots=True)
class Drawn:
    """One thing to draw, in the photo's pixels. `polygons` are its outlines, each x, y, x, y, …; without any the box is
    drawn. `color` is an index into the palette (its class's place among the labels) or RGB."""

    label: str
    score: float | None = None
    box: Box | None = None
    polygons: Sequence[Sequence[float]] = ()
    color: int | Color = 0


def palette(index: int) -> Color:
    """The colour of a class, RGB; the same index has the same colour for ever, and repeats after twelve."""
    return _PALETTE[index % len(_PALETTE)]


def draw_instances(pixels: NDArray[np.uint8], instances: Sequence[Drawn]) -> NDArray[np.uint8]:
    """A copy of the photo, RGB uint8 (height, width, 3), with the instances on it; the first is drawn on top."""
    canvas = np.array(pixels)
    style = _Style.of(canvas)
    for instance in reversed(instances):
        _draw_shape(canvas, instance, style)
    image = Image.fromarray(canvas)
    draw = ImageDraw.Draw(image)
    taken: list[Box] = []
    for instance in instances:
        text = instance.label.replace("_", " ")
        if instance.score is not None:
            text += f" {100 * instance.score:.0f}%"
        anchor = _extent(instance)
        if anchor is not None and text.strip():
            taken.append(_draw_label(draw, text, anchor, _color(instance), image.size, taken, style))
    return np.array(image)


def draw_caption(pixels: NDArray[np.uint8], lines: Sequence[str]) -> NDArray[np.uint8]:
    """The photo with lines of text on a dark panel in its lower left corner, for answers without a place."""
    if not lines:
        return pixels
    image = Image.fromarray(np.ascontiguousarray(pixels))
    style = _Style.of(pixels)
    width, height = image.size
    room = width - 4 * style.padding
    texts = [_shortened(line, style, room) for line in lines][
        : max(1, (height - 4 * style.padding) // style.line_height)
    ]
    if not texts:
        return np.array(image)
    panel_width = max(style.font.getlength(text) for text in texts) + 2 * style.padding
    panel_height = len(texts) * style.line_height + style.padding
    left, top = style.padding, max(0, height - style.padding - panel_height)
    panel = Image.new("L", image.size, 0)
    ImageDraw.Draw(panel).rounded_rectangle(
        (left, top, left + panel_width, top + panel_height), radius=style.padding, fill=190
    )
    image.paste((16, 18, 22), mask=panel)
    draw = ImageDraw.Draw(image)
    for row, text in enumerate(texts):
        middle = top + style.padding / 2 + (row + 0.5) * style.line_height
        draw.text((left + style.padding, middle), text, (255, 255, 255), style.font, anchor="lm")
    return np.array(image)


def encode(pixels: NDArray[np.uint8], media_type: MediaType = "image/jpeg", quality: int = 90) -> bytes:
    """RGB uint8 (height, width, 3) as a file. `quality` 1-100 holds for JPEG and WebP; PNG loses nothing."""
    image = Image.fromarray(np.ascontiguousarray(pixels))
    out = io.BytesIO()
    if media_type == "image/png":
        image.save(out, "PNG", compress_level=4)
    elif media_type == "image/webp":
        # The slower methods cost seconds on a photo of 12 megapixels and save a tenth of the size.
        image.save(out, "WEBP", quality=quality, method=2)
    else:
        image.save(out, "JPEG", quality=quality, subsampling=0 if quality >= 90 else 2, optimize=False)
    return out.getvalue()


@dataclass(frozen=True, slots=True)
class _Style:
    """Sizes in pixels, from the photo's: about the same to the eye at 200 and at 8000 pixels."""

    font: ImageFont.FreeTypeFont
    line: int
    padding: int
    line_height: int

    @classmethod
    def of(cls, pixels: NDArray[np.uint8]) -> "_Style":
        height, width = pixels.shape[:2]
        side = (width * height) ** 0.5
        points = max(10, round(side / 48))
        return cls(_font(points), max(2, round(side / 480)), max(2, round(points * 0.3)), round(points * 1.35))


@lru_cache(maxsize=64)
def _font(points: int) -> ImageFont.FreeTypeFont:
    font = ImageFont.load_default(points)
    if not isinstance(font, ImageFont.FreeTypeFont):
        raise RuntimeError("Pillow was built without FreeType: labels cannot be drawn")
    return font


def _color(instance: Drawn) -> Color:
    return palette(instance.color) if isinstance(instance.color, int) else instance.color


def _extent(instance: Drawn) -> Box | None:
    if instance.box is not None:
        return instance.box
    points = [_points(polygon) for polygon in instance.polygons if len(polygon) >= 2]
    if not points:
        return None
    low, high = np.concatenate(points).min(axis=0), np.concatenate(points).max(axis=0)
    return float(low[0]), float(low[1]), float(high[0]), float(high[1])


def _points(polygon: Sequence[float]) -> NDArray[np.float64]:
    return np.asarray(polygon[: len(polygon) // 2 * 2], dtype=np.float64).reshape(-1, 2)


def _outlines(instance: Drawn) -> list[NDArray[np.float64]]:
    outlines = [_points(polygon) for polygon in instance.polygons if len(polygon) >= 6]
    if not outlines and instance.box is not None:
        x1, y1, x2, y2 = instance.box
        outlines = [np.array([[x1, y1], [x2, y1], [x2, y2], [x1, y2]], dtype=np.float64)]
    return outlines


def _draw_shape(canvas: NDArray[np.uint8], instance: Drawn, style: _Style) -> None:
    """Fill and outline, drawn larger and scaled down, on the part of the canvas that the shape touches."""
    outlines = _outlines(instance)
    if not outlines:
        return
    height, width = canvas.shape[:2]
    margin = 2 * style.line + 2
    points = np.concatenate(outlines)
    left, top = (max(0, int(edge) - margin) for edge in points.min(axis=0))
    right, bottom = (
        min(side, int(edge) + margin + 1) for edge, side in zip(points.max(axis=0), (width, height), strict=True)
    )
    if left >= right or top >= bottom:
        return
    # On a large photo a shape's edges are smooth enough with fewer samples, and its masks would fill the memory.
    area = (right - left) * (bottom - top)
    samples = next(samples for samples in (4, 2, 1) if samples == 1 or area * samples**2 <= _MASK_PIXELS)
    size = ((right - left) * samples, (bottom - top) * samples)
    paths = [[(float(x), float(y)) for x, y in (outline - (left, top)) * samples] for outline in outlines]
    part = canvas[top:bottom, left:right]
    if instance.polygons:
        mask = Image.new("L", size)
        for path in paths:
            ImageDraw.Draw(mask).polygon(path, fill=255)
        _blend(part, _color(instance), mask.reduce(samples), _MASK_OPACITY)
    # The dark halo keeps an outline visible on paint of its own colour.
    for color, opacity, wider in (((0, 0, 0), _HALO_OPACITY, 2), (_color(instance), 1.0, 0)):
        mask = Image.new("L", size)
        for path in paths:
            ImageDraw.Draw(mask).line([*path, path[0], path[1]], 255, (style.line + wider) * samples, joint="curve")
        _blend(part, color, mask.reduce(samples), opacity)


def _blend(part: NDArray[np.uint8], color: Color, mask: Image.Image, opacity: float) -> None:
    coverage = np.asarray(mask)
    for row in np.flatnonzero(
        coverage.any(axis=1)
    ):  # by rows: floats of a large photo would take its memory four times
        share = coverage[row][:, np.newaxis] * np.float32(opacity / 255)
        part[row] = (part[row] * (1 - share) + np.array(color, np.float32) * share + 0.5).astype(np.uint8)


def _draw_label(
    draw: ImageDraw.ImageDraw,
    text: str,
    anchor: Box,
    color: Color,
    size: tuple[int, int],
    taken: Sequence[Box],
    style: _Style,
) -> Box:
    text = _shortened(text, style, size[0] - 2 * style.padding)
    width, height = style.font.getlength(text) + 2 * style.padding, style.line_height
    left, top = _place(anchor, width, height, size, taken)
    box = (left, top, left + width, top + height)
    draw.rounded_rectangle(box, radius=max(1, style.padding // 2), fill=color)
    draw.text((left + style.padding, top + height / 2), text, _ink(color), style.font, anchor="lm")
    return box


def _place(
    anchor: Box, width: float, height: float, size: tuple[int, int], taken: Sequence[Box]
) -> tuple[float, float]:
    """Above the shape, else below, inside, beside; moved into the photo; whichever hides the least of other labels."""
    x1, y1, x2, y2 = anchor
    wanted = [
        (x1, y1 - height),
        (x1, y2),
        (x1, y1),
        (x2 - width, y1 - height),
        (x2 - width, y2),
        (x2, y1),
        (x1 - width, y1),
    ]
    wanted += [(x1, y1 - height + sign * step * height) for step in range(1, 9) for sign in (-1, 1)]
    best, least = (0.0, 0.0), float("inf")
    for order, (left, top) in enumerate(wanted):
        inside = (_within(left, size[0] - width), _within(top, size[1] - height))
        moved = abs(inside[0] - left) + abs(inside[1] - top)
        hidden = sum(_overlap((*inside, inside[0] + width, inside[1] + height), other) for other in taken)
        cost = 1000 * hidden + moved + order * height / 10
        if cost < least:
            best, least = inside, cost
    return best


def _within(value: float, most: float) -> float:
    return min(max(value, 0.0), max(most, 0.0))


def _overlap(one: Box, other: Box) -> float:
    across = min(one[2], other[2]) - max(one[0], other[0])
    down = min(one[3], other[3]) - max(one[1], other[1])
    return max(across, 0.0) * max(down, 0.0)


def _ink(background: Color) -> Color:
    """Black or white, whichever stands out more (relative luminance as WCAG 2 has it)."""
    red, green, blue = (_linear(channel / 255) for channel in background)
    luminance = 0.2126 * red + 0.7152 * green + 0.0722 * blue
    return (0, 0, 0) if luminance > 0.179 else (255, 255, 255)


def _linear(channel: float) -> float:
    return channel / 12.92 if channel <= 0.04045 else ((channel + 0.055) / 1.055) ** 2.4


def _shortened(text: str, style: _Style, room: float) -> str:
    if style.font.getlength(text) <= room:
        return text
    while text and style.font.getlength(text + "…") > room:
        text = text[:-1]
    return text.rstrip() + "…"
