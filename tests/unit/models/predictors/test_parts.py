"""`parts`: what is told of hand-made outputs, twins of sides, and colours that are not those of damages."""

from itertools import combinations
from typing import Any

import numpy as np
import pytest

from models.drawing import draw_instances, palette
from models.photo import Header, Photo, whole
from models.predictors.instances import InstancesOptions
from models.predictors.parts import Parts, PartsAnswer, tint, twin
from tests import weights

LABELS = [
    *("back_bumper", "back_glass", "back_left_door", "back_left_light", "back_right_door", "back_right_light"),
    *("front_bumper", "front_glass", "front_left_door", "front_left_light", "front_right_door", "front_right_light"),
    *("hood", "left_mirror", "right_mirror", "tailgate", "trunk", "wheel"),
]
HEADER = Header(64, 64, "JPEG")  # twice what the network reads


SILENT = ["fender", "sill"]


@pytest.fixture(scope="module")
def parts(tmp_path_factory: pytest.TempPathFactory) -> Parts:
    folder = tmp_path_factory.mktemp("weights")
    made = weights.manifest("damage", labels={"label": LABELS}, thresholds=dict.fromkeys(LABELS, 0.5))
    manifest = made.model_copy(update={"name": "parts", "silent": SILENT})
    weights.write(folder, manifest, weights.random_state(manifest))
    return Parts(weights_dir=folder)


def test_the_labels_are_those_of_the_contract() -> None:
    assert Parts().card.labels["label"] == LABELS


def output(labels: list[int], scores: list[float]) -> dict[str, np.ndarray]:
    boxes = np.array([[4, 4, 20, 20]] * len(labels), np.float32)
    masks = np.ones((len(labels), 28, 28), np.float32)
    return {"boxes": boxes, "scores": np.array(scores), "labels": np.array(labels), "masks": masks}


def test_parts_are_told_best_first_in_the_photo_s_pixels(parts: Parts) -> None:
    given = output([0, 17, 12, 12], [0.6, 0.9, 0.4, 0.0])
    found = parts.finish(given, HEADER, whole(HEADER), InstancesOptions()).parts
    assert [one.label for one in found] == ["wheel", "back_bumper"]
    assert found[0].box.model_dump() == {"x1": 8.0, "y1": 8.0, "x2": 40.0, "y2": 40.0}
    assert found[0].area_fraction == pytest.approx(0.25, abs=0.01)
    more = parts.finish(given, HEADER, whole(HEADER), InstancesOptions(min_score=0, max_detections=3)).parts
    assert [one.label for one in more] == ["wheel", "back_bumper", "hood"]


@pytest.mark.parametrize("options", [{}, {"min_score": 0, "masks": "none"}, {"max_detections": 1}])
def test_panels_without_a_label_are_known_to_joins_and_told_to_nobody(parts: Parts, options: dict[str, Any]) -> None:
    given = output([18, 19, 12, 18], [0.9, 0.09, 0.8, 0.15])
    answer = parts.finish(given, HEADER, whole(HEADER), InstancesOptions.model_validate(options))
    assert [one.label for one in answer.parts] == ["hood"]
    assert [(one.label, one.score, bool(one.outline)) for one in answer.panels] == [
        ("fender", 0.9, True),
        ("fender", 0.15, True),
    ]
    assert "fender" not in answer.model_dump_json()
    assert answer.model_copy(update={"parts": []}).panels == answer.panels  # as a join leaves it
    assert "fender" not in str(parts.card) + str(parts.specification)


@pytest.mark.parametrize(
    ("options", "unsure"),
    [
        ({}, [("wheel", 0.4)]),
        ({"min_score": 0.3}, []),
        ({"min_score": 0.95, "masks": "none"}, [("hood", 0.8), ("wheel", 0.4)]),
        ({"max_detections": 1, "min_score": 0}, [("wheel", 0.4)]),
    ],
)
def test_what_is_not_told_is_known_to_joins(parts: Parts, options: dict[str, Any], unsure: list[Any]) -> None:
    given = output([12, 17, 0], [0.8, 0.4, 0.19])
    answer = parts.finish(given, HEADER, whole(HEADER), InstancesOptions.model_validate(options))
    assert [(one.label, one.score) for one in answer.unsure] == unsure
    assert all(one.outline for one in answer.unsure)
    assert not {label for label, _ in unsure} & {one.label for one in answer.parts}
    assert answer.model_copy(update={"parts": []}).unsure == answer.unsure  # as a join leaves it


def test_panels_without_a_label_make_no_photo_sure(parts: Parts) -> None:
    assert not parts.sure(output([18, 19], [0.9, 0.9]))
    assert parts.sure(output([18, 12], [0.9, 0.6]))


def test_outlines_of_panels_are_asked_for_from_their_own_score(parts: Parts) -> None:
    photo = Photo(HEADER, np.zeros((64, 64, 3), np.uint8))
    for lowest, expected in (
        (None, [0.2] * 18 + [0.1] * 2),
        (0.0, [0.0] * 18 + [0.1] * 2),
        (0.9, [0.2] * 18 + [0.1] * 2),
    ):
        given = parts.prepare(photo, whole(HEADER), InstancesOptions(min_score=lowest))
        assert given["least"].astype(float).tolist() == pytest.approx(expected)


@pytest.mark.parametrize("form", ["polygon", "rle", "none"])
def test_the_outline_is_kept_and_drawn_only_where_a_mask_is_wanted(parts: Parts, form: str) -> None:
    (one,) = parts.finish(
        output([12], [0.9]), HEADER, whole(HEADER), InstancesOptions.model_validate({"masks": form})
    ).parts
    assert one.outline
    assert (one.mask is None) == (form == "none")
    drawn = draw_instances(np.zeros((64, 64, 3), np.uint8), parts.shapes(PartsAnswer(parts=[one])))
    assert drawn[8].any()  # the edge of the box and of the mask, which fills it
    assert drawn[30, 30].any() == (form != "none")


def test_twins() -> None:
    assert {label: twin(label) for label in LABELS if twin(label)} == {
        "back_left_door": "back_right_door",
        "back_right_door": "back_left_door",
        "back_left_light": "back_right_light",
        "back_right_light": "back_left_light",
        "front_left_door": "front_right_door",
        "front_right_door": "front_left_door",
        "front_left_light": "front_right_light",
        "front_right_light": "front_left_light",
        "left_mirror": "right_mirror",
        "right_mirror": "left_mirror",
    }
    assert twin("leftover") is None


def test_every_part_has_a_steady_colour_unlike_those_of_damages() -> None:
    tints = [np.array(tint(number), int) for number in range(len(LABELS))]
    damages = [np.array(palette(number), int) for number in range(6)]
    assert min(np.abs(one - other).max() for one, other in combinations(tints, 2)) >= 20
    assert min(np.abs(one - other).max() for one in tints for other in damages) >= 20
    assert tint(3) == tint(3)
