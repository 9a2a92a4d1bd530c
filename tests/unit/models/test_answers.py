"""Shares that add up, the best of them, and regions as they were read."""

import numpy as np
import pytest

from models.answers import Box, RegionRead, Scored, softmax
from models.photo import Region


def test_softmax_of_known_logits() -> None:
    np.testing.assert_allclose(softmax(np.log(np.array([1.0, 2.0, 5.0]))), [0.125, 0.25, 0.625])


def test_softmax_works_on_the_last_axis() -> None:
    shares = softmax(np.random.default_rng(0).normal(size=(4, 3, 5)))
    assert shares.shape == (4, 3, 5)
    np.testing.assert_allclose(shares.sum(axis=-1), 1)


@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64, np.int64])
def test_softmax_is_stable(dtype: type[np.generic]) -> None:
    shares = softmax(np.array([10_000, 10_000, -10_000]).astype(dtype))
    np.testing.assert_allclose(shares, [0.5, 0.5, 0.0])
    assert shares.dtype == np.float64


def test_softmax_stays_the_same_when_all_logits_move() -> None:
    logits = np.array([0.3, -1.2, 2.0])
    np.testing.assert_allclose(softmax(logits), softmax(logits + 500))


def test_temperature_softens_and_sharpens_without_another_order() -> None:
    logits = np.array([1.0, 0.5, -2.0])
    soft, plain, sharp = (softmax(logits, t) for t in (4.0, 1.0, 0.25))
    assert soft[0] < plain[0] < sharp[0]
    assert [int(s.argmax()) for s in (soft, plain, sharp)] == [0, 0, 0]
    np.testing.assert_allclose(softmax(logits, 2.0), softmax(logits / 2.0))


def test_scored_tells_the_best_and_all() -> None:
    answer = Scored.of(["red", "blue", "gray"], np.array([0.2, 0.70004, 0.09996]))
    assert (answer.label, answer.score) == ("blue", 0.7)
    assert answer.scores == {"red": 0.2, "blue": 0.7, "gray": 0.1}


def test_scored_refuses_another_number_of_labels() -> None:
    with pytest.raises(ValueError, match="zip"):
        Scored.of(["red", "blue"], np.array([0.2, 0.7, 0.1]))


def test_a_region_is_told_as_it_was_read() -> None:
    read = RegionRead.of(Region(0.04, 10.06, 99.96, 50, "box"))
    corners = {"x1": 0.0, "y1": 10.1, "x2": 100.0, "y2": 50.0}
    assert read.model_dump() == {**corners, "source": "box", "score": None, "fallback": False}
    assert dict(Box.of(Region(0.04, 10.06, 99.96, 50))) == corners
    assert RegionRead.of(Region(0, 0, 1, 1, fallback=True)).fallback
    assert RegionRead.of(Region(0, 0, 1, 1)).source == "whole"


@pytest.mark.parametrize("logits", [[np.nan, 1.0], [np.inf, 1.0], [-np.inf, -np.inf]])
def test_logits_that_are_no_numbers_have_no_shares(logits: list[float]) -> None:
    with pytest.raises(ValueError, match="finite"), np.errstate(invalid="ignore"):
        softmax(np.array(logits))


def test_a_label_may_be_impossible() -> None:
    np.testing.assert_allclose(softmax(np.array([-np.inf, 1.0, 1.0])), [0.0, 0.5, 0.5])
