"""Overlaps by hand, and which of several boxes stays."""

import numpy as np
import pytest

from models.boxes import areas, overlaps, suppress


def boxes(*rows: tuple[float, float, float, float]) -> np.ndarray:
    return np.array(rows, np.float64).reshape(-1, 4)


def test_areas_of_boxes_and_of_what_is_none() -> None:
    assert areas(boxes((0, 0, 4, 3), (5, 5, 5, 9), (4, 4, 2, 9))).tolist() == [12, 0, 0]


def test_overlap_is_what_is_shared_of_what_both_cover() -> None:
    others = boxes((0, 0, 10, 10), (5, 0, 15, 10), (10, 0, 20, 10), (2, 2, 4, 4), (30, 30, 40, 40))
    assert overlaps(np.array([0.0, 0, 10, 10]), others) == pytest.approx([1, 1 / 3, 0, 0.04, 0])
    assert overlaps(np.zeros(4), boxes((0, 0, 0, 0))).tolist() == [0]


def test_one_box_stays_for_each_thing() -> None:
    rows = boxes((0, 0, 10, 10), (1, 0, 11, 10), (50, 50, 60, 60), (0, 1, 10, 11))
    assert suppress(rows, np.array([0.5, 0.9, 0.3, 0.8]), 0.5) == [1, 2]


def test_a_box_is_dropped_for_one_that_stays_alone() -> None:
    # The second goes because of the first; the third overlaps only the second, so it stays.
    rows = boxes((0, 0, 10, 10), (4, 0, 14, 10), (8, 0, 18, 10))
    assert suppress(rows, np.array([0.9, 0.8, 0.7]), 0.4) == [0, 2]


def test_an_overlap_at_the_threshold_stays() -> None:
    rows = boxes((0, 0, 10, 10), (5, 0, 15, 10))
    assert suppress(rows, np.array([0.9, 0.8]), 1 / 3) == [0, 1]
    assert suppress(rows, np.array([0.9, 0.8]), 0.33) == [0]


def test_of_equal_scores_the_earlier_wins_and_no_more_than_asked_stay() -> None:
    rows = boxes((0, 0, 10, 10), (0, 0, 10, 10), (20, 0, 30, 10), (40, 0, 50, 10))
    assert suppress(rows, np.full(4, 0.5), 0.5) == [0, 2, 3]
    assert suppress(rows, np.full(4, 0.5), 0.5, most=2) == [0, 2]
    assert suppress(boxes(), np.zeros(0), 0.5) == []
