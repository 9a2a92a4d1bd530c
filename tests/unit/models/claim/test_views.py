"""Which sides the photos show, and which none shows."""

import pytest

from models.answers import Scored
from models.claim.views import SIDES, view, views
from tests.unit.models.claim.drawn import VIEWS, attributes, damages, sight, vehicles


@pytest.mark.parametrize("score", [0.6, 0.9])
def test_a_corner_shows_both_its_sides(score: float) -> None:
    told = views([sight(0, attributes=attributes(view=("front_left", score)))])
    assert told is not None
    assert told.covered == {"front_left": [0], "front": [0], "left": [0]}
    assert told.missing == ["back", "right"]


@pytest.mark.parametrize(
    "four", [SIDES, ("front_left", "back_right", "front_right", "back_left"), ("front", "back_left", "right")]
)
def test_nothing_is_missing_where_each_side_is_shown(four: tuple[str, ...]) -> None:
    told = views([sight(n, attributes=attributes(view=(name, 0.9))) for n, name in enumerate(four)])
    assert told is not None
    assert told.missing == []


def test_a_network_that_wavers_between_a_corner_and_a_side_shows_that_side() -> None:
    scores = {**dict.fromkeys(VIEWS, 0.0), "front_left": 0.5, "left": 0.45, "right": 0.05}
    one = attributes().model_copy(update={"orientation": Scored(label="front_left", score=0.5, scores=scores)})
    told = views([sight(0, attributes=one)])
    assert view(one) is None
    assert told is not None
    assert told.covered == {"left": [0]}


def test_what_is_not_sure_and_close_ups_cover_nothing() -> None:
    unsure = sight(0, attributes=attributes(view=("back", 0.4)))
    close = sight(1, attributes=attributes(view=("back", 0.99)), vehicles=vehicles())
    told = views([unsure, close, sight(2, attributes=attributes(view=("back", 0.59)))])
    assert told is not None
    assert told.covered == {}
    assert told.missing == list(SIDES)


def test_photos_are_listed_by_their_index() -> None:
    told = views([sight(n, attributes=attributes(view=("front", 0.9))) for n in (3, 7)])
    assert told is not None
    assert told.covered == {"front": [3, 7]}


def test_where_nobody_told_of_views_there_are_none() -> None:
    assert views([sight(0, damage=damages("dent"))]) is None
    assert views([]) is None
