"""Temperatures and thresholds on made-up data whose answers are known."""

from typing import Any

import numpy as np
import pytest

from models.answers import softmax
from training.calibrate import (
    damaged_score,
    detection_thresholds,
    fit_temperature,
    presence,
    strength,
    sure_threshold,
)
from training.data.annotated import Annotated, Instance


@pytest.mark.parametrize("temperature", [0.5, 1.0, 2.5])
def test_the_temperature_that_made_the_truth_is_found(temperature: float) -> None:
    rng = np.random.default_rng(0)
    logits = rng.normal(scale=3, size=(6000, 5))
    shares = softmax(logits, temperature)
    truth = (shares.cumsum(axis=1) > rng.random((6000, 1))).argmax(axis=1)
    assert fit_temperature(logits, truth) == pytest.approx(temperature, rel=0.08)


def test_the_temperature_stays_in_its_bounds() -> None:
    logits, right = np.eye(4) * 2, np.arange(4)
    assert fit_temperature(logits, right) == 0.25  # always right: as sharp as may be
    assert fit_temperature(logits, (right + 1) % 4) == 4.0  # always wrong: as soft as may be


def test_the_threshold_is_the_lowest_that_is_sure_enough() -> None:
    confidence = np.array([0.1, 0.9, 0.8, 0.7, 0.6, 0.5, 0.4, 0.3, 0.2])
    right = np.array([False, True, True, True, False, True, True, True, False])
    # From the top: 1, 1, 1, 3/4, 4/5, 5/6, 6/7, 6/8, 6/9.
    assert sure_threshold(confidence, right, 1.0) == 0.7
    assert sure_threshold(confidence, right, 0.85) == 0.3
    assert sure_threshold(confidence, right, 0.75) == 0.2
    assert sure_threshold(confidence, right, 0.5) == 0.1


def test_nothing_sure_is_a_threshold_nothing_reaches() -> None:
    assert sure_threshold(np.array([0.9, 0.8]), np.array([False, False])) == 1.0


def test_equal_scores_are_taken_together() -> None:
    confidence = np.array([0.9, 0.5, 0.5, 0.5])
    right = np.array([True, True, False, False])
    threshold = sure_threshold(confidence, right, 0.95)
    assert threshold == 0.9
    assert right[confidence >= threshold].mean() >= 0.95


@pytest.mark.parametrize("seed", range(5))
def test_what_reaches_the_threshold_is_right_enough(seed: int) -> None:
    rng = np.random.default_rng(seed)
    confidence = rng.random(500)
    right = rng.random(500) < 0.7 + 0.3 * confidence
    threshold = sure_threshold(confidence, right)
    assert right[confidence >= threshold].mean() >= 0.94
    lower = [t for t in confidence if t < threshold - 1e-3]
    assert all(right[confidence >= t].mean() < 0.95 for t in lower)


def square(x: float, label: int = 0) -> Instance:
    """Ten pixels a side."""
    return Instance(label, [np.array([[x, 0], [x + 10, 0], [x + 10, 10], [x, 10]], np.float32)])


def result(photo: int, x: float, score: float, label: int = 0) -> dict[str, Any]:
    return {"image_id": photo, "category_id": label, "bbox": [x, 0.0, 10.0, 10.0], "score": score}


PHOTOS = [Annotated(1, "a", 100, 100, [square(0), square(50)]), Annotated(2, "b", 100, 100, [square(20)])]
RESULTS = [
    result(1, 1, 0.9),  # right
    result(2, 22, 0.8),  # right
    result(1, 80, 0.7),  # wrong place
    result(1, 51, 0.6),  # right: the best F1, 6/7, ends here
    result(1, 0, 0.5),  # that object is taken
    result(2, 70, 0.4),
]


def test_the_threshold_of_a_class_has_the_best_f1() -> None:
    assert detection_thresholds(PHOTOS, RESULTS, ["dent"], []) == {"dent": 0.6}


def test_results_may_come_in_any_order() -> None:
    assert detection_thresholds(PHOTOS, RESULTS[::-1], ["dent"], []) == {"dent": 0.6}


def test_an_object_is_met_once_and_only_by_its_own_class() -> None:
    twice = [result(2, 20, 0.9), result(2, 20, 0.8), result(2, 20, 0.7)]
    assert detection_thresholds(PHOTOS, twice, ["dent"], [])["dent"] == 0.9
    other = [result(1, 0, 0.9, 1), result(1, 0, 0.3, 0)]
    assert detection_thresholds(PHOTOS, other, ["dent", "scratch"], []) == {"dent": 0.3, "scratch": 0.9}


def test_a_class_without_results_has_a_half() -> None:
    assert detection_thresholds(PHOTOS, RESULTS, ["dent", "crack"], [])["crack"] == 0.5


