"""Figures of merit on sets small enough to know the answer."""

import copy
from typing import Any

import numpy as np
import pytest

from models.outlines import run_lengths
from training.data.annotated import Annotated, Instance
from training.metrics import (
    angular_error,
    average_precision,
    average_precisions,
    confusion,
    expected_calibration_error,
    macro_f1,
    matched,
    most_confused,
    per_class,
    reliability,
    sides_mixed_up,
)

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


def test_a_crowd_is_neither_right_nor_wrong() -> None:
    crowd = Instance(0, square(100, side=80).rings, crowd=True)
    photos = [Annotated(7, "a", 200, 100, [square(0), crowd])]
    sure = result(7, 110, 0.9)  # lies on the crowd, and would be wrong before the right one
    figures = average_precision(photos, [sure, result(7, 0, 0.8)], LABELS, "bbox")
    assert figures["ap50_dent"] == pytest.approx(1.0)


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


def test_the_results_stay_as_they_are() -> None:
    ring = np.array([[0, 0], [40, 0], [40, 40], [0, 40]], float)
    mask = {"image_id": 7, "category_id": 0, "score": 0.9, "segmentation": run_lengths([ring], 200, 100).model_dump()}
    for one, kind in ((result(7, 0, 0.9), "bbox"), (mask, "segm")):
        before = copy.deepcopy(one)
        first = average_precision(PHOTOS, [one], LABELS, kind)
        assert one == before
        assert average_precision(PHOTOS, [one], LABELS, kind) == first


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


# Three labels and ten photos:      given cat  dog  cow
#                        true cat         3    1    0
#                        true dog         2    1    1
#                        true cow         0    0    2
ANIMALS = ["cat", "dog", "cow"]
TRUTH = np.array([0, 0, 0, 0, 1, 1, 1, 1, 2, 2])
GIVEN = np.array([0, 0, 0, 1, 0, 0, 1, 2, 2, 2])


def test_a_confusion_matrix_has_true_rows_and_given_columns() -> None:
    assert confusion(TRUTH, GIVEN, 3).tolist() == [[3, 1, 0], [2, 1, 1], [0, 0, 2]]
    assert confusion(TRUTH, GIVEN, 4).shape == (4, 4)


def test_precision_recall_and_f1_of_each_label() -> None:
    cat, dog, cow = per_class(TRUTH, GIVEN, ANIMALS)
    assert cat == pytest.approx({"label": "cat", "precision": 3 / 5, "recall": 3 / 4, "f1": 2 / 3, "support": 4})
    assert dog == pytest.approx({"label": "dog", "precision": 1 / 2, "recall": 1 / 4, "f1": 1 / 3, "support": 4})
    assert cow == pytest.approx({"label": "cow", "precision": 2 / 3, "recall": 1.0, "f1": 4 / 5, "support": 2})
    assert macro_f1([cat, dog, cow]) == pytest.approx((2 / 3 + 1 / 3 + 4 / 5) / 3)


def test_a_label_without_photos_is_zero_and_not_in_the_mean() -> None:
    classes = per_class(TRUTH, GIVEN, [*ANIMALS, "yak"])
    assert classes[3] == {"label": "yak", "precision": 0, "recall": 0, "f1": 0, "support": 0}
    assert macro_f1(classes) == pytest.approx(macro_f1(classes[:3]))
    assert macro_f1([]) == 0


def test_the_pairs_mixed_up_most_often_come_first() -> None:
    pairs = most_confused(confusion(TRUTH, GIVEN, 3), ANIMALS)
    assert [(p["true"], p["given"], p["photos"], p["share"]) for p in pairs] == [
        ("dog", "cat", 2, 0.5),
        ("cat", "dog", 1, 0.25),
        ("dog", "cow", 1, 0.25),
    ]
    assert len(most_confused(confusion(TRUTH, GIVEN, 3), ANIMALS, 1)) == 1


def test_bins_hold_photos_of_like_confidence() -> None:
    confidence = np.array([0.95, 0.85, 0.35, 1.0])
    right = np.array([True, False, True, True])
    assert reliability(confidence, right, 5) == [
        {"photos": 1, "confidence": 0.35, "accuracy": 1.0},
        {"photos": 3, "confidence": pytest.approx(2.8 / 3), "accuracy": pytest.approx(2 / 3)},
    ]
    assert expected_calibration_error(confidence, right, 5) == pytest.approx(0.25 * 0.65 + 0.75 * 0.8 / 3)


