"""Figures of merit on sets small enough to know the answer."""

from typing import Any

import numpy as np
import pytest

from models.outlines import run_lengths
from training.data.coco import Annotated, Instance
from training.metrics import average_precision, expected_calibration_error

LABELS = ["dent", "scratch"]


def square(x: float, label: int = 0, side: float = 40) -> Instance:
    return Instance(label, [np.array([[x, 0], [x + side, 0], [x + side, side], [x, side]], np.float32)])


def result(photo: int, x: float, score: float, label: int = 0, width: float = 40) -> dict[str, Any]:
    return {"image_id": photo, "category_id": label, "bbox": [x, 0.0, width, 40.0], "score": score}


PHOTOS = [
    Annotated(7, "a", 200, 100, [square(0), square(100, 1)]),
    Annotated(9, "b", 200, 100, [square(50)]),
]


def test_perfect_boxes_have_one() -> None:
    results = [result(7, 0, 0.9), result(7, 100, 0.8, 1), result(9, 50, 0.7)]
    figures = average_precision(PHOTOS, results, LABELS, "bbox")
    assert set(figures) == {"ap", "ap50", "ap75", "ap50_dent", "ap50_scratch"}
    assert all(value == pytest.approx(1.0) for value in figures.values())


def test_a_known_value() -> None:
    # Dents, best first: right, wrong, right; precision 1 up to recall 1/2, then 2/3. COCO takes 101 recall steps,
    # of which 51 (0 to 0.5) have 1 and 50 have 2/3.
    results = [result(7, 0, 0.9), result(9, 150, 0.8), result(9, 50, 0.7), result(7, 100, 0.6, 1)]
    figures = average_precision(PHOTOS, results, LABELS, "bbox")
    assert figures["ap50_dent"] == pytest.approx((51 + 50 * 2 / 3) / 101, abs=1e-6)
    assert figures["ap50_scratch"] == pytest.approx(1.0)
    assert figures["ap50"] == pytest.approx((figures["ap50_dent"] + 1) / 2)


def test_a_loose_box_counts_up_to_its_overlap() -> None:
    # 40 of 49 pixels wide: overlap 0.82, so right at thresholds 0.5 to 0.8 (seven of ten), wrong at 0.85 to 0.95.
    photos = [Annotated(1, "a", 200, 100, [square(0)])]
    figures = average_precision(photos, [result(1, 0, 0.9, width=49)], ["dent"], "bbox")
    assert (figures["ap50"], figures["ap75"]) == pytest.approx((1.0, 1.0))
    assert figures["ap"] == pytest.approx(0.7)


def test_the_wrong_class_is_wrong() -> None:
    figures = average_precision(PHOTOS, [result(7, 0, 0.9, 1)], LABELS, "bbox")
    assert figures["ap50"] == 0


def test_masks_are_judged_by_their_outline() -> None:
    photos = [Annotated(1, "a", 100, 100, [square(0, side=80)])]
    half = np.array([[0, 0], [80, 0], [0, 80]], float)  # the same box, half of the area
    found = {}
    for name, ring in (("whole", photos[0].instances[0].rings[0].astype(float)), ("half", half)):
        one = {
            "image_id": 1,
            "category_id": 0,
            "score": 0.9,
            "segmentation": run_lengths([ring], 100, 100).model_dump(),
        }
        found[name] = average_precision(photos, [one], ["dent"], "segm")
    assert found["whole"]["ap"] == pytest.approx(1.0)
    assert found["half"]["ap75"] == 0
    assert found["half"]["ap"] <= 0.1


def test_no_results_are_zero_and_nothing_is_printed(capfd: pytest.CaptureFixture[str]) -> None:
    assert set(average_precision(PHOTOS, [], LABELS, "bbox").values()) == {0.0}
    average_precision(PHOTOS, [result(7, 0, 0.9)], LABELS, "bbox")
    assert capfd.readouterr().out == ""


def test_calibration_error_of_known_bins() -> None:
    confidence = np.array([0.95] * 10 + [0.55] * 10)
    right = np.array([True] * 8 + [False] * 2 + [True] * 5 + [False] * 5)
    assert expected_calibration_error(confidence, right, 10) == pytest.approx(0.5 * 0.15 + 0.5 * 0.05)


def test_the_well_calibrated_have_none_and_the_sure_and_wrong_have_one() -> None:
    assert expected_calibration_error(np.ones(4), np.ones(4, bool)) == 0
    assert expected_calibration_error(np.ones(4), np.zeros(4, bool)) == 1
    rng = np.random.default_rng(0)
    confidence = rng.random(20_000)
    assert expected_calibration_error(confidence, rng.random(20_000) < confidence) < 0.02
