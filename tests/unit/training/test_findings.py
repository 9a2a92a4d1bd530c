"""Figures that follow from what was found, worked out by hand."""

from dataclasses import replace

import numpy as np
import pytest

from models.predictors.attributes import YAW
from tests.unit.training import found
from training import calibrate, evaluate
from training.doubtful import Doubt, Doubts


def doubts(*rows: tuple[str, str]) -> Doubts:
    return Doubts([Doubt(file, given, "", "") for file, given in rows])


def test_a_head_has_all_its_figures() -> None:
    figures = found.head().figures()
    assert (figures["photos"], figures["top1"]) == (4, 0.5)
    assert "top5" not in figures  # of three labels
    red, green, blue = figures["classes"]
    assert (red["precision"], red["recall"], red["support"]) == (0.5, 0.5, 2)
    assert (green["precision"], green["recall"], green["support"]) == (1.0, 0.5, 2)
    assert blue["support"] == 0
    assert figures["macro_f1"] == pytest.approx((0.5 + 2 / 3) / 2)
    assert [(p["true"], p["given"], p["share"]) for p in figures["confused"]] == [
        ("red", "blue", 0.5),
        ("green", "red", 0.5),
    ]


def test_five_labels_are_too_few_for_a_top_five_and_six_are_not() -> None:
    labels = ["a", "b", "c", "d", "e", "f"]
    head = found.head("label", labels)
    logits = np.tile(np.arange(6, 0, -1.0), (4, 1))
    assert replace(head, logits=logits, truth=np.array([0, 4, 5, 5])).figures()["top5"] == 0.5


def test_grades_tell_how_far_off_they_are() -> None:
    """True 0, 1, 2, 2 and given 0, 2, 0, 2: off by 0, 1, 2 and 0."""
    logits, truth = np.eye(3)[[0, 2, 0, 2]], np.array([0, 1, 2, 2])
    head = replace(found.head(), logits=logits, truth=truth)
    assert "grade_error" not in head.figures()
    graded = replace(head, graded=True)
    assert graded.figures()["grade_error"] == 0.75
    told = {"macro_f1": round((2 / 3 + 0 + 1 / 2) / 3, 4), "grade_error": 0.75}
    assert evaluate.graded_figures(graded) == told
    # Everything called 2: two of four right, nothing else ever named.
    ruled = replace(graded, rule=np.array([2, 2, 2, 2]))
    assert evaluate.graded_figures(ruled) == {**told, "rule_macro_f1": round(2 / 3 / 3, 4)}
    assert ruled.without(doubts((ruled.files[3], ruled.labels[2]))).figures()["rule_macro_f1"] == pytest.approx(1 / 6)


def test_calibration_is_given_before_and_after_the_temperature() -> None:
    calibration = found.head(temperature=2.0).figures()["calibration"]
    sharp = [np.exp(v) / (np.exp(v) + 2) for v in (4, 3, 3, 2)]
    soft = [np.exp(v) / (np.exp(v) + 2) for v in (2, 1.5, 1.5, 1)]
    # 15 bins: 0.965 stands alone in the last, both 0.909 in one (half right), 0.787 alone (wrong).
    assert calibration["ece_before"] == pytest.approx(((1 - sharp[0]) + 2 * (sharp[1] - 0.5) + sharp[3]) / 4)
    # 0.787 alone, both 0.691 in one, 0.576 alone.
    assert calibration["ece"] == pytest.approx(((1 - soft[0]) + 2 * (soft[1] - 0.5) + soft[3]) / 4)
    assert calibration["temperature"] == 2.0
    assert sum(b["photos"] for b in calibration["bins"]) == sum(b["photos"] for b in calibration["bins_before"]) == 4


def test_the_surest_mistakes_come_first() -> None:
    assert found.head().worst(5) == [1, 3]
    assert found.head().worst(1) == [1]


