"""What joins make of answers on photos whose truth is known: the part of damages, and sides that the view settles."""

import csv
import json
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass
from itertools import repeat
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from models.answers import Box, PolygonMask
from models.joins.damage_parts import Claim, claims, shares
from models.joins.parts_orientation import by_view
from models.photo import whole
from models.predictors.attributes import AttributesAnswer
from models.predictors.damage import Detection, PartShare
from models.predictors.instances import Instance, InstancesPredictor
from models.predictors.parts import PartsAnswer
from models.predictors.weighted import WeightedPredictor
from training.data.archive import Archive
from training.outputs import outputs

PLACES = Path(__file__).parent / "data" / "damage_parts.csv"
"""Sixty damages, drawn at random from `damage` val, one a photo, and the part that most of each lies on: written down
twice, each time by looking at the outlined damage alone and before any model was asked; a third look settled the two on
which these differed. `part` is empty where it has no label (fender, rear side panel, roof, sill), `sure` is no where
the photo shows too little of the car to be certain of the part or of its side. They were in sight when the rule of
`models/joins/damage_parts.py` and the last round of parts came about."""

FRESH = PLACES.with_name("damage_parts_fresh.csv")
"""Sixty more, by which nothing was chosen: from photos of `damage` val in no other list here, sorted,
`random.Random(20261122)` drew 60 and a damage of each. Written down by looking, those in doubt twice, and committed
before any answer on them was seen. Where a photo shows no more than that it is one of two parts, both stand, with `|`
between them, the likelier first: either is right."""

SAME = {"trunk": "tailgate"}
"""The rear lid has two labels, which the data set does not keep apart; by eye it is one."""


@dataclass(frozen=True, slots=True)
class Place:
    """One damage: its photo, its annotation's id, its class, and its part as seen by eye, "" for none; two that nobody
    could tell apart are separated by `|`."""

    file: str
    annotation: int
    label: str
    part: str
    sure: bool


@dataclass(frozen=True, slots=True)
class Placed:
    """One damage, and what claims the places of its photo: parts and panels, weighed by the view where there is one."""

    place: Place
    damage: Detection
    claims: list[Claim]

    @property
    def told(self) -> list[PartShare]:
        """The parts that it lies on, the largest share first."""
        return shares(self.damage, self.claims)

    @property
    def part(self) -> str:
        """The part that is named, "" for none."""
        return self.damage.model_copy(update={"parts": self.told}).part or ""

    @property
    def right(self) -> bool:
        """Whether the part that is named is one seen by eye, none where it is on none."""
        return SAME.get(self.part, self.part) in [SAME.get(part, part) for part in self.place.part.split("|")]

    def as_row(self) -> dict[str, Any]:
        """What a report tells of it."""
        told = {one.label: one.share for one in self.told}
        return {**asdict(self.place), "named": self.part, "right": self.right, "shares": told}


def places(path: Path = PLACES) -> list[Place]:
    """The table's rows. Raises `ValueError` with file and line of what is wrong."""
    found = []
    with path.open(newline="", encoding="utf-8") as file:
        for line, row in enumerate(csv.DictReader(file), start=2):
            try:
                sure = {"yes": True, "no": False}[row["sure"]]
                found.append(Place(row["file"], int(row["annotation"]), row["label"], row["part"], sure))
            except (KeyError, ValueError, TypeError) as error:
                raise ValueError(f"{path}, line {line}: {error!r}") from None
    return found


def placed(
    predictor: InstancesPredictor[Any, Any],
    pack: Path,
    rows: Sequence[Place],
    view: WeightedPredictor[Any, Any] | None = None,
) -> list[Placed]:
    """Each damage, by its own outline, and what loaded weights find in its photo, as `inspect` would join it with the
    orientation that `view`, loaded, tells of all of it. `pack` is the archive of the photos, `PACK.json` their
    outlines. Raises `ValueError` for a row that is not among these, for weights that tell no parts, and where `view`
    tells no orientation."""
    outlines = pack.with_name(f"{pack.name}.json")
    annotations = {one["id"]: one for one in json.loads(outlines.read_text(encoding="utf-8"))["annotations"]}
    if missing := [row.annotation for row in rows if row.annotation not in annotations]:
        raise ValueError(f"{outlines}: no annotation {missing[0]}")
    archive = Archive(pack)
    options = predictor.specification.options()
    found = []
    said = outputs(predictor, (archive.photo(one.file) for one in rows), options=options)
    seen = _views(view, (archive.photo(one.file) for one in rows)) if view else repeat(None, len(rows))
    for row, (header, output), attributes in zip(rows, said, seen, strict=True):
        parts = predictor.finish(output, header, whole(header), options)
        if not isinstance(parts, PartsAnswer):
            raise ValueError(f"{predictor.name}: tells no parts for damages to lie on")
        if attributes:
            parts = parts.model_copy(update={"parts": by_view(parts.parts, attributes)})
        damage = _damage(row.label, annotations[row.annotation]["segmentation"])
        found.append(Placed(row, damage, claims(parts, attributes)))
    return found


def _damage(label: str, polygons: Sequence[Sequence[float]]) -> Detection:
    points = np.concatenate([np.asarray(one, np.float64).reshape(-1, 2) for one in polygons])
    (x1, y1), (x2, y2) = points.min(axis=0), points.max(axis=0)
    mask = PolygonMask(polygons=[list(map(float, one)) for one in polygons])
    return Detection(label=label, score=1.0, box=Box(x1=x1, y1=y1, x2=x2, y2=y2), mask=mask, area_fraction=0.0)


def settled_by(
    view: WeightedPredictor[Any, Any], photos: Iterable[NDArray[np.uint8]], found: Sequence[Sequence[Instance]]
) -> list[list[Instance]]:
    """What was found on each photo, its sides settled by the orientation that `view`, loaded, tells of all of it.
    Raises `ValueError` where that tells none."""
    return [by_view(parts, answer) for answer, parts in zip(_views(view, photos), found, strict=True)]


def _views(view: WeightedPredictor[Any, Any], photos: Iterable[NDArray[np.uint8]]) -> Iterator[AttributesAnswer]:
    for header, output in outputs(view, photos):
        answer = view.finish(output, header, whole(header), view.specification.options())
        if not isinstance(answer, AttributesAnswer):
            raise ValueError(f"{view.name}: tells no orientation to settle sides by")
        yield answer
