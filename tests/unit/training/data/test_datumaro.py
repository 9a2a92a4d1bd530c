"""Datumaro JSON: shapes and tags as CVAT exports them, what is written is read back, every break told."""

import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.unit.training.data import sets
from tests.unit.training.data.test_masks import compressed, drawn
from training.data import datumaro
from training.data.annotated import Annotated, Instance, Labels
from training.data.archive import Archive

LABELS = ["scratch", "dent"]


def shape(kind: str = "polygon", label: int = 0, **parts: Any) -> dict[str, Any]:
    given = {"points": sets.SQUARE} if kind == "polygon" else {}
    return {"id": 4, "type": kind, "attributes": {}, "group": 0, "label_id": label, "z_order": 0, **given, **parts}


def document(*annotations: Any, **item: Any) -> dict[str, Any]:
    return {
        "info": {},
        "categories": {"label": {"labels": [{"name": "dent", "parent": "", "attributes": []}, {"name": "scratch"}]}},
        "items": [
            {
                "id": "front/a",
                "annotations": list(annotations),
                "image": {"path": "front/a.png", "size": [sets.HEIGHT, sets.WIDTH]},
                **item,
            }
        ],
    }


@pytest.fixture(scope="module")
def archive(tmp_path_factory: pytest.TempPathFactory) -> Archive:
    return Archive(sets.photos(tmp_path_factory.mktemp("cvat") / "images", ["front/a.png", "b.png"]))


def read(folder: Path, content: Any, archive: Archive) -> list[Annotated]:
    return datumaro.read(sets.write(folder / "default.json", content), Labels(LABELS), archive)


def test_polygons_with_their_attributes(tmp_path: Path, archive: Archive) -> None:
    (photo,) = read(tmp_path, document(shape(attributes={"occluded": False, "side": "left"})), archive)
    assert (photo.file, photo.width, photo.height) == ("front/a.png", 60, 40)
    (instance,) = photo.instances
    assert instance.label == 1  # the recipe's number of `dent`
    assert instance.box() == (12, 8, 42, 28)
    assert instance.attributes == {"occluded": False, "side": "left"}


def test_boxes_ellipses_and_masks_have_their_outline_and_tags_none(tmp_path: Path, archive: Archive) -> None:
    given = document(
        shape("bbox", bbox=[5, 6, 20, 10]),
        shape("ellipse", points=[12, 10, 28, 26]),
        shape("mask", rle=compressed(drawn())),
        shape("label", 1),
    )
    (photo,) = read(tmp_path, given, archive)
    assert [one.box() for one in photo.instances[:2]] == [(5, 6, 25, 16), pytest.approx((12, 10, 28, 26), abs=1e-3)]
    assert photo.instances[2].box()[0] == 5
    assert len(photo.instances) == 3


def test_shapes_of_one_group_are_one_object(tmp_path: Path, archive: Archive) -> None:
    other = [1, 1, 9, 1, 9, 9]
    given = document(
        shape(group=3), shape(group=3, points=other), shape(group=3, label=1), shape(), shape(points=other)
    )
    (photo,) = read(tmp_path, given, archive)
    assert [(one.label, len(one.rings)) for one in photo.instances] == [(1, 2), (0, 1), (1, 1), (1, 1)]


def test_a_photo_is_found_by_its_id_and_its_size_in_the_file(tmp_path: Path, archive: Archive) -> None:
    (photo,) = read(tmp_path, document(id="b", image={"path": ""}), archive)
    assert (photo.file, photo.width, photo.height) == ("b.png", 60, 40)


BROKEN = [
    (shape("polyline", points=[1, 1, 5, 5]), "a polyline has no outline; known are polygon, bbox, mask, ellipse"),
    (shape(label=2), "label_id 2 does not exist"),
    (shape(points=[1, 1, 5, 5]), "no polygon of three points or more"),
    (shape(points=[1, 1, 5, 5, 9]), "a polygon has 5 numbers"),
    (shape(points=[1, 1, 5, 5, 9, float("inf")]), "a number that is not finite"),
    (shape(points=[1, 1, 95, 5, 9, 9]), "outside the photo of 60 x 40"),
    (shape("bbox", bbox=[1, 1, 5, 0]), "the box is 5 wide and 0 high"),
    (shape("bbox", bbox=[1, 1, 5]), "not a bbox (TypeError"),
    (shape("bbox"), "not a bbox (KeyError: 'bbox')"),
    (shape("mask", rle={"counts": "12", "size": [40, 60]}), "the mask's run lengths do not add up to 2400 pixels"),
]