def test_sides_of_a_vehicle_have_an_angular_error() -> None:
    labels = list(YAW)
    logits = np.full((2, 8), -50.0)
    logits[0, labels.index("front_right")] = 50  # 315, and true is 45: 90 off, not 270
    logits[1, labels.index("back")] = 50
    head = replace(found.head("orientation", labels), files=["a", "b"], logits=logits)
    truth = np.array([labels.index("front_left"), labels.index("back")])
    yaw = replace(head, truth=truth).figures()["yaw"]
    assert yaw == pytest.approx({"mean_error": 45, "median_error": 45, "over_45": 0.5})
    assert "yaw" not in found.head().figures()


def test_doubted_labels_are_left_out_of_a_head() -> None:
    head = found.head().without(doubts(("1.png", "green"), ("0.png", "sedan"), ("9.png", "red")))
    assert head.files == ["0.png", "2.png", "3.png"]
    assert head.figures()["top1"] == pytest.approx(2 / 3)
    assert (head.read(1) == found.pixels(2)).all()
    with pytest.raises(ValueError, match="every photo of color is doubted"):
        found.head().without(doubts(*[(f"{n}.png", "") for n in range(4)]))


def test_instances_have_all_their_figures() -> None:
    figures = found.instances().figures()
    dent, scratch = figures["classes"]
    # At 0.5 two dents are shown, one rightly; there are two.
    assert (dent["precision"], dent["recall"], dent["f1"], dent["support"]) == (0.5, 0.5, 0.5, 2)
    assert (scratch["precision"], scratch["recall"], scratch["support"], scratch["threshold"]) == (0, 0, 1, 0.6)
    assert figures["macro_f1"] == 0.25
    # Right, wrong, right: 1 up to recall 1/2 (51 of 101 steps), then 2/3.
    known = (51 + 50 * 2 / 3) / 101
    assert dent["box_ap50"] == dent["mask_ap50"] == pytest.approx(known, abs=1e-6)
    assert figures["box"]["ap50"] == pytest.approx(known / 2, abs=1e-6)
    assert figures["box"]["sizes"]["medium"] == pytest.approx(known / 2, abs=1e-6)
    assert figures["box"]["sizes"]["large"] is None
    quiet = figures["quiet"]
    assert quiet == {"photos": 4, "called": 1, "share": 0.25, "classes": {"dent": 0, "scratch": 1}}
    assert figures["damaged_score"]["damaged"] == 2
    assert figures["damaged_score"]["sound"] == 4


def test_without_masks_or_quiet_photos_there_are_no_figures_of_them() -> None:
    figures = replace(found.instances(masks=False), quiet=[], quiet_files=[]).figures()
    assert not {"mask", "quiet", "damaged_score"} & set(figures)
    assert not any(key.startswith("mask") for key in figures["classes"][0])


def test_doubted_photos_are_left_out_of_instances() -> None:
    rest = found.instances().without(doubts(("seven.png", "dent"), ("b.png", "sound"), ("c.png", "dent")))
    assert [photo.id for photo in rest.photos] == [9]
    assert [one["score"] for one in rest.boxes] == [one["score"] for one in rest.masks] == [0.3]
    assert rest.quiet_files == ["a.png", "c.png", "d.png"]
    assert rest.quiet == [[], [(1, 0.5)], []]
    with pytest.raises(ValueError, match="every photo is doubted"):
        found.instances().without(doubts(("seven.png", ""), ("nine.png", "")))


def test_held_back_photos_have_a_say_in_the_thresholds() -> None:
    """On its own 0.3 is the best threshold for dents: both found, one falsely. With two false ones more it is 0.9."""
    of = replace(found.instances(), quiet=[])
    photos, boxes = replace(of, more=of).everywhere()
    assert [photo.id for photo in photos] == [1, 2, 3, 4]
    assert [box["image_id"] for box in boxes] == [1, 2, 1, 3, 4, 3]
    more = replace(of, photos=[replace(of.photos[0], instances=[])], boxes=[of.boxes[2], of.boxes[2] | {"score": 0.7}])
    assert calibrate.detection_thresholds(*of.everywhere(), of.labels, [])["dent"] == 0.3
    assert calibrate.detection_thresholds(*replace(of, more=more).everywhere(), of.labels, [])["dent"] == 0.9
