"""VIA's JSON: regions in an object or in a list, classes from attributes, every break told with its region."""

import re
from pathlib import Path
from typing import Any

import pytest

from tests.unit.training.data import sets
from training.data import via
from training.data.annotated import Labels
from training.data.archive import Archive

TRIANGLE = {"name": "polygon", "all_points_x": [5, 50, 20], "all_points_y": [4, 8, 33]}


def region(shape: Any = TRIANGLE, **attributes: Any) -> dict[str, Any]:
    return {"shape_attributes": shape, "region_attributes": attributes}


def entry(file: str, regions: Any) -> dict[str, Any]:
    return {"filename": file, "size": 1234, "regions": regions, "file_attributes": {}}


@pytest.fixture(scope="module")
def archive(tmp_path_factory: pytest.TempPathFactory) -> Archive:
    return Archive(sets.photos(tmp_path_factory.mktemp("balloon") / "train", ["a.png", "b.png"]))


def read(folder: Path, content: Any, archive: Archive, labels: list[str], attribute: str | None = None) -> Any:
    return via.read(sets.write(folder / "via.json", content), Labels(labels), archive, attribute)


def test_a_set_like_the_balloons(tmp_path: Path, archive: Archive) -> None:
    """VIA 1: regions are numbered in an object, and none has a class."""
    content = {
        "a.png1234": entry("a.png", {"0": region(), "1": region({**TRIANGLE, "all_points_x": [6, 51, 21]})}),
        "b.png1234": entry("b.png", {}),
    }
    first, second = read(tmp_path, content, archive, ["balloon"])
    assert (first.file, first.width, first.height) == ("a.png", sets.WIDTH, sets.HEIGHT)
    assert [one.label for one in first.instances] == [0, 0]
    assert first.instances[0].rings[0].tolist() == [[5, 4], [50, 8], [20, 33]]
    assert second.instances == []


@pytest.mark.parametrize("value", ["dent", {"dent": True, "scratch": False}])
def test_a_project_with_classes_in_an_attribute(tmp_path: Path, archive: Archive, value: Any) -> None:
    """VIA 2: regions are a list; a class is a text or a ticked box."""
    content = {"_via_settings": {}, "_via_img_metadata": {"x": entry("b.png", [region(damage=value)])}}
    (photo,) = read(tmp_path, content, archive, ["scratch", "dent"])
    assert photo.instances[0].label == 1
    assert photo.instances[0].attributes == {"damage": value}


def test_the_attribute_is_chosen_where_there_are_several(tmp_path: Path, archive: Archive) -> None:
    content = {"x": entry("b.png", [region(damage="dent", side="left")])}
    assert read(tmp_path, content, archive, ["scratch", "dent"], "damage")[0].instances[0].label == 1
    with pytest.raises(ValueError, match=r"name the attribute that is the class in data\.attribute: damage, side"):
        read(tmp_path, content, archive, ["scratch", "dent"])


@pytest.mark.parametrize(
    ("shape", "box"),
    [
        ({"name": "rect", "x": 5, "y": 6, "width": 20, "height": 10}, (5, 6, 25, 16)),
        ({"name": "circle", "cx": 20, "cy": 18, "r": 8}, (12, 10, 28, 26)),
        ({"name": "ellipse", "cx": 20, "cy": 18, "rx": 8, "ry": 4}, (12, 14, 28, 22)),
    ],
)
def test_other_shapes_have_their_outline(
    tmp_path: Path, archive: Archive, shape: dict[str, Any], box: tuple[float, ...]
) -> None:
    (photo,) = read(tmp_path, {"x": entry("a.png", [region(shape)])}, archive, ["dent"])
    assert photo.instances[0].box() == pytest.approx(box, abs=1e-3)


BROKEN = [
    ([region({**TRIANGLE, "all_points_x": [1, 2]})], "photo 'a.png', region 0: 2 x but 3 y"),
    ([region({"name": "polygon", "all_points_x": [1, 9], "all_points_y": [1, 9]})], "region 0: no polygon of three"),
    (
        [region({**TRIANGLE, "all_points_x": [5, float("nan"), 9]})],
        "region 0: a polygon has a number that is not finite",
    ),
    (
        [region({**TRIANGLE, "all_points_x": [5, 500, 9]})],
        "region 0: the outline reaches from 5, 4 to 500, 33, outside",
    ),
    ([region(), region({"name": "point", "cx": 1, "cy": 2})], "region 1: a point is not read"),
    ([region({"name": "rect", "x": 1, "y": 2, "width": 0, "height": 3})], "region 0: the box is 0 wide"),
    ([region(damage="rust")], "region 0: damage 'rust' is not among the labels dent"),
    ([region(damage={"dent": False})], "region 0: damage has 0 values, expected one"),
    ([{"shape_attributes": {}}], "region 0: not a region of VIA (KeyError: 'name')"),
    (["here"], "region 0: not a region of VIA"),
]


@pytest.mark.parametrize(("regions", "expected"), BROKEN, ids=[expected for _, expected in BROKEN])
def test_a_broken_region_is_told(tmp_path: Path, archive: Archive, regions: Any, expected: str) -> None:
    with pytest.raises(ValueError, match=re.escape(expected)) as caught:
        read(tmp_path, {"x": entry("a.png", regions)}, archive, ["dent"])
    assert "via.json, photo 'a.png'" in str(caught.value)


def test_no_class_and_several_labels(tmp_path: Path, archive: Archive) -> None:
    with pytest.raises(ValueError, match="no region attribute says which of the labels dent, scratch it is"):
        read(tmp_path, {"x": entry("a.png", [region()])}, archive, ["dent", "scratch"])


def test_a_photo_that_is_missing_and_one_that_is_there_twice(tmp_path: Path, archive: Archive) -> None:
    content = {"x": entry("a.png", []), "y": entry("a.png", []), "z": entry("c.png", [])}
    with pytest.raises(ValueError, match="2 problems") as caught:
        read(tmp_path, content, archive, ["dent"])
    assert "photo 'c.png': does not exist in the archive of photos" in str(caught.value)
    assert "photo 'a.png' is listed twice" in str(caught.value)


@pytest.mark.parametrize("content", [{}, [], {"a": 1}, {"a": {"filename": "a.png"}}])
def test_another_kind_of_json_is_refused(tmp_path: Path, archive: Archive, content: Any) -> None:
    with pytest.raises(ValueError, match=r"via\.json: not VIA's annotations"):
        read(tmp_path, content, archive, ["dent"])
