"""YOLO's labels: boxes and polygons in shares of the photo, and every break told with file and line."""

import re
from pathlib import Path

import pytest

from tests.unit.training.data import sets
from training.data import yolo
from training.data.annotated import Annotated, Labels
from training.data.archive import Archive

NAMES = "train: images/train\nval: images/val\nnames:\n  0: dent\n  1: scratch\n"
LABELS = ["scratch", "dent"]


def draw(root: Path, labels: dict[str, str], names: str = NAMES) -> Path:
    """Photos a.png and b.png, and these label files."""
    sets.photos(root / "images" / "train", ["a.png", "deep/b.png"])
    for name, text in labels.items():
        sets.write(root / "labels" / "train" / name, text)
    return sets.write(root / "data.yaml", names)


def read(path: Path) -> list[Annotated]:
    return yolo.read(path, Labels(LABELS), Archive(path.parent / "images" / "train"))


def test_boxes_and_polygons_are_in_pixels(tmp_path: Path) -> None:
    text = "0 0.5 0.5 0.2 0.5\n\n1 0.1 0.1 0.9 0.1 0.9 0.8\n"
    first, second = read(draw(tmp_path, {"a.txt": text}))
    assert (first.file, first.width, first.height) == ("a.png", 60, 40)
    box, outline = first.instances
    assert box.label == 1  # the recipe's number of `dent`
    assert box.box() == pytest.approx((24, 10, 36, 30))
    assert outline.label == 0
    assert outline.rings[0].ravel().tolist() == pytest.approx([6, 4, 54, 4, 54, 32])
    assert second.file == "deep/b.png"
    assert second.instances == []  # without a label file it is a photo on which there is nothing


def test_labels_may_lie_beside_their_photos(tmp_path: Path) -> None:
    sets.photos(tmp_path / "photos", ["a.png"])
    sets.write(tmp_path / "photos" / "a.txt", "1 0.5 0.5 0.2 0.2")
    path = sets.write(tmp_path / "data.yaml", "names: [dent, scratch]")
    (photo,) = yolo.read(path, Labels(LABELS), Archive(tmp_path / "photos"))
    assert [one.label for one in photo.instances] == [0]


BROKEN = [
    ("0 0.5 0.5 0.2", "line 1: 4 fields, expected 5 for a box, or 7, 9, 11"),
    ("0 0.5 0.5 0.2 0.2\n0 0.1 0.1 0.9 0.1 0.9", "line 2: 6 fields"),
    ("0 0.1 0.1 0.9 0.1 0.9 0.8 0.3", "line 1: 8 fields"),
    ("0 0.5 0.5 1.2 0.2", "line 1: 1.2 is not a share of the photo's side, 0 to 1"),
    ("0 0.5 -0.5 0.2 0.2", "line 1: -0.5 is not a share"),
    ("0 0.5 nan 0.2 0.2", "line 1: nan is not a share"),
    ("0 0.5 0.5 0.0 0.2", "line 1: the box is 0 wide and 8 high, so it has no area"),
    ("0 0.1 0.1 0.5 0.1 0.9 0.1", "line 1: the outline has no area"),
    ("2 0.5 0.5 0.2 0.2", "line 1: class 2 does not exist, there are 2 names"),
    ("dent 0.5 0.5 0.2 0.2", "line 1: not numbers: dent 0.5"),
]


@pytest.mark.parametrize(("text", "expected"), BROKEN, ids=[expected for _, expected in BROKEN])
def test_a_broken_line_is_told(tmp_path: Path, text: str, expected: str) -> None:
    with pytest.raises(ValueError, match=re.escape(expected)) as caught:
        read(draw(tmp_path, {"deep/b.txt": text}))
    assert f"{Path('labels', 'train', 'deep', 'b.txt')}, line" in str(caught.value)


def test_labels_without_a_photo_and_a_broken_photo(tmp_path: Path) -> None:
    path = draw(tmp_path, {"c.txt": "0 0.5 0.5 0.2 0.2"})
    (tmp_path / "images" / "train" / "a.png").write_bytes(b"no photo")
    with pytest.raises(ValueError, match="2 problems") as caught:
        read(path)
    assert "a.png: the photo cannot be read" in str(caught.value)
    assert "c.txt: labels of a photo that does not exist" in str(caught.value)


def test_no_labels_at_all(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"train: no labels for these photos: neither .*labels"):
        read(draw(tmp_path, {}))


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("names: [dent\nval: x", "data.yaml: not YAML (line 2, column 4:"),
        ("nc: 2", "data.yaml: no names of classes"),
        ("names: []", "no names of classes"),
        ("just text", "no names of classes"),
        ("names: {1: dent, 2: scratch}", "names are not numbered from 0 on: 1, 2"),
        ("names: [dent, rust]", "names rust are not among the labels scratch, dent"),
    ],
)
def test_a_broken_list_of_names_is_told(tmp_path: Path, text: str, expected: str) -> None:
    with pytest.raises(ValueError, match=re.escape(expected)):
        read(draw(tmp_path, {"a.txt": ""}, text))
