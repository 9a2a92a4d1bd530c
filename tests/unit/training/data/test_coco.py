"""COCO annotations: polygons per photo, and every break told with file and id."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from training.data import coco

LABELS = ["dent", "scratch"]
SQUARE = [10, 20, 30, 20, 30, 60, 10, 60]


def document(**changes: Any) -> dict[str, Any]:
    annotation = {"id": 5, "image_id": 3, "category_id": 2, "segmentation": [SQUARE], **changes}
    return {
        "images": [
            {"id": 3, "file_name": "a.webp", "width": 100, "height": 80},
            {"id": 1, "file_name": "b.webp", "width": 50, "height": 40},
        ],
        "categories": [{"id": 2, "name": "dent"}, {"id": 9, "name": "scratch"}],
        "annotations": [annotation],
    }


def write(folder: Path, content: Any) -> Path:
    path = folder / "train.json"
    path.write_text(content if isinstance(content, str) else json.dumps(content))
    return path


def test_photos_come_in_the_files_order_with_their_instances(tmp_path: Path) -> None:
    photos = coco.read(write(tmp_path, document()), LABELS)
    assert [(p.id, p.file, p.width, p.height, len(p.instances)) for p in photos] == [
        (3, "a.webp", 100, 80, 1),
        (1, "b.webp", 50, 40, 0),
    ]
    (instance,) = photos[0].instances
    assert instance.label == 0
    assert instance.rings[0].shape == (4, 2)
    assert instance.box() == (10, 20, 30, 60)


def test_labels_are_numbered_as_asked_for_not_as_in_the_file(tmp_path: Path) -> None:
    photos = coco.read(write(tmp_path, document()), ["scratch", "crack", "dent"])
    assert photos[0].instances[0].label == 2


def test_a_box_goes_around_all_rings_and_fragments_are_left_out(tmp_path: Path) -> None:
    rings = [SQUARE, [0, 0, 5, 0, 5, 5], [90, 70, 95, 75], [1, 2, 3, 4, 5, 6, 7]]
    photos = coco.read(write(tmp_path, document(segmentation=rings)), LABELS)
    (instance,) = photos[0].instances
    assert len(instance.rings) == 2
    assert instance.box() == (0, 0, 30, 60)
    assert instance.rings[0].dtype == np.float32


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"image_id": 8}, "image 8 does not exist"),
        ({"image_id": None}, "image None does not exist"),
        ({"category_id": 1}, "category 1 does not exist"),
        ({"segmentation": {"counts": "abc", "size": [2, 2]}}, "segmentation is not a list of polygons"),
        ({"segmentation": None}, "segmentation is not a list of polygons"),
        ({"segmentation": []}, "no polygon of three finite points or more"),
        ({"segmentation": [[1, 2, 3, 4]]}, "no polygon of three finite points or more"),
        ({"segmentation": [[1, 2, 3, 4, 5, float("nan")]]}, "no polygon of three finite points or more"),
        ({"segmentation": [[1, 2, 3, 4, 5, "six"]]}, "a polygon is not a list of numbers"),
        ({"segmentation": SQUARE}, "a polygon is not a list of numbers"),
    ],
)
def test_a_broken_annotation_is_told_with_file_and_id(tmp_path: Path, changes: dict[str, Any], expected: str) -> None:
    with pytest.raises(ValueError, match=rf"train\.json, annotation 5: {expected}"):
        coco.read(write(tmp_path, document(**changes)), LABELS)


def test_categories_that_are_no_labels_are_named(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"train\.json: categories scratch are not among the labels dent, crack"):
        coco.read(write(tmp_path, document()), ["dent", "crack"])


@pytest.mark.parametrize("missing", ["images", "categories", "annotations"])
def test_another_kind_of_json_is_refused(tmp_path: Path, missing: str) -> None:
    given = document()
    del given[missing]
    with pytest.raises(ValueError, match=rf"train\.json: not COCO's instance annotations .*{missing}"):
        coco.read(write(tmp_path, given), LABELS)


@pytest.mark.parametrize("content", ["[1, 2]", "not json", ""])
def test_what_is_no_json_object_is_refused_by_file(tmp_path: Path, content: str) -> None:
    with pytest.raises(ValueError, match=r"train\.json: not"):
        coco.read(write(tmp_path, content), LABELS)