@pytest.mark.parametrize(
    ("found", "true", "error"),
    [(350, 10, 20), (10, 350, 20), (0, 180, 180), (90, 45, 45), (359.5, 0, 0.5), (30, 30, 0)],
)
def test_an_angle_goes_round_at_360(found: float, true: float, error: float) -> None:
    assert angular_error(np.array([found]), np.array([true])) == pytest.approx([error])


def test_precision_and_recall_after_each_detection() -> None:
    # Two dents on photo 7 and 9. Best first: right, wrong, right.
    results = [result(9, 50, 0.7), result(7, 0, 0.9), result(9, 150, 0.8)]
    of = matched(PHOTOS, results, 0)
    assert of.scores.tolist() == [0.9, 0.8, 0.7]
    assert of.hits.tolist() == [True, False, True]
    recall, precision = of.curve()
    assert recall.tolist() == [0.5, 0.5, 1.0]
    assert precision == pytest.approx([1, 1 / 2, 2 / 3])
    assert of.at(0.8) == pytest.approx({"precision": 1 / 2, "recall": 1 / 2, "f1": 1 / 2})
    assert of.at(0.5) == pytest.approx({"precision": 2 / 3, "recall": 1.0, "f1": 4 / 5})
    assert of.at(0.95) == {"precision": 0, "recall": 0, "f1": 0}


def test_what_is_missed_depends_on_the_threshold() -> None:
    of = matched(PHOTOS, [result(9, 50, 0.7), result(7, 0, 0.9)], 0)
    assert of.missed(0.5) == []
    assert of.missed(0.7) == []
    assert of.missed(0.8) == [(9, 0)]
    assert of.missed(0.95) == [(7, 0), (9, 0)]


def test_an_object_is_named_by_its_place_among_all_of_its_photo() -> None:
    scratches = matched(PHOTOS, [result(7, 100, 0.9, 1)], 1)
    assert scratches.met == [(7, 1)]  # the dent is number 0


def test_a_label_without_objects_or_detections() -> None:
    assert matched(PHOTOS, [], 0).at(0.5) == {"precision": 0, "recall": 0, "f1": 0}
    nothing = matched(PHOTOS, [result(7, 0, 0.9, 5)], 5)
    assert nothing.at(0.5) == {"precision": 0, "recall": 0, "f1": 0}
    assert nothing.missed(0.5) == []


def test_average_precision_by_label_and_by_size() -> None:
    photos = [Annotated(1, "a", 400, 200, [square(0, side=20), square(100, 1, side=100)])]
    results = [result(1, 0, 0.9, width=20) | {"bbox": [0.0, 0.0, 20.0, 20.0]}]
    found = average_precisions(photos, results, LABELS, "bbox")
    assert found["sizes"] == {"small": pytest.approx(1.0), "medium": None, "large": 0.0}
    assert [one["label"] for one in found["classes"]] == LABELS
    assert found["classes"][0] == pytest.approx({"label": "dent", "ap": 1.0, "ap50": 1.0, "ap75": 1.0})
    assert found["classes"][1] == {"label": "scratch", "ap": 0.0, "ap50": 0.0, "ap75": 0.0}
    assert found["ap"] == pytest.approx(0.5)


def test_nothing_found_is_zero_for_what_there_is() -> None:
    photos = [Annotated(1, "a", 400, 200, [square(0, side=20)])]
    found = average_precisions(photos, [], LABELS, "bbox")
    assert found["sizes"] == {"small": 0.0, "medium": None, "large": None}


def test_left_called_right_is_counted() -> None:
    """Labels 0 and 1 are each other's mirror image, 2 is its own."""
    photos = [Annotated(7, "a", 200, 100, [square(0), square(100, 1), square(50, 2)])]
    mirror = [1, 0, 2]

    def share(*found: dict[str, Any]) -> float:
        return sides_mixed_up(photos, found, mirror)

    assert share(result(7, 0, 1), result(7, 100, 1, label=1)) == 0
    assert share(result(7, 0, 1), result(7, 0, 1, label=1)) == 0.5
    # where nothing is, and what has no sides, count neither way
    assert share(result(7, 0, 1, label=1), result(7, 150, 1), result(7, 50, 1, label=2)) == 1
    assert share() == 0