@pytest.mark.parametrize(("annotation", "expected"), BROKEN, ids=[expected for _, expected in BROKEN])
def test_a_broken_annotation_is_told(tmp_path: Path, archive: Archive, annotation: Any, expected: str) -> None:
    with pytest.raises(ValueError, match=re.escape(expected)) as caught:
        read(tmp_path, document(annotation), archive)
    assert "default.json, item 'front/a', annotation 4: " in str(caught.value)


def test_labels_and_photos_that_are_not_there(tmp_path: Path, archive: Archive) -> None:
    given = document(shape())
    given["categories"]["label"]["labels"][0]["name"] = "rust"
    given["items"].append({"id": "c", "annotations": [], "image": {"path": "c.png"}})
    given["items"].append({"id": "d", "annotations": [], "image": {"path": "d.png", "size": [40, 60]}})
    with pytest.raises(ValueError, match="3 problems") as caught:
        read(tmp_path, given, archive)
    for expected in (
        "label 'rust' is not among the labels scratch, dent",
        "photo 'c.png' does not",
        "photo 'd.png' does",
    ):
        assert expected in str(caught.value)


@pytest.mark.parametrize("content", [[], {"items": []}, {"categories": {"label": {"labels": []}}, "items": [3]}])
def test_another_kind_of_json_is_refused(tmp_path: Path, archive: Archive, content: Any) -> None:
    with pytest.raises(ValueError, match=r"default\.json: not Datumaro's annotations"):
        read(tmp_path, content, archive)


def test_what_is_written_is_read_back(tmp_path: Path, archive: Archive) -> None:
    ring = np.array([[10.25, 20], [30, 20.5], [12, 38]], np.float32)
    photos = [
        Annotated(
            1,
            "front/a.png",
            60,
            40,
            [
                Instance(1, [ring, (ring / 2).astype(np.float32)], attributes={"score": 0.75}),
                Instance(0, [ring], attributes={"score": 0.5}),
                Instance(1, [ring]),
            ],
        ),
        Annotated(2, "b.png", 60, 40),
    ]
    datumaro.write(tmp_path / "out.json", photos, LABELS)
    again = datumaro.read(tmp_path / "out.json", Labels(LABELS), archive)
    assert [(p.id, p.file, p.width, p.height) for p in again] == [(p.id, p.file, p.width, p.height) for p in photos]
    assert [(i.label, len(i.rings), i.attributes) for i in again[0].instances] == [
        (1, 2, {"score": 0.75}),
        (0, 1, {"score": 0.5}),
        (1, 1, {}),
    ]
    np.testing.assert_allclose(again[0].instances[0].rings[1], ring / 2, atol=0.01)


def test_tags_that_are_written_are_read_back(tmp_path: Path, archive: Archive) -> None:
    photos = [Annotated(1, "front/a.png", 60, 40), Annotated(2, "b.png", 60, 40)]
    datumaro.write_tags(tmp_path / "out.json", photos, LABELS, [[(1, {"score": 0.75})], [(0, {})]])
    rows = datumaro.read_tags(tmp_path / "out.json", Labels(LABELS), archive)
    assert [(row.file, row.label, row.extra) for row in rows] == [
        ("front/a.png", 1, {"score": "0.75"}),
        ("b.png", 0, {}),
    ]


@pytest.mark.parametrize(
    ("annotations", "expected"),
    [
        ([], "item 'front/a': 0 tags, expected one"),
        ([shape("label"), shape("label", 1)], "item 'front/a': 2 tags, expected one"),
        ([shape("label", 5)], "item 'front/a': label_id 5 does not exist"),
    ],
)
def test_broken_tags_are_told(tmp_path: Path, archive: Archive, annotations: list[Any], expected: str) -> None:
    path = sets.write(tmp_path / "default.json", document(*annotations))
    with pytest.raises(ValueError, match=re.escape(expected)):
        datumaro.read_tags(path, Labels(LABELS), archive)
