"""Each damage lies on one vehicle at most: the one that holds most of it, the nearer one of two that do."""

import pytest

from models.answers import Box
from models.joins.damage_vehicles import damages_by_vehicle
from models.photo import Region
from models.predictors.damage import Detection

NEAR, FAR = Region(0, 20, 60, 80), Region(30, 0, 100, 50)


def damage(x1: float, y1: float, x2: float, y2: float) -> Detection:
    return Detection(label="dent", score=0.9, box=Box(x1=x1, y1=y1, x2=x2, y2=y2), mask=None, area_fraction=0.1)


@pytest.mark.parametrize(
    ("box", "on"),
    [
        ((5, 60, 20, 70), 0),
        ((70, 10, 90, 30), 1),
        ((35, 25, 55, 45), 0),  # on both: the one that reaches further down stands in front
        ((40, 30, 90, 40), 1),  # wholly on the far one, to two fifths on the near one
        ((90, 40, 130, 60), None),  # an eighth of it on a vehicle
        ((200, 200, 220, 220), None),
        ((10, 70, 30, 90), 0),  # half of it
        ((40, 40, 40, 40), None),  # no area, no place
    ],
)
def test_a_damage_lies_on(box: tuple[float, float, float, float], on: int | None) -> None:
    found = damages_by_vehicle([NEAR, FAR], [damage(*box)])
    assert found == [[0] if on == n else [] for n in range(2)]


def test_indices_keep_their_order() -> None:
    some = [damage(70, 10, 90, 30), damage(5, 60, 20, 70), damage(200, 0, 210, 9), damage(60, 5, 80, 20)]
    assert damages_by_vehicle([NEAR, FAR], some) == [[1], [0, 3]]


def test_nothing_on_nothing() -> None:
    assert damages_by_vehicle([], [damage(0, 0, 9, 9)]) == []
    assert damages_by_vehicle([NEAR], []) == [[]]
