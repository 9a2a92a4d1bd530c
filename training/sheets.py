"""Contact sheets: photos side by side with a caption under each, as one JPEG."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont, ImageOps

from models.drawing import Drawn, draw_instances
from training.data.annotated import Instance
from training.findings import Head, Instances
from training.metrics import Matched

WIDTH, GAP, LINE = 1250, 10, 20
BACKGROUND, INK, FAINT = (22, 27, 34), (236, 240, 245), (150, 162, 176)
WHITE = (255, 255, 255)
Pixels = NDArray[np.uint8]


@dataclass(frozen=True, slots=True)
class Tile:
    """One photo and up to three lines under it."""

    pixels: Pixels
    lines: Sequence[str]


def sheet(tiles: Iterable[Tile], width: int = 300, height: int = 225) -> Image.Image:
    """The tiles in rows of about `WIDTH` pixels, each photo fitted into `width` x `height`."""
    rows = list(tiles)
    columns = max(1, min((WIDTH - GAP) // (width + GAP), len(rows)))
    lines = max((len(tile.lines) for tile in rows), default=0)
    down = height + lines * LINE + 6
    count = -(-len(rows) // columns)
    image = Image.new("RGB", (columns * (width + GAP) + GAP, count * (down + GAP) + GAP), BACKGROUND)
    draw, font = ImageDraw.Draw(image), ImageFont.load_default(15)
    for n, tile in enumerate(rows):
        left, top = GAP + n % columns * (width + GAP), GAP + n // columns * (down + GAP)
        photo = ImageOps.contain(Image.fromarray(tile.pixels), (width, height), Image.Resampling.LANCZOS)
        image.paste(photo, (left + (width - photo.width) // 2, top + (height - photo.height) // 2))
        for row, text in enumerate(tile.lines):
            place = (left, top + height + 6 + row * LINE)
            draw.text(place, _cut(text, font, width), FAINT if row else INK, font)
    return image


def _cut(text: str, font: ImageFont.FreeTypeFont | ImageFont.ImageFont, room: int) -> str:
    if font.getlength(text) <= room:
        return text
    while text and font.getlength(text + "…") > room:
        text = text[:-1]
    return text.rstrip() + "…"


def mistakes(head: Head, count: int = 24) -> Image.Image | None:
    """The wrong photos of a head, the surest first; None where all are right."""
    shares, tiles = head.shares, []
    for n in head.worst(count):
        given, true = int(shares[n].argmax()), int(head.truth[n])
        lines = (
            f"given {_plain(head.labels[given])} ({shares[n, given]:.0%})",
            f"true {_plain(head.labels[true])} ({shares[n, true]:.0%})",
            head.files[n],
        )
        tiles.append(Tile(head.read(n), lines))
    return sheet(tiles) if tiles else None


def _plain(label: str) -> str:
    return label.replace("_", " ")


def _drawn(pixels: Pixels, instances: Sequence[Drawn], side: int = 400) -> Pixels:
    """The photo at the size of its tile, so that names on it can be read, with the instances on it."""
    scale = min(1.0, side / max(pixels.shape[:2]))
    size = (max(1, round(pixels.shape[1] * scale)), max(1, round(pixels.shape[0] * scale)))
    small = np.array(Image.fromarray(pixels).resize(size, Image.Resampling.LANCZOS))
    moved = [
        replace(
            one,
            box=tuple(value * scale for value in one.box or ()) or None,
            polygons=[[value * scale for value in ring] for ring in one.polygons],
        )
        for one in instances
    ]
    return draw_instances(small, moved)


def _true(instance: Instance, labels: Sequence[str]) -> Drawn:
    rings = [ring.ravel().tolist() for ring in instance.rings]
    return Drawn(f"missed {labels[instance.label]}", None, instance.box(), rings, WHITE)


def _found(result: dict[str, Any], labels: Sequence[str]) -> Drawn:
    x, y, width, height = result["bbox"]
    number = result["category_id"]
    return Drawn(labels[number], result["score"], (x, y, x + width, y + height), (), number)


def missed(found: Instances, of: Sequence[Matched], count: int = 12) -> Image.Image | None:
    """The photos with the largest objects that no detection above its threshold meets, these in white."""
    photos = {photo.id: photo for photo in found.photos}
    lost: dict[int, list[Instance]] = {}
    for label, matched in enumerate(of):
        for photo, n in matched.missed(found.limits[label]):
            lost.setdefault(photo, []).append(photos[photo].instances[n])

    def largest(photo: int) -> float:
        boxes = [instance.box() for instance in lost[photo]]
        area = max((x2 - x1) * (y2 - y1) for x1, y1, x2, y2 in boxes)
        return area / (photos[photo].width * photos[photo].height)

    tiles = []
    for photo in sorted(lost, key=largest, reverse=True)[:count]:
        drawn = [_true(instance, found.labels) for instance in lost[photo]]
        names = ", ".join(sorted({_plain(found.labels[instance.label]) for instance in lost[photo]}))
        pixels = found.read(photos[photo].file)
        tiles.append(Tile(_drawn(pixels, drawn), (f"missed {names}", photos[photo].file)))
    return sheet(tiles, 400, 400) if tiles else None


def false(found: Instances, of: Sequence[Matched], count: int = 12) -> Image.Image | None:
    """The photos with the surest detections above their threshold that meet no object, each in its label's colour."""
    photos = {photo.id: photo for photo in found.photos}
    wrong: dict[int, list[dict[str, Any]]] = {}
    for label, matched in enumerate(of):
        pairs = zip(matched.results, matched.met, strict=True)
        for result, met in pairs:
            if met is None and result["score"] >= found.limits[label]:
                wrong.setdefault(result["image_id"], []).append(result)
    order = sorted(wrong, key=lambda photo: max(one["score"] for one in wrong[photo]), reverse=True)
    tiles = []
    for photo in order[:count]:
        drawn = [_found(one, found.labels) for one in wrong[photo]]
        tiles.append(Tile(_drawn(found.read(photos[photo].file), drawn), (photos[photo].file,)))
    return sheet(tiles, 400, 400) if tiles else None


def alarms(found: Instances, count: int = 12) -> Image.Image | None:
    """The quiet photos that were called something, the surest first."""
    loud = []
    for file, scored in zip(found.quiet_files, found.quiet, strict=True):
        above = [(score, n) for n, score in scored if score >= found.limits[n]]
        if above:
            loud.append((max(above), file, above))
    tiles = []
    for _, file, above in sorted(loud, reverse=True)[:count]:
        names = ", ".join(f"{_plain(found.labels[n])} ({score:.0%})" for score, n in sorted(above, reverse=True))
        tiles.append(Tile(found.read_quiet(file), (names, file)))
    return sheet(tiles) if tiles else None
