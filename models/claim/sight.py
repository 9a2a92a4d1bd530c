"""One photo of a claim: what was said of it, and how much its reading of the vehicle counts."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TypeVar

from pydantic import BaseModel

from models.answers import Box
from models.photo import Header
from models.predictors.attributes import AttributesAnswer
from models.predictors.car_details import CarDetailsAnswer
from models.predictors.damage import DamageAnswer, Detection
from models.predictors.vehicles import VehiclesAnswer

A = TypeVar("A", bound=BaseModel)

NEAR = 0.015
"""Share of a side within which a box counts as cut by the photo's edge, as in `models/main_vehicle.py`."""

BY_CUT = (1.0, 1.0, 0.5, 0.1, 0.0)
"""How much a reading counts, by how many of the photo's edges cut the vehicle."""

COUNTS = 0.5
"""A photo that counts less has a say in what the vehicle is, yet starts no doubt, and no view is told of it."""


@dataclass(frozen=True, slots=True)
class Sight:
    """`answers` by the predictors' names; one of a foreign type under such a name is passed over. `cropped`: the caller
    says that the photo is cut to its vehicle. `sure`: by label, the score from which a damage counts."""

    index: int
    header: Header
    answers: Mapping[str, BaseModel]
    cropped: bool = False
    sure: Mapping[str, float] = field(default_factory=dict)

    @property
    def damages(self) -> list[Detection]:
        """Those that are sure enough for their class, of those that the caller wanted to see."""
        found = self.damage.detections if self.damage else []
        return [one for one in found if one.score >= self.sure.get(one.label, 0.0)]

    @property
    def details(self) -> CarDetailsAnswer | None:
        return self._of("car_details", CarDetailsAnswer)

    @property
    def attributes(self) -> AttributesAnswer | None:
        return self._of("attributes", AttributesAnswer)

    @property
    def damage(self) -> DamageAnswer | None:
        return self._of("damage", DamageAnswer)

    def _of(self, name: str, kind: type[A]) -> A | None:
        found = self.answers.get(name)
        return found if isinstance(found, kind) else None

    @property
    def weight(self) -> float:
        """0 to 1: how far what is read of the vehicle can be believed. A close-up gives a make and a colour like any
        other photo, and is often sure of them; only where the vehicle lies in the photo tells that it was guessed."""
        if self.cropped:
            return 1.0  # the caller answers for it
        vehicles = self._of("vehicles", VehiclesAnswer)
        if vehicles is None:
            # so does whoever runs the service without `vehicles`; where it failed, nobody knows
            return 0.0 if any(one and one.region.fallback for one in (self.details, self.attributes)) else 1.0
        main = next((one for one in vehicles.vehicles if one.main), None)
        return BY_CUT[_cut(main.box, self.header)] if main else 0.0


def _cut(box: Box, header: Header) -> int:
    """How many of the photo's edges the box touches."""
    x, y = NEAR * header.width, NEAR * header.height
    return sum((box.x1 <= x, box.y1 <= y, box.x2 >= header.width - x, box.y2 >= header.height - y))


def counted(sights: Sequence[Sight]) -> list[Sight]:
    """Those that show the vehicle well enough to tell one from another."""
    return [sight for sight in sights if sight.weight >= COUNTS]
