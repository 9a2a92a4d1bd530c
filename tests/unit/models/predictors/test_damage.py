"""`damage`: what is told of hand-made outputs, in the photo's own pixels."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from models.answers import PolygonMask, RleMask
from models.drawing import draw_instances
from models.manifest import WeightsError
from models.photo import Header, Photo, Region, whole
from models.predictors.classifier import LabelScore
from models.predictors.damage import Damage, DamageAnswer, DamageOptions
from tests import weights

WIDE = Header(400, 200, "JPEG")  # 12.5 and 6.25 times the 32 x 32 the network reads
THRESHOLDS = {"dent": 0.6, "scratch": 0.3}


@pytest.fixture(scope="module")
def damage(tmp_path_factory: pytest.TempPathFactory) -> Damage:
    folder = tmp_path_factory.mktemp("weights")
    weights.write(folder, weights.manifest("damage", thresholds=THRESHOLDS))
    return Damage(weights_dir=folder)


def output(*rows: tuple[str, float, tuple[float, float, float, float]]) -> dict[str, NDArray[np.generic]]:
    """What the network would give: the rows, then unused ones; each mask fills its box."""
    count = len(rows) + 3
    boxes, scores, labels = np.zeros((count, 4), np.float32), np.zeros(count, np.float32), np.zeros(count, np.int64)
    masks = np.zeros((count, 28, 28), np.float32)
    for n, (label, score, box) in enumerate(rows):
        boxes[n], scores[n], labels[n], masks[n] = box, score, weights.DAMAGES.index(label), 1
    return {"boxes": boxes, "scores": scores, "labels": labels, "masks": masks}


def finish(damage: Damage, *rows: tuple[str, float, tuple[float, float, float, float]], **options: Any) -> DamageAnswer:
    return damage.finish(output(*rows), WIDE, whole(WIDE), DamageOptions(**options))


BOX = (8.0, 8.0, 24.0, 16.0)
FOUR = (("dent", 0.9, BOX), ("scratch", 0.5, BOX), ("dent", 0.5, BOX), ("crack", 0.45, BOX))


def test_boxes_are_scaled_to_a_photo_that_is_not_square(damage: Damage) -> None:
    (found,) = finish(damage, ("dent", 0.9, BOX)).detections
    assert found.box.model_dump() == {"x1": 100.0, "y1": 50.0, "x2": 300.0, "y2": 100.0}
    assert isinstance(found.mask, PolygonMask)
    corners = np.array(found.mask.polygons[0]).reshape(-1, 2)
    assert (*corners.min(axis=0), *corners.max(axis=0)) == (100, 50, 300, 100)
    assert found.area_fraction == pytest.approx(200 * 50 / (400 * 200), rel=0.01)


def test_boxes_are_cut_to_the_photo(damage: Damage) -> None:
    (found,) = finish(damage, ("dent", 0.9, (-4.0, 20.0, 40.0, 36.0))).detections
    assert found.box.model_dump() == {"x1": 0.0, "y1": 125.0, "x2": 400.0, "y2": 200.0}


def test_each_class_has_its_own_threshold(damage: Damage) -> None:
    answer = finish(damage, *FOUR)
    # 0.5 is over the scratch's threshold, under the dent's; a class without one has 0.5.
    assert [(d.label, d.score) for d in answer.detections] == [("dent", 0.9), ("scratch", 0.5)]
    assert answer.counts == {**dict.fromkeys(weights.DAMAGES, 0), "dent": 1, "scratch": 1}
    assert answer.damaged


def test_a_score_at_its_threshold_is_told(damage: Damage) -> None:
    assert len(finish(damage, ("crack", 0.5, BOX)).detections) == 1
    assert not finish(damage, ("crack", 0.499, BOX)).damaged


def test_min_score_takes_the_place_of_the_thresholds(damage: Damage) -> None:
    assert len(finish(damage, *FOUR, min_score=0.46).detections) == 3
    assert len(finish(damage, *FOUR, min_score=0.95).detections) == 0


def test_unused_rows_are_never_told(damage: Damage) -> None:
    assert len(finish(damage, *FOUR, min_score=0).detections) == 4
    none_needed = damage.manifest.model_copy(update={"thresholds": dict.fromkeys(weights.DAMAGES, 0.0)})
    eager = Damage.__new__(Damage)
    eager.manifest = none_needed
    assert len(finish(eager, *FOUR).detections) == 4
    assert finish(eager).damaged is False


@pytest.mark.parametrize("min_score", [None, 0.0, 0.99, 1.0])
def test_damaged_is_independent_of_min_score(damage: Damage, min_score: float | None) -> None:
    assert finish(damage, ("scratch", 0.35, BOX), min_score=min_score).damaged is True
    assert finish(damage, ("dent", 0.35, BOX), min_score=min_score).damaged is False


def test_damaged_is_independent_of_max_detections(damage: Damage) -> None:
    rows = (("dent", 0.59, BOX), ("scratch", 0.31, BOX))
    answer = finish(damage, *rows, min_score=0.1, max_detections=1)
    assert [d.label for d in answer.detections] == ["dent"]
    assert answer.damaged
    assert answer.counts["scratch"] == 0


def test_the_best_come_first_whatever_order_they_had(damage: Damage) -> None:
    answer = finish(damage, *reversed(FOUR), min_score=0.1)
    assert [d.score for d in answer.detections] == [0.9, 0.5, 0.5, 0.45]
    assert [d.label for d in answer.detections][1:3] == ["dent", "scratch"]  # equal scores keep their order


def test_no_more_than_max_detections_are_told(damage: Damage) -> None:
    rows = [("dent", 0.9 - n / 100, BOX) for n in range(10)]
    answer = finish(damage, *rows, max_detections=4)
    assert [d.score for d in answer.detections] == [0.9, 0.89, 0.88, 0.87]
    assert answer.counts["dent"] == 4


def test_nothing_is_an_answer_too(damage: Damage) -> None:
    answer = finish(damage)
    assert (answer.damaged, answer.detections, set(answer.counts.values())) == (False, [], {0})


@pytest.mark.parametrize(("form", "kind"), [("polygon", PolygonMask), ("rle", RleMask), ("none", type(None))])
def test_masks_in_every_form(damage: Damage, form: str, kind: type) -> None:
    (found,) = finish(damage, ("dent", 0.9, BOX), masks=form).detections
    assert isinstance(found.mask, kind)
    assert found.area_fraction == pytest.approx(0.125, rel=0.01)
    if isinstance(found.mask, RleMask):
        assert found.mask.size == [200, 400]


@pytest.mark.parametrize("form", ["polygon", "rle", "none"])
def test_an_empty_mask_fails_nothing(damage: Damage, form: str) -> None:
    given = output(("dent", 0.9, BOX))
    given["masks"] = np.zeros_like(given["masks"])
    (found,) = damage.finish(given, WIDE, whole(WIDE), DamageOptions.model_validate({"masks": form})).detections
    assert found.area_fraction == 0
    if isinstance(found.mask, PolygonMask):
        assert found.mask.polygons == []


def test_the_answer_is_plain_json(damage: Damage) -> None:
    answer = finish(damage, *FOUR)
    again = DamageAnswer.model_validate_json(answer.model_dump_json())
    assert again.model_dump() == answer.model_dump()
    assert "outline" not in answer.model_dump_json()


def test_the_example_is_an_answer(damage: Damage) -> None:
    example = damage.specification.example
    assert DamageAnswer.model_validate(example).model_dump() == example


@pytest.mark.parametrize("form", ["polygon", "rle"])
def test_the_outline_is_drawn_however_the_mask_is_written(damage: Damage, form: str) -> None:
    photo = Photo(WIDE, np.full((200, 400, 3), 90, np.uint8))
    drawn = draw_instances(photo.pixels, damage.shapes(finish(damage, ("dent", 0.9, BOX), masks=form)))
    assert drawn.shape == photo.pixels.shape
    inside, outside = drawn[75, 200], drawn[180, 380]
    assert (outside == 90).all()
    assert (inside != 90).any()
    assert (photo.pixels == 90).all()


def test_a_real_network_of_random_weights_is_served(tmp_path: Path) -> None:
    manifest = weights.manifest("damage")
    weights.write(tmp_path, manifest, weights.random_state(manifest))
    damage = Damage(weights_dir=tmp_path)
    damage.load("cpu")
    assert (damage.card.device, damage.card.backend) == ("cpu", "torch")
    photo = Photo(WIDE, np.random.default_rng(0).integers(0, 256, (200, 400, 3), np.uint8))
    item = damage.prepare(photo, whole(WIDE), DamageOptions())
    assert {name: (value.shape, str(value.dtype)) for name, value in item.items()} == {
        name: (tensor.shape, tensor.dtype) for name, tensor in damage.specification.inputs.items()
    }
    found = damage.run({name: np.stack([value] * 2) for name, value in item.items()})
    row = {name: value[0] for name, value in found.items()}
    answer = damage.finish(row, WIDE, whole(WIDE), DamageOptions(min_score=0))
    assert 0 < len(answer.detections) <= 10
    assert len(damage.shapes(answer)) == len(answer.detections)


def test_weights_of_another_kind_are_refused(tmp_path: Path) -> None:
    weights.write(tmp_path, weights.manifest("damage", kind="classifier"))
    with pytest.raises(WeightsError, match=r"damage\.json: kind is 'classifier', damage expects 'instances'"):
        Damage(weights_dir=tmp_path)
    weights.write(tmp_path, weights.manifest("damage", labels={"label": []}))
    with pytest.raises(WeightsError, match="damage expects labels for label"):
        Damage(weights_dir=tmp_path)


def test_the_probability_of_damage_follows_the_surest_detection(tmp_path: Path) -> None:
    knots = [(0.0, 0.1), (0.5, 0.6), (1.0, 0.9)]
    weights.write(tmp_path, weights.manifest("damage", thresholds=THRESHOLDS, presence=knots))
    measured = Damage(weights_dir=tmp_path)
    assert finish(measured).damaged_score == 0.1
    assert finish(measured, ("dent", 0.6, BOX)).damaged_score == pytest.approx(0.6, abs=1e-3)
    assert finish(measured, ("dent", 0.3, BOX), ("scratch", 0.65, BOX)).damaged_score == pytest.approx(0.75, abs=1e-3)
    # It is the photo's, whatever the options show.
    assert finish(measured, ("dent", 0.6, BOX), min_score=1).damaged_score == pytest.approx(0.6, abs=1e-3)


def test_without_a_map_there_is_no_probability(damage: Damage) -> None:
    assert finish(damage, ("dent", 0.9, BOX)).damaged_score is None


def test_its_regions_are_those_of_its_detections(damage: Damage) -> None:
    answer = finish(damage, *FOUR)
    assert damage.specification.completed_by == ("damage_severity",)
    dent, scratch = damage.regions(answer, WIDE)
    assert dent == Region(100.0, 50.0, 300.0, 100.0, "damage", 0.9, "dent")
    assert (scratch.label, scratch.score) == ("scratch", 0.5)


def test_grades_are_laid_to_their_detections(damage: Damage) -> None:
    answer = finish(damage, *FOUR)
    assert [one.severity for one in answer.detections] == [None, None]
    dent, scratch = damage.regions(answer, WIDE)
    grade = LabelScore(label="moderate", score=0.8)
    only = damage.complete(answer, "damage_severity", [(scratch, grade)])
    assert [one.severity for one in only.detections] == [None, grade]  # the same box, but another class
    both = damage.complete(answer, "damage_severity", [(scratch, grade), (dent, LabelScore(label="minor", score=0.6))])
    assert [one.severity and one.severity.label for one in both.detections] == ["minor", "moderate"]
    assert [one.mask for one in both.detections] == [one.mask for one in answer.detections]
    assert [damage.title(one) for one in only.detections] == ["dent", "moderate scratch"]


def test_a_graded_damage_is_drawn_as_before_but_for_its_label(damage: Damage) -> None:
    answer = finish(damage, FOUR[0])
    (region,) = damage.regions(answer, WIDE)
    graded = damage.complete(answer, "damage_severity", [(region, LabelScore(label="minor", score=0.8))])
    photo = Photo(WIDE, np.full((200, 400, 3), 90, np.uint8))
    plain, told = (draw_instances(photo.pixels, damage.shapes(one)) for one in (answer, graded))
    assert (plain[60:90, 110:290] == told[60:90, 110:290]).all()
    assert (plain != told).any()


def test_scores_that_are_no_numbers_are_an_error_and_not_a_sound_car(damage: Damage) -> None:
    broken = output(("dent", 0.9, BOX))
    broken["scores"][:] = np.nan
    with pytest.raises(ValueError, match="finite"):
        damage.finish(broken, WIDE, whole(WIDE), DamageOptions())
