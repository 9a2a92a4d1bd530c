"""COCO annotations: polygons per photo, and every break told with file and id."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from pycocotools.coco import COCO  # type: ignore[import-untyped]

from training.data import coco
from training.data.annotated import Annotated, Instance, Labels
from training.data.problems import DataError

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
    rings = [SQUARE, [0, 0, 5, 0, 5, 5], [90, 70, 95, 75]]
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
        ({"category_id": [2]}, "image_id or category_id is not a number"),
        ({"segmentation": {"counts": "abc", "size": [2, 2]}}, "the mask's size is .*, the photo's"),
        ({"segmentation": {"counts": "abc", "size": [80, 100]}}, "the mask's run lengths do not add up to 8000 pixels"),
        ({"segmentation": "abc"}, "segmentation is neither a list of polygons nor a mask"),
        ({"segmentation": None}, "no polygon of three points or more"),
        ({"segmentation": []}, "no polygon of three points or more"),
        ({"segmentation": [[1, 2, 3, 4]]}, "no polygon of three points or more"),
        ({"segmentation": [[1, 2, 3, 4, 5, 6, 7]]}, "a polygon has 7 numbers, which are not pairs"),
        ({"segmentation": [[1, 2, 3, 4, 5, float("nan")]]}, "a polygon has a number that is not finite"),
        ({"segmentation": [[1, 2, 3, 4, 5, "six"]]}, "a polygon is not a list of numbers"),
        ({"segmentation": SQUARE}, "a polygon is not a list of numbers"),
        ({"segmentation": [[120, 20, 130, 20, 130, 60]]}, "the outline reaches from .* outside the photo of 100 x 80"),
        ({"segmentation": [[10, 20, 30, 20, 20, 20]]}, "the outline has no area"),
        ({"segmentation": [], "bbox": [10, 20, 0, 5]}, "the box is 0 wide and 5 high, so it has no area"),
        ({"segmentation": [], "bbox": [10, 20, 5]}, "the box is not four numbers"),
        ({"iscrowd": 2}, "iscrowd is 2, not 0 or 1"),
    ],
)
def test_a_broken_annotation_is_told_with_file_and_id(tmp_path: Path, changes: dict[str, Any], expected: str) -> None:
    with pytest.raises(ValueError, match=rf"train\.json, annotation 5: {expected}"):
        coco.read(write(tmp_path, document(**changes)), LABELS)


def test_categories_that_are_no_labels_are_named(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"train\.json: categories scratch are not among the labels dent, crack"):
        coco.read(write(tmp_path, document()), ["dent", "crack"])


def test_all_that_is_broken_is_told_at_once(tmp_path: Path) -> None:
    given = document(category_id=7)
    given["annotations"] += [{**given["annotations"][0], "id": 6, "image_id": 4}, given["annotations"][0]]
    with pytest.raises(DataError) as caught:
        coco.read(write(tmp_path, given), LABELS)
    path = tmp_path / "train.json"
    assert caught.value.problems == [
        f"{path}, annotation 5: category 7 does not exist",
        f"{path}, annotation 6: image 4 does not exist",
        f"{path}, annotation 5: the id is there twice",
    ]


@pytest.mark.parametrize(
    ("images", "expected"),
    [
        ([{"id": 3, "file_name": "a.webp", "width": 100, "height": 80}] * 2, "image 3: the id is there twice"),
        ([{"id": 3, "file_name": "a.webp", "width": 0, "height": 80}], "image 3: the size is 0 x 80, not in pixels"),
        ([{"id": 3, "file_name": "a.webp", "width": "1", "height": 80}], "image 3: the size is '1' x 80"),
    ],
)
def test_a_broken_image_is_told_with_its_id(tmp_path: Path, images: list[dict[str, Any]], expected: str) -> None:
    with pytest.raises(ValueError, match=rf"train\.json, {expected}"):
        coco.read(write(tmp_path, {**document(), "images": images}), LABELS)


def test_a_mask_becomes_rings_around_the_same_pixels(tmp_path: Path) -> None:
    # Column by column: 10 columns of nothing, then 20 columns with 40 of 80 pixels from the 20th on.
    counts = [10 * 80 + 20, 40, *[40, 40] * 19, 20 + 70 * 80]
    code = {"size": [80, 100], "counts": counts}
    (photo, _) = coco.read(write(tmp_path, document(segmentation=code, iscrowd=1)), LABELS)
    (instance,) = photo.instances
    assert instance.crowd
    assert instance.box() == (10, 20, 30, 60)
    assert not coco.read(write(tmp_path, document()), LABELS)[0].instances[0].crowd


@pytest.mark.parametrize("segmentation", [[], None])
def test_a_box_without_a_mask_is_its_corners(tmp_path: Path, segmentation: Any) -> None:
    photos = coco.read(write(tmp_path, document(segmentation=segmentation, bbox=[10, 20, 30, 40])), LABELS)
    (instance,) = photos[0].instances
    assert instance.rings[0].tolist() == [[10, 20], [40, 20], [40, 60], [10, 60]]


def test_attributes_and_score_are_kept(tmp_path: Path) -> None:
    photos = coco.read(write(tmp_path, document(attributes={"occluded": True}, score=0.5)), LABELS)
    assert photos[0].instances[0].attributes == {"occluded": True, "score": 0.5}


def test_categories_may_be_renamed(tmp_path: Path) -> None:
    labels = Labels(["dent", "scrape"], {"scratch": "scrape"})
    assert coco.read(write(tmp_path, document(category_id=9)), labels)[0].instances[0].label == 1


def test_what_is_written_is_read_back(tmp_path: Path) -> None:
    ring = np.array([[10.25, 20], [30, 20.5], [12, 60]], np.float32)
    photos = [
        Annotated(
            1, "a/b.jpg", 100, 80, [Instance(1, [ring, (ring + 5).astype(np.float32)], attributes={"score": 0.75})]
        ),
        Annotated(2, "c.jpg", 50, 40, [Instance(0, [(ring[:, ::-1] / 2).astype(np.float32)], crowd=True)]),
        Annotated(3, "d.jpg", 50, 40),
    ]
    coco.write(tmp_path / "out.json", photos, LABELS)
    again = coco.read(tmp_path / "out.json", LABELS)
    assert [(p.id, p.file, p.width, p.height) for p in again] == [(p.id, p.file, p.width, p.height) for p in photos]
    for found, given in zip(again, photos, strict=True):
        assert [(i.label, i.crowd, i.attributes) for i in found.instances] == [
            (i.label, i.crowd, i.attributes) for i in given.instances
        ]
        for one, other in zip(found.instances, given.instances, strict=True):
            np.testing.assert_allclose(np.concatenate(one.rings), np.concatenate(other.rings), atol=0.01)
            assert len(one.rings) == len(other.rings)


def test_results_are_read_by_cocos_own_tools(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    ring = np.array([[10, 20], [30, 20], [30, 60], [10, 60]], np.float32)
    photos = [Annotated(7, "a.jpg", 100, 80, [Instance(1, [ring], attributes={"score": 0.75})])]
    coco.write(tmp_path / "out.json", photos, LABELS)
    coco.results(tmp_path / "results.json", photos)
    truth = COCO(str(tmp_path / "out.json"))
    found = truth.loadRes(str(tmp_path / "results.json"))
    (detection,) = found.loadAnns(found.getAnnIds())
    assert (detection["score"], detection["category_id"], detection["image_id"]) == (0.75, 2, 7)
    assert detection["bbox"] == [10, 20, 20, 40]
    assert truth.loadAnns(1)[0]["area"] == 800


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
