"""What every reader of instances gives: photos with labelled outlines, and the checks that hold for all formats."""

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from training.data.problems import Problems

Ring = NDArray[np.float32]
SLACK = 0.02
"""How far a point may lie outside the photo, as a share of its side: tools round, and draw over the edge."""


@dataclass(frozen=True, slots=True)
class Instance:
    """One object: its class number from 0, and its outline as rings of x, y in photo pixels.

    `crowd` marks a region of many objects that are not told apart: it is not trained on, and what is found on it
    counts neither as right nor as wrong (COCO's `iscrowd`). `attributes` are what else the file says of it.
    """

    label: int
    rings: list[Ring]
    crowd: bool = False
    attributes: dict[str, Any] = field(default_factory=dict)

    def box(self) -> tuple[float, float, float, float]:
        """x1, y1, x2, y2 around all rings."""
        points = np.concatenate(self.rings)
        return (*points.min(axis=0).tolist(), *points.max(axis=0).tolist())


@dataclass(slots=True)
class Annotated:
    """One photo with its instances; `id` is the file's own, or its number where the format has none. `partial`: the
    instances of the classes that are never told are not outlined on it."""

    id: int
    file: str
    width: int
    height: int
    instances: list[Instance] = field(default_factory=list)
    partial: bool = True


class Labels:
    """The numbers of a recipe's labels by the names that a file uses; `rename` maps those to the recipe's."""

    def __init__(self, names: Sequence[str], rename: Mapping[str, str] | None = None) -> None:
        self.names = list(names)
        self._numbers = {name: number for number, name in enumerate(names)}
        for old, new in (rename or {}).items():
            if new not in self._numbers:
                raise ValueError(f"task.rename: {new!r} is not among the labels {', '.join(names)}")
            self._numbers[old] = self._numbers[new]

    def number(self, name: object) -> int | None:
        """None where the recipe does not know the name."""
        return self._numbers.get(name) if isinstance(name, str) else None

    def unknown(self, names: Sequence[str], what: str) -> str | None:
        """The sentence on those of a file's names that the recipe does not know; None where it knows all."""
        others = sorted({str(name) for name in names if self.number(name) is None})
        return f"{what} {', '.join(others)} are not among the labels {', '.join(self.names)}" if others else None


def read_json(path: Path) -> Any:
    """The document; `ValueError` with file, line and column where it is not JSON."""
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except json.JSONDecodeError as error:
        raise ValueError(f"{path}: not JSON (line {error.lineno}, column {error.colno}: {error.msg})") from None
    except UnicodeDecodeError:
        raise ValueError(f"{path}: not JSON (not UTF-8 text)") from None


def rectangle(x: float, y: float, width: float, height: float) -> Ring:
    """A box as a ring; `ValueError` where it has no area or is no box of numbers."""
    try:
        box = np.array([x, y, width, height], np.float64)
    except (TypeError, ValueError):
        raise ValueError("the box is not four numbers") from None
    if not np.isfinite(box).all():
        raise ValueError("the box has a number that is not finite")
    if not (box[2:] > 0).all():
        raise ValueError(f"the box is {box[2]:g} wide and {box[3]:g} high, so it has no area")
    x1, y1, x2, y2 = (*box[:2], *(box[:2] + box[2:]))
    return np.array([[x1, y1], [x2, y1], [x2, y2], [x1, y2]], np.float32)


def ellipse(x: float, y: float, across: float, down: float) -> Ring:
    """An ellipse around x, y with these radii, as a ring of 32 points."""
    frame = rectangle(x - across, y - down, 2 * across, 2 * down)
    turn = np.linspace(0, 2 * np.pi, 32, endpoint=False)
    return (frame.mean(axis=0) + np.stack([across * np.cos(turn), down * np.sin(turn)], axis=1)).astype(np.float32)


def polygon(numbers: object) -> Ring | None:
    """`[x, y, x, y, …]` as a ring; None for a fragment of fewer than three points. `ValueError` says what is wrong."""
    if not isinstance(numbers, list) or not all(type(n) in (int, float) for n in numbers):
        raise ValueError("a polygon is not a list of numbers")
    if len(numbers) % 2:
        raise ValueError(f"a polygon has {len(numbers)} numbers, which are not pairs of x and y")
    ring = np.asarray(numbers, np.float32).reshape(-1, 2)
    if not np.isfinite(ring).all():
        raise ValueError("a polygon has a number that is not finite")
    return ring if len(ring) >= 3 else None


def add(photo: Annotated, instance: Instance, where: str, problems: Problems) -> None:
    """The instance to its photo, where its outline has an area and lies on the photo; else to the problems."""
    if not instance.rings:
        problems.add(where, "no polygon of three points or more")
        return
    x1, y1, x2, y2 = instance.box()
    across, down = SLACK * photo.width, SLACK * photo.height
    if x2 <= x1 or y2 <= y1:
        problems.add(where, "the outline has no area")
    elif x1 < -across or y1 < -down or x2 > photo.width + across or y2 > photo.height + down:
        problems.add(
            where,
            f"the outline reaches from {x1:g}, {y1:g} to {x2:g}, {y2:g}, outside the photo of "
            f"{photo.width} x {photo.height} pixels",
        )
    else:
        photo.instances.append(instance)


def check_files(files: Iterable[str], names: Sequence[str], where: object, problems: Problems) -> None:
    """Every photo of the labels has its file in the archive, and no file has two entries."""
    known, seen = set(names), set()
    for file in files:
        if file in seen:
            problems.add(where, f"photo {file!r} is listed twice")
        elif file not in known:
            problems.add(where, f"photo {file!r} does not exist in the archive of photos")
        seen.add(file)
