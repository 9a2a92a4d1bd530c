"""What all photos of a claim tell together."""

from dataclasses import replace

from models.answers import Scored
from models.claim.rollup import Claim, ClaimDamage, claim
from models.claim.sight import Sight
from models.language import language
from tests.unit.models.claim.drawn import attributes, damages, details, sight, vehicles

EN = language("en")
R8, X5 = ("Audi R8 2012", 0.8), ("BMW X5 2007", 0.8)


def told(*sights: Sight) -> Claim:
    return claim(sights, EN)


def test_a_claim_of_no_photo_tells_nothing() -> None:
    nothing = told()
    assert nothing.model_dump() == {**dict.fromkeys(Claim.model_fields), "doubts": []}


def test_the_vehicle_by_the_evidence_of_all_photos() -> None:
    photos = [sight(n, car_details=details(R8, ("BMW X5 2007", 0.15))) for n in range(3)]
    found = told(*photos, sight(3, car_details=details(("BMW X5 2007", 0.5), ("Audi R8 2012", 0.3)))).vehicle
    assert found is not None
    assert found.recognised is True
    assert (found.best.label, found.best.make, found.best.year) == ("Audi R8 2012", "Audi", 2012)
    assert found.candidates[0] == found.best
    assert [one.label for one in found.candidates] == ["Audi R8 2012", "BMW X5 2007"]
    assert found.best.score > 0.8
    assert found.photos == [0, 1, 2, 3]


def test_it_is_recognised_where_one_photo_does_and_the_others_say_the_same() -> None:
    weak = sight(0, car_details=details(("Audi R8 2012", 0.6)))
    assert told(weak, sight(1, car_details=details(("Audi R8 2012", 0.6)))).vehicle.recognised is False  # type: ignore[union-attr]
    assert told(weak, sight(1, car_details=details(R8))).vehicle.recognised is True  # type: ignore[union-attr]
    assert told(sight(0, car_details=details(R8)), sight(1, car_details=details(X5))).vehicle.recognised is False  # type: ignore[union-attr]


def test_close_ups_name_no_vehicle() -> None:
    close = sight(0, vehicles=vehicles(), car_details=details(R8), attributes=attributes(), damage=damages("dent"))
    found = told(close)
    assert (found.vehicle, found.color, found.type, found.one_vehicle) == (None, None, None, None)
    assert found.damaged is True
    near = sight(1, vehicles=vehicles(0, 0, 1000, 700), car_details=details(R8))
    found = told(close, near)
    assert found.vehicle is not None
    assert found.vehicle.photos == [1]
    assert found.vehicle.recognised is False  # it is read from a part of the vehicle alone


def test_color_and_type_agreed() -> None:
    found = told(*(sight(n, attributes=attributes()) for n in range(2)))
    assert found.color is not None
    assert found.type is not None
    assert (found.color.label, found.color.agreed, found.color.photos) == ("red", True, [0, 1])
    assert (found.type.label, found.type.agreed) == ("sedan", True)
    assert found.color.score > 0.97
    assert found.one_vehicle is True


def test_photos_that_differ_do_not_make_a_third_color() -> None:
    def one(index: int, scores: dict[str, float]) -> Sight:
        color = Scored(label=max(scores, key=lambda label: scores[label]), score=max(scores.values()), scores=scores)
        return sight(index, attributes=attributes().model_copy(update={"color": color}))

    found = told(one(0, {"white": 0.8, "gray": 0.2}), one(1, {"black": 0.75, "gray": 0.25})).color
    assert found is not None
    assert (found.label, found.agreed) == ("white", False)
    assert found.score < 0.2  # most of it is left to gray


def test_where_photos_differ_without_being_sure_nobody_knows() -> None:
    found = told(sight(0, attributes=attributes(("red", 0.9))), sight(1, attributes=attributes(("blue", 0.7))))
    assert found.color is not None
    assert (found.color.label, found.color.agreed) == ("red", False)
    assert found.doubts == []
    assert found.one_vehicle is None


def test_a_close_up_does_not_disagree() -> None:
    near = sight(2, vehicles=vehicles(0, 0, 1000, 700), attributes=attributes(("blue", 0.9)))
    found = told(*(sight(n, attributes=attributes()) for n in range(2)), near)
    assert found.color is not None
    assert (found.color.label, found.color.agreed, found.color.photos) == ("red", True, [0, 1, 2])
    assert found.one_vehicle is True


def test_a_doubt_is_no_one_vehicle() -> None:
    found = told(sight(0, attributes=attributes(("red", 0.95))), sight(1, attributes=attributes(("blue", 0.95))))
    assert found.one_vehicle is False
    assert [one.reason for one in found.doubts] == ["different_colors"]


def test_one_photo_can_not_contradict_itself() -> None:
    assert told(sight(0, attributes=attributes())).one_vehicle is None
    assert told(sight(0, damage=damages()), sight(1, damage=damages())).one_vehicle is None


def test_damages_by_class_and_view() -> None:
    front = {"attributes": attributes(view=("front", 0.9))}
    found = told(
        sight(0, damage=damages("dent", "dent", "scratch"), **front),
        sight(1, damage=damages("dent"), **front),
        sight(2, damage=damages("dent"), attributes=attributes(view=("back", 0.9))),
        sight(3, damage=damages("dent"), vehicles=vehicles(), **front),
        sight(4, damage=damages()),
    )
    assert found.damages == [
        ClaimDamage(label="dent", view="front", photos=[0, 1], count=2, seen=3),
        ClaimDamage(label="scratch", view="front", photos=[0], count=1, seen=1),
        ClaimDamage(label="dent", view="back", photos=[2], count=1, seen=1),
        ClaimDamage(label="dent", view=None, photos=[3], count=1, seen=1),
    ]


def test_damaged_is_what_a_photo_says_whatever_is_shown() -> None:
    sound = damages("dent").model_copy(update={"damaged": False})
    assert told(sight(0, damage=sound)).damaged is False
    assert told(sight(0, damage=sound), sight(1, damage=damages())).damaged is True
    assert told(sight(0, attributes=attributes())).damaged is None
    assert told(sight(0, attributes=attributes())).damages is None


def test_what_is_not_sure_enough_for_its_class_does_not_count_however_much_is_shown() -> None:
    shown = replace(sight(0, damage=damages("dent", "scratch")), sure={"dent": 0.5, "scratch": 0.99})
    assert [one.label for one in told(shown).damages or []] == ["dent"]
    assert [one.label for one in told(replace(shown, sure={})).damages or []] == ["dent", "scratch"]