def test_thresholds_rise_together_until_sound_cars_are_quiet() -> None:
    quiet = [[(0, 0.75)], [(1, 0.85)]] + [[] for _ in range(18)]  # one of twenty may be called damaged
    raised = detection_thresholds(PHOTOS, RESULTS, ["dent", "crack"], quiet, false_alarms=0.05)
    assert raised["dent"] > 0.75
    # The same share of the way to 1: dent from 0.6, crack from 0.5.
    assert (raised["dent"] - 0.6) / 0.4 == pytest.approx((raised["crack"] - 0.5) / 0.5, abs=1e-3)
    assert raised["dent"] < 0.77
    assert detection_thresholds(PHOTOS, RESULTS, ["dent", "crack"], quiet, false_alarms=0.1)["dent"] == 0.6


def test_a_threshold_stays_reachable() -> None:
    loud = [[(0, 1.0)]] * 10
    assert detection_thresholds(PHOTOS, RESULTS, ["dent"], loud, false_alarms=0.0) == {"dent": 0.99}


@pytest.mark.parametrize(
    ("found", "expected"),
    [
        ([], 0.0),
        ([(0, 0.8)], 0.5),  # at its threshold
        ([(0, 0.4)], 0.25),  # half of the way there
        ([(0, 0.9)], 0.75),  # half of the way from there to 1
        ([(0, 0.4), (1, 0.4)], pytest.approx(2 / 3)),  # the surest, each by its own threshold: 0.5 + 0.5 * 0.2 / 0.6
    ],
)
def test_strength_is_the_surest_detection_by_its_own_threshold(found: list[tuple[int, float]], expected: float) -> None:
    assert strength(found, [0.8, 0.2] if len(found) < 2 else [0.8, 0.1]) == expected


def photos_of(strengths: list[float]) -> list[list[tuple[int, float]]]:
    """One detection a photo; with a threshold of 0.5 its strength is its score."""
    return [[(0, value)] if value else [] for value in strengths]


def test_kinds_that_are_told_apart_have_two_knots() -> None:
    fitted = damaged_score(photos_of([0.9] * 8), photos_of([0.0] * 3), [0.5])
    # Platt's targets: 1 of 3 + 2 for the sound, 8 + 1 of 8 + 2 for the damaged.
    assert fitted.knots == [(0.0, 0.2), (0.9, 0.9)]
    assert (fitted.damaged, fitted.sound, fitted.auc) == (8, 3, 1.0)
    assert fitted.brier_before == pytest.approx((0.1**2 + 0) / 2)


def test_both_kinds_count_alike() -> None:
    # Half of 100 damaged photos and half of 10 sound ones have a detection: it says nothing, so every answer is 1/2.
    fitted = damaged_score(photos_of([0.0, 0.9] * 50), photos_of([0.0, 0.9] * 5), [0.5])
    assert all(y == pytest.approx(0.5) for _, y in fitted.knots)
    assert fitted.brier == pytest.approx(0.25, abs=0.01)
    assert fitted.auc == 0.5


@pytest.mark.parametrize("seed", range(3))
def test_the_map_rises_and_is_right_on_photos_it_has_not_seen(seed: int) -> None:
    rng = np.random.default_rng(seed)
    x = rng.random(4000)
    damaged = rng.random(4000) < x**2
    fitted = damaged_score(photos_of(x[damaged].tolist()), photos_of(x[~damaged].tolist()), [0.5])
    knots = np.array(fitted.knots)
    assert (np.diff(knots, axis=0) > 0).all()
    at = np.linspace(0.1, 0.95, 9)
    odds = at**2 / (1 - at**2) * (~damaged).sum() / damaged.sum()  # as if both were as frequent
    assert np.interp(at, *knots.T) == pytest.approx(odds / (1 + odds), abs=0.12)
    assert fitted.brier < fitted.brier_before < 0.25


def test_the_score_does_not_flatter_itself() -> None:
    # Noise: a map that is judged on the photos it was fitted on would seem better than a coin.
    rng = np.random.default_rng(0)
    fitted = damaged_score(photos_of(rng.random(40).tolist()), photos_of(rng.random(40).tolist()), [0.5])
    assert fitted.brier >= 0.25


def test_a_score_needs_photos_of_both_kinds() -> None:
    with pytest.raises(ValueError, match="1 photos with damage and 9 without"):
        damaged_score(photos_of([0.9]), photos_of([0.1] * 9), [0.5])


def test_presence_is_fitted_on_photos_with_and_without_instances() -> None:
    ring = np.array([[0, 0], [10, 0], [10, 10]], np.float32)
    shown = [Annotated(n, f"{n}.png", 20, 20, [Instance(0, [ring])]) for n in range(4)]
    empty = Annotated(9, "9.png", 20, 20)
    boxes = [{"image_id": photo.id, "category_id": 0, "score": 0.8, "bbox": [0, 0, 10, 10]} for photo in shown]
    fitted = presence([*shown, empty], boxes, [[(0, 0.1)], []], [0.5])
    assert fitted is not None
    assert (fitted.damaged, fitted.sound, fitted.auc) == (4, 3, 1.0)
    low, high = (float(np.interp(strength([(0, score)], [0.5]), *np.array(fitted.knots).T)) for score in (0.1, 0.8))
    assert low < 0.3 < 0.7 < high
    assert presence(shown, boxes, [[]], [0.5]) is None
