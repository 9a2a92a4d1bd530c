"""The share of a damage that lies on each part, from drawn masks; however the masks are written."""

from typing import Any

import pytest

from models.join import Together
from models.joins.damage_parts import LEAST, PANEL, Claim, claims, damage_parts, shares
from models.language import language
from models.photo import Header
from models.predictors.attributes import EXAMPLE, AttributesAnswer
from models.predictors.damage import DamageAnswer, PartShare
from models.predictors.instances import Instance
from models.predictors.parts import UNSURE, PartsAnswer
from tests.unit.models.joins.drawn import answer, damage, part, rectangle

DOOR = Claim(part("front_left_door", rectangle(0, 0, 100, 100)), 0.9)
WING = Claim(part("hood", rectangle(100, 0, 200, 100)), 0.9)


def panel(outline: list[float], weight: float = 1.0) -> Claim:
    return Claim(part("fender", outline), weight, part=False)


def told(found: list[PartShare]) -> dict[str, float]:
    return {one.label: one.share for one in found}


@pytest.mark.parametrize(
    ("left", "right", "expected"),
    [
        (10, 50, {"front_left_door": 1.0}),
        (60, 160, {"hood": 0.6, "front_left_door": 0.4}),
        (-50, 50, {"front_left_door": 0.5}),  # half of it on nothing
        (210, 290, {}),
        (98, 198, {"hood": 0.98}),  # two hundredths are the outline's
    ],
)
def test_shares_of_a_rectangle(left: float, right: float, expected: dict[str, float]) -> None:
    found = shares(damage("dent", rectangle(left, 20, right, 60)), [DOOR, WING])
    assert told(found) == pytest.approx(expected, abs=0.02)
    assert list(told(found)) == list(expected)  # the largest first


def test_a_damage_beside_its_own_box_is_measured_by_its_mask() -> None:
    triangle = [0.0, 0.0, 200.0, 0.0, 0.0, 100.0]  # three quarters of it over the left half of its box
    assert told(shares(damage("dent", triangle), [DOOR, WING])) == pytest.approx(
        {"front_left_door": 0.75, "hood": 0.25}, abs=0.02
    )


def test_islands_count_together() -> None:
    two = damage("dent", rectangle(80, 0, 90, 10), rectangle(110, 0, 120, 10))
    assert told(shares(two, [DOOR, WING])) == pytest.approx({"front_left_door": 0.5, "hood": 0.5}, abs=0.02)


def test_parts_of_one_label_are_one_share() -> None:
    wheels = [Claim(part("wheel", rectangle(x, 0, x + 60, 100)), 0.5) for x in (0, 40)]
    assert told(shares(damage("dent", rectangle(0, 0, 100, 100)), wheels)) == {"wheel": 1.0}


@pytest.mark.parametrize(
    ("lies", "weight", "expected"),
    [
        (rectangle(0, 0, 50, 100), 1.0, {"front_left_door": 0.5, "hood": 0.2}),  # 0.3 of it
        (rectangle(0, 0, 110, 100), 1.0, {}),  # 0.9: more than on any part
        (rectangle(0, 0, 110, 100), 0.8, {"front_left_door": 0.8, "hood": 0.2}),  # the parts are surer
        (rectangle(0, 200, 200, 300), 1.0, {"front_left_door": 0.8, "hood": 0.2}),
    ],
)
def test_a_damage_that_lies_rather_on_a_panel_is_on_no_part(
    lies: list[float], weight: float, expected: dict[str, float]
) -> None:
    found = shares(damage("dent", rectangle(20, 20, 120, 60)), [DOOR, WING, panel(lies, weight)])
    assert told(found) == pytest.approx(expected, abs=0.02)


@pytest.mark.parametrize("reverse", [False, True])
def test_of_two_that_claim_a_place_the_weightier_has_it(reverse: bool) -> None:
    both = [Claim(part(f"{end}_bumper", rectangle(0, 0, 100, 100)), w) for end, w in (("front", 0.6), ("back", 0.7))]
    found = shares(damage("dent", rectangle(20, 20, 60, 60)), both[::-1] if reverse else both)
    assert told(found) == {"back_bumper": 1.0}


def seen(**scores: float) -> AttributesAnswer:
    region = {"x1": 0, "y1": 0, "x2": 400, "y2": 400, "source": "whole"}
    best = {"label": max(scores, key=lambda label: scores[label]), "score": max(scores.values()), "scores": scores}
    return AttributesAnswer.model_validate({**EXAMPLE, "orientation": best, "region": region})


