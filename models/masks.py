"""Answers as masks: a class for every pixel, or a picture for each thing found, at the photo's full upright size."""

import io
import json
import re
import zipfile
import zlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from PIL.PngImagePlugin import PngInfo

from models.drawing import Color

Legend = Mapping[str, Color]
"""The labels in their order, each with its colour; the index of a label is 1 + its place, 0 is background."""

MOST_LABELS = 255
"""An index is one byte."""

LEGEND_KEY = "legend"
"""The keyword of the PNG's text chunk that tells the legend."""


@dataclass(frozen=True, slots=True)
class Mask:
    """One thing found: its label, how sure that is, and its outlines, each `[x, y, x, y, …]` in the photo's own upright
    pixels. A point in any of them is in the mask; without any the mask is empty."""

    label: str
    score: float
    polygons: Sequence[Sequence[float]]


def classes(masks: Sequence[Mask], legend: Legend, width: int, height: int) -> NDArray[np.uint8]:
    """The index of each pixel's class, (height, width). Where masks overlap the surer one wins, of equals the first.
    Raises `KeyError` for a label that the legend lacks."""
    indices = {label: number for number, label in enumerate(legend, 1)}
    canvas = np.zeros((height, width), np.uint8)
    for mask in sorted(masks, key=lambda one: -one.score)[::-1]:
        _paint(canvas, mask, indices[mask.label])
    return canvas


def class_png(masks: Sequence[Mask], legend: Legend, width: int, height: int) -> bytes:
    """The classes as a PNG with a palette of the legend's colours, background black, and the legend as text."""
    canvas = classes(masks, legend, width, height)
    image = Image.frombuffer("P", (width, height), canvas, "raw", "P", 0, 1)
    image.putpalette([channel for color in [(0, 0, 0), *legend.values()] for channel in color])
    told = PngInfo()
    told.add_text(LEGEND_KEY, json.dumps(told_legend(legend)))
    return _png(image, told)


def told_legend(legend: Legend) -> list[dict[str, object]]:
    """The legend as JSON: index, label and colour (`#RRGGBB`) of each class, in their order."""
    return [
        {"index": number, "label": label, "color": "#{:02X}{:02X}{:02X}".format(*color)}
        for number, (label, color) in enumerate(legend.items(), 1)
    ]


def mask_pngs(masks: Sequence[Mask], width: int, height: int) -> Iterator[bytes]:
    """Each mask as a grey PNG, 255 in it and 0 beside it; one at a time, all on one canvas."""
    canvas = np.zeros((height, width), np.uint8)
    for mask in masks:
        _paint(canvas, mask, 255)
        yield _png(Image.frombuffer("L", (width, height), canvas, "raw", "L", 0, 1))
        canvas.fill(0)


def archive(masks: Sequence[Mask], legend: Legend, width: int, height: int, answer: bytes) -> bytes:
    """A zip file of `answer.json`, `classes.png` and `NN_label.png` for each mask, NN its place among them from 00."""
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as packed:
        _pack(packed, "answer.json", answer, zipfile.ZIP_DEFLATED)
        _pack(packed, "classes.png", class_png(masks, legend, width, height))
        for number, (mask, png) in enumerate(zip(masks, mask_pngs(masks, width, height), strict=True)):
            _pack(packed, f"{number:02d}_{_in_a_name(mask.label)}.png", png)
    return file.getvalue()


def _pack(packed: zipfile.ZipFile, name: str, data: bytes, how: int = zipfile.ZIP_STORED) -> None:
    entry = zipfile.ZipInfo(name)  # without a date: the same answer makes the same file
    entry.external_attr = 0o644 << 16
    packed.writestr(entry, data, how)


def _in_a_name(label: str) -> str:
    return re.sub(r"[^\w-]+", "_", label)[:80]


def _paint(canvas: NDArray[np.uint8], mask: Mask, value: int) -> None:
    """Sets the pixels whose centres lie in any of the mask's outlines."""
    for polygon in mask.polygons:
        for row, start, end in runs(polygon, *canvas.shape):
            canvas[row, start:end] = value


def runs(polygon: Sequence[float], height: int, width: int) -> Iterator[tuple[int, int, int]]:
    """Row, first column and the column after the last of each run of pixels whose centres lie in the polygon, by the
    even-odd rule: the edges that cross a row, from left to right, lead in and out by turns. It may reach over the
    edges of the photo."""
    x1, y1 = np.asarray(polygon, np.float64).reshape(-1, 2).T
    x2, y2 = np.roll(x1, -1), np.roll(y1, -1)
    # an edge crosses the rows whose centres are from its upper end on and above its lower one
    first, after = (np.clip(np.ceil(end(y1, y2) - 0.5), 0, height).astype(np.int64) for end in (np.minimum, np.maximum))
    counts = after - first
    edges = np.repeat(np.arange(len(x1)), counts)
    rows = np.arange(counts.sum()) + np.repeat(first - np.cumsum(counts) + counts, counts)
    slopes = (x2[edges] - x1[edges]) / (y2[edges] - y1[edges])
    crossings = x1[edges] + (rows + 0.5 - y1[edges]) * slopes
    columns = np.clip(np.ceil(crossings - 0.5), 0, width).astype(np.int64)
    order = np.lexsort((columns, rows))
    rows, columns = rows[order], columns[order]
    return zip(rows[::2].tolist(), columns[::2].tolist(), columns[1::2].tolist(), strict=True)


def _png(image: Image.Image, told: PngInfo | None = None) -> bytes:
    """Masks are long runs of one value: looking for these alone is the quickest, and makes the smallest file."""
    file = io.BytesIO()
    image.save(file, "PNG", compress_level=1, compress_type=zlib.Z_RLE, pnginfo=told)
    return file.getvalue()
