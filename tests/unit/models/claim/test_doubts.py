"""What speaks against one vehicle, and what does not."""

from itertools import combinations

import pytest

from models.claim.doubts import ALIKE, COLORS, LIKE_TYPES, TYPES, Doubt, doubts
from models.claim.sight import Sight
from models.language import language
from models.registry import discover
from tests.unit.models.claim.drawn import attributes, details, scored, sight, vehicles

EN, DE = language("en"), language("de")


def reasons(*sights: Sight) -> list[str]:
    return [one.reason for one in doubts(sights, EN)]


def models(*told: tuple[str, float]) -> list[Sight]:
    return [sight(n, car_details=details(one)) for n, one in enumerate(told)]


def colors(*told: tuple[str, float]) -> list[Sight]:
    return [sight(n, attributes=attributes(color=one)) for n, one in enumerate(told)]


def types(*told: tuple[str, float]) -> list[Sight]:
    return [sight(n, attributes=attributes(kind=one)) for n, one in enumerate(told)]


def test_two_photos_that_are_sure_of_different_models() -> None:
    """Who only recognises one of them is told with the others; who does not is not."""
    found = doubts(
        models(("Audi R8 2012", 0.99), ("BMW X5 2007", 0.985), ("Audi R8 2012", 0.8), ("BMW X5 2007", 0.5)), EN
    )
    text = "the photos seem to show different models: Audi R8 2012 (photos 1, 3), BMW X5 2007 (photo 2)"
    assert found == [Doubt(reason="different_models", text=text, photos=[0, 1, 2])]
    told = doubts(models(("Audi R8 2012", 0.99), ("BMW X5 2007", 0.985)), DE)[0].text
    assert told == "die Fotos zeigen wohl verschiedene Modelle: Audi R8 2012 (Foto 1), BMW X5 2007 (Foto 2)"


@pytest.mark.parametrize(
    "told",
    [
        [("Audi R8 2012", 0.99)],
        [("Audi R8 2012", 0.99), ("Audi R8 2012", 0.99)],
        [("Audi R8 2012", 0.99), ("Audi R8 2007", 0.99)],  # the year can often not be seen
        [("Audi R8 2012", 0.99), ("BMW X5 2007", 0.95)],  # of many photos one is wrong that is so sure
    ],
)
def test_no_doubt_of_models(told: list[tuple[str, float]]) -> None:
    assert reasons(*models(*told)) == []


def test_a_photo_that_allows_for_the_other_model_is_no_contradiction() -> None:
    one = sight(0, car_details=details(("Audi R8 2012", 0.99)))
    other = sight(1, car_details=details(("Audi TT 2012", 0.98), ("Audi R8 2012", 0.02)))
    assert reasons(one, other) == ["different_models"]
    wavering = [("Audi TT 2012", 0.98), ("Audi R8 2012", 0.02), ("Audi R8 2007", 0.04)]
    assert reasons(one, sight(1, car_details=details(*wavering))) == []


def test_clearly_different_colors() -> None:
    found = doubts(colors(("red", 0.95), ("blue", 0.92)), DE)
    assert [(one.reason, one.photos) for one in found] == [("different_colors", [0, 1])]
    assert found[0].text == "die Fotos zeigen wohl Fahrzeuge verschiedener Farbe: rot (Foto 1), blau (Foto 2)"
    assert reasons(*colors(("white", 0.95), ("black", 0.95))) == ["different_colors"]


@pytest.mark.parametrize(
    "told",
    [
        [("white", 0.99), ("gray", 0.99)],
        [("black", 0.99), ("gray", 0.99)],
        [("black", 0.99), ("blue", 0.99)],
        [("red", 0.99), ("orange", 0.99)],
        [("red", 0.99), ("blue", 0.8)],
        [("red", 0.99), ("red", 0.99)],
    ],
)
def test_light_alone_makes_no_doubt(told: list[tuple[str, float]]) -> None:
    assert reasons(*colors(*told)) == []


def test_two_that_contradict_each_other_do_not_draw_in_a_third() -> None:
    """Gray might be either of them: it is in no group."""
    (found,) = doubts(colors(("white", 0.99), ("gray", 0.99), ("black", 0.99)), EN)
    assert found.photos == [0, 2]


def test_clearly_different_types() -> None:
    assert reasons(*types(("sedan", 0.99), ("pickup", 0.99))) == ["different_types"]
    assert reasons(*types(("sedan", 0.99), ("hatchback", 0.99))) == []
    assert reasons(*types(("sedan", 0.99), ("pickup", 0.95))) == []


def test_close_ups_contradict_nobody() -> None:
    one = sight(0, car_details=details(("Audi R8 2012", 0.99)), attributes=attributes())
    other = {"car_details": details(("BMW X5 2007", 0.99)), "attributes": attributes(("blue", 0.99), ("bus", 0.99))}
    assert len(reasons(one, sight(1, **other))) == 3
    assert reasons(one, sight(1, vehicles=vehicles(), **other)) == []
    assert reasons(one, sight(1, vehicles=vehicles(0, 0, 1000, 700), **other)) == []


def test_labels_of_other_weights_are_never_called_different() -> None:
    told = [attributes().model_copy(update={"color": scored(("teal", "rust"), one, 0.99)}) for one in ("teal", "rust")]
    assert reasons(*(sight(n, attributes=one) for n, one in enumerate(told))) == []


def test_the_labels_are_those_of_the_weights() -> None:
    labels = discover(wanted=["attributes"])["attributes"].card.labels
    assert set(labels["color"]) == COLORS
    assert set(labels["type"]) == TYPES
    assert all(pair <= COLORS and len(pair) == 2 for pair in ALIKE)
    assert all(pair <= TYPES and len(pair) == 2 for pair in LIKE_TYPES)
    assert all(one != other for one, other in combinations(map(frozenset, ALIKE), 2))
    for code in (EN, DE):
        assert set(code.colors) == COLORS
        assert set(code.types) == TYPES