@pytest.mark.parametrize(
    ("label", "front", "back"),
    [
        ("front_bumper", 1.2, 0.6),
        ("hood", 1.2, 0.6),
        ("back_right_light", 0.6, 1.2),
        ("tailgate", 0.6, 1.2),
        ("front_left_door", 1.0, 1.0),
        ("back_right_door", 1.0, 1.0),
        ("left_mirror", 1.0, 1.0),
        ("wheel", 1.0, 1.0),
    ],
)
def test_a_part_of_the_end_that_is_seen_is_believed_rather(label: str, front: float, back: float) -> None:
    parts = PartsAnswer(parts=[part(label, rectangle(0, 0, 10, 10), score=0.5)])
    views = [seen(front=0.6, front_left=0.4), seen(back_left=0.9, back=0.1)]
    weights = [claims(parts, view)[0].weight / 0.5 for view in views]
    assert weights == pytest.approx([front, back], abs=0.05)
    assert claims(parts)[0].weight == 0.5
    assert claims(parts, seen(left=1.0))[0].weight == pytest.approx(0.5)


def test_a_part_of_another_vehicle_is_not_judged_by_the_view() -> None:
    parts = PartsAnswer(parts=[part("hood", rectangle(500, 0, 510, 10), score=0.5)])
    assert claims(parts, seen(back=1.0))[0].weight == 0.5


def test_unsure_parts_and_panels_claim_their_places() -> None:
    found = PartsAnswer(parts=[part("hood", rectangle(0, 0, 9, 9)), part("trunk", rectangle(0, 0, 9, 9), score=0.05)])
    found._unsure = [part("wheel", rectangle(0, 0, 9, 9), score=UNSURE)]
    found._panels = [part("sill", rectangle(0, 0, 9, 9), score=0.3)]
    assert [(one.instance.label, one.weight, one.part) for one in claims(found)] == [
        ("hood", 0.9, True),
        ("wheel", UNSURE, True),
        ("sill", 0.3 * PANEL, False),
    ]


@pytest.mark.parametrize("side", [1e-3, 0.4, 1.0, 4000.0])
def test_any_size(side: float) -> None:
    hood = Claim(part("hood", rectangle(-1, -1, side / 2, side + 1)), 0.5)
    found = shares(damage("dent", rectangle(0, 0, side, side)), [hood])
    assert told(found) == pytest.approx({"hood": 0.5}, abs=0.02)


@pytest.mark.parametrize("polygon", [[], [5.0, 5.0], [5.0, 5.0, 9.0, 9.0], [5.0, 5.0, 9.0, 5.0, 5.0, 5.0]])
def test_a_damage_without_area_lies_nowhere(polygon: list[float]) -> None:
    one = damage("dent", rectangle(0, 0, 10, 10))
    assert one.mask is not None
    flat = one.model_copy(update={"mask": one.mask.model_copy(update={"polygons": [polygon]})})
    assert shares(flat, [DOOR]) == []


def test_every_damage_is_told_and_nothing_else_changes() -> None:
    before = answer(damage("dent", rectangle(10, 10, 20, 20)), damage("crack", rectangle(300, 0, 310, 10)))
    answers: dict[str, Any] = {"damage": before, "parts": PartsAnswer(parts=[DOOR.instance, WING.instance])}
    after = damage_parts.run(Together(Header(400, 100, "JPEG"), answers, language()))
    assert isinstance(after, DamageAnswer)
    assert [one.parts for one in after.detections] == [[PartShare(label="front_left_door", share=1.0)], []]
    assert [one.parts for one in before.detections] == [None, None]
    plain = {"detections": {"__all__": {"parts"}}}
    assert after.model_dump(exclude=plain) == before.model_dump(exclude=plain)


def test_the_least_share_is_told_and_no_less() -> None:
    def on_door(share: float) -> list[PartShare]:
        return shares(damage("dent", rectangle(100 - 64 * share, 0, 164 - 64 * share, 64)), [DOOR])

    assert told(on_door(LEAST + 0.02)) == pytest.approx({"front_left_door": LEAST + 0.02}, abs=0.02)
    assert on_door(LEAST - 0.02) == []


def test_an_outline_is_there_however_the_mask_is_written() -> None:
    one: Instance = part("hood", rectangle(0, 0, 10, 10))
    hidden = one.model_copy(update={"mask": None})
    hidden._outline = one.outline
    assert told(shares(damage("dent", rectangle(0, 0, 10, 10)), [Claim(hidden, 0.5)])) == {"hood": 1.0}
