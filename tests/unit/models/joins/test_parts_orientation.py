"""What the camera cannot see is its twin; what it can see, and what has no side, stays."""

from typing import Any

import pytest

from models.answers import RegionRead
from models.join import Together
from models.joins.parts_orientation import FACES, SURE, parts_orientation, settled
from models.language import language
from models.photo import Header
from models.predictors.attributes import EXAMPLE, YAW, AttributesAnswer
from models.predictors.instances import Instance
from models.predictors.parts import PartsAnswer, twin
from tests.unit.models.joins.drawn import part, rectangle

ALL = RegionRead(x1=0, y1=0, x2=1000, y2=1000, source="whole")
SIDES = [*FACES, *(twin(label) or "" for label in FACES)]


def labels(found: list[Instance]) -> list[str]:
    return [one.label for one in found]


@pytest.mark.parametrize(
    ("seen_from", "given", "told"),
    [
        ("left", "front_right_door", "front_left_door"),
        ("left", "front_left_door", "front_left_door"),
        ("front_left", "back_right_door", "back_left_door"),
        ("back_right", "back_left_door", "back_right_door"),
        ("right", "left_mirror", "right_mirror"),
        ("left", "front_right_light", "front_left_light"),
        ("front", "front_right_light", "front_right_light"),  # both are seen from there
        ("front", "front_left_door", "front_left_door"),
        ("front_left", "front_right_light", "front_right_light"),
        ("front_left", "right_mirror", "right_mirror"),
        ("back", "front_left_light", "front_left_light"),  # neither is seen: nothing says which it is
        ("left", "wheel", "wheel"),
        ("right", "hood", "hood"),
    ],
)
def test_sides(seen_from: str, given: str, told: str) -> None:
    assert labels(settled([part(given, rectangle(0, 0, 9, 9))], YAW[seen_from], ALL)) == [told]


@pytest.mark.parametrize("label", SIDES)
@pytest.mark.parametrize("yaw", range(0, 360, 15))
def test_both_sides_are_treated_alike(label: str, yaw: int) -> None:
    def seen(one: str, angle: int) -> str:
        return labels(settled([part(one, rectangle(0, 0, 9, 9))], angle, ALL))[0]

    assert twin(seen(label, yaw)) == seen(twin(label) or "", 360 - yaw)


def test_two_that_become_one_are_told_once_by_the_surer() -> None:
    door, other = rectangle(0, 0, 100, 100), rectangle(5, 0, 105, 100)
    found = settled([part("front_right_door", door, score=0.9), part("front_left_door", other, score=0.8)], 90.0, ALL)
    assert [(one.label, one.score) for one in found] == [("front_left_door", 0.9)]


def test_two_that_lie_apart_stay_two_and_other_labels_too() -> None:
    left, right = rectangle(0, 0, 100, 100), rectangle(200, 0, 300, 100)
    given = [part("front_right_door", left), part("front_left_door", right), part("wheel", left), part("hood", left)]
    assert labels(settled(given, 90.0, ALL)) == ["front_left_door", "front_left_door", "wheel", "hood"]


def test_nothing_to_settle_changes_nothing_not_even_doubles() -> None:
    given = [part("wheel", rectangle(0, 0, 9, 9)), part("wheel", rectangle(0, 0, 9, 9))]
    assert settled(given, 90.0, ALL) == given
    assert settled([], 90.0, ALL) == []


def test_other_vehicles_are_left_alone() -> None:
    mine = ALL.model_copy(update={"x2": 100.0})
    given = [part("front_right_door", rectangle(0, 0, 99, 99)), part("front_right_door", rectangle(500, 0, 599, 99))]
    assert labels(settled(given, 90.0, mine)) == ["front_left_door", "front_right_door"]


@pytest.mark.parametrize(("confidence", "told"), [(SURE, "front_left_door"), (SURE - 0.01, "front_right_door")])
def test_only_a_sure_orientation_is_believed(confidence: float, told: str) -> None:
    attributes = AttributesAnswer.model_validate(
        {**EXAMPLE, "yaw_degrees": 90.0, "yaw_confidence": confidence, "region": ALL.model_dump()}
    )
    parts = PartsAnswer(parts=[part("front_right_door", rectangle(0, 0, 9, 9))])
    answers: dict[str, Any] = {"parts": parts, "attributes": attributes}
    found = parts_orientation.run(Together(Header(1000, 1000, "JPEG"), answers, language()))
    assert isinstance(found, PartsAnswer)
    assert labels(found.parts) == [told]
    assert labels(parts.parts) == ["front_right_door"]
