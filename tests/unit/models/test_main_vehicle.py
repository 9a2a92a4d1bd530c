"""Which vehicle is meant, on drawn boxes of a photo of 100 x 100."""

import numpy as np
import pytest

from models.main_vehicle import main_vehicle

Row = tuple[float, float, float, float, float]
PARKED: Row = (60, 20, 78, 32, 0.78)


def chosen(*rows: Row) -> int | None:
    values = np.array(rows, np.float64).reshape(-1, 5)
    return main_vehicle(values[:, :4], values[:, 4], 100, 100)


def test_a_sharp_small_car_behind_never_wins_over_the_faint_one_that_fills_the_frame() -> None:
    assert chosen(PARKED, (5, 10, 95, 95, 0.29)) == 1
    assert chosen(PARKED, (20, 22, 32, 30, 0.9), (10, 20, 90, 90, 0.15)) == 2


def test_the_larger_of_two_sure_ones_wins() -> None:
    assert chosen((10, 40, 40, 60, 0.9), (35, 30, 95, 80, 0.6)) == 1


def test_a_clear_car_wins_over_a_faint_box_around_everything() -> None:
    assert chosen((30, 30, 75, 65, 0.85), (2, 2, 98, 98, 0.11)) == 0


def test_a_single_car_of_a_wide_photo_is_meant_however_small() -> None:
    assert chosen((40, 45, 55, 55, 0.5)) == 0


@pytest.mark.parametrize(
    "row",
    [
        (40, 45, 50, 55, 0.2),  # faint and small
        (10, 30, 60, 70, 0.019),  # hardly anything
        (10, 30, 35, 70, 0.09),  # faint, and too tall for a vehicle
        (10, 40, 90, 59, 0.09),  # and too flat
        (0, 30, 50, 70, 0.09),  # and cut by the edge
        (40, 45, 45, 50, 0.9),  # tiny
        (0, 45, 15, 55, 0.8),  # small and cut by the edge: the background of a close-up
        (0, 0, 100, 80, 0.25),  # three edges cut it, and it is faint: the camera is too near
        (0, 0, 100, 100, 0.29),
    ],
)
def test_a_photo_without_a_box_that_makes_sense_is_read_whole(row: Row) -> None:
    assert chosen(row) is None


@pytest.mark.parametrize("row", [(10, 30, 60, 70, 0.02), (10, 30, 40, 70, 0.05), (40, 45, 55, 55, 0.2)])
def test_a_whole_vehicle_is_meant_however_faint_where_no_other_can_be(row: Row) -> None:
    assert chosen(row) == 0
    assert chosen((0, 45, 15, 55, 0.8), row) == 1  # what the edge cuts of a small one behind is no other
    assert chosen((70, 10, 90, 22, 0.5), row) == 0


def test_of_faint_ones_the_larger_is_meant() -> None:
    assert chosen((10, 10, 30, 20, 0.09), (35, 30, 95, 80, 0.03)) == 1


def test_nothing_found_is_nothing_meant() -> None:
    assert chosen() is None


def test_cars_behind_a_close_up_are_not_taken_for_it() -> None:
    assert chosen(PARKED, (0, 0, 100, 97, 0.2)) is None


def test_a_sure_close_up_is_meant_though_the_edges_cut_it() -> None:
    assert chosen((0, 0, 100, 100, 0.8)) == 0
    assert chosen((0, 20, 100, 85, 0.15)) == 0  # two edges: its top and bottom are seen


def test_the_one_in_the_middle_wins_over_its_equal_in_the_corner() -> None:
    assert chosen((0, 0, 30, 30, 0.7), (35, 35, 65, 65, 0.7)) == 1


def test_of_equals_the_earlier_wins() -> None:
    assert chosen((10, 40, 40, 60, 0.7), (60, 40, 90, 60, 0.7)) == 0
    assert chosen((60, 40, 90, 60, 0.7), (10, 40, 40, 60, 0.7)) == 0
