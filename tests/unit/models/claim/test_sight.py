"""How much a photo's reading of the vehicle counts."""

import pytest

from models.answers import RegionRead
from models.claim.sight import Sight, counted
from tests.unit.models.claim.drawn import HEADER, WHOLE, attributes, damages, details, sight, vehicles


@pytest.mark.parametrize(
    ("box", "weight"),
    [
        ((100, 100, 900, 700), 1.0),
        ((0, 100, 900, 700), 1.0),
        ((0, 100, 1000, 700), 0.5),
        ((0, 100, 1000, 800), 0.1),
        ((14, 11, 986, 789), 0.0),  # within 1.5 % of each edge
        ((), 0.0),
    ],
)
def test_a_vehicle_that_the_edges_cut_counts_less(box: tuple[float, ...], weight: float) -> None:
    assert sight(0, vehicles=vehicles(*box)).weight == weight


def test_a_photo_in_which_no_main_vehicle_was_found_is_a_close_up() -> None:
    behind = vehicles(100, 100, 200, 200)
    behind = behind.model_copy(update={"vehicles": [behind.vehicles[0].model_copy(update={"main": False})]})
    assert sight(0, vehicles=behind).weight == 0.0


def test_where_nobody_looks_for_vehicles_the_photo_counts() -> None:
    assert Sight(0, HEADER, {"attributes": attributes()}).weight == 1.0
    assert Sight(0, HEADER, {"vehicles": vehicles()}, cropped=True).weight == 1.0


def test_where_looking_failed_it_does_not() -> None:
    region = RegionRead(**{**WHOLE.model_dump(), "fallback": True})
    assert Sight(0, HEADER, {"attributes": attributes(region=region)}).weight == 0.0
    assert Sight(0, HEADER, {"car_details": details(("Audi R8 2012", 0.9), region=region)}).weight == 0.0


def test_answers_of_a_foreign_type_are_passed_over() -> None:
    one = Sight(0, HEADER, {"damage": attributes(), "attributes": damages(), "car_details": damages()})
    assert (one.damage, one.attributes, one.details) == (None, None, None)


def test_those_that_show_the_vehicle_well() -> None:
    sights = [sight(0), sight(1, vehicles=vehicles()), sight(2, vehicles=vehicles(0, 100, 1000, 700))]
    assert [one.index for one in counted(sights)] == [0, 2]
