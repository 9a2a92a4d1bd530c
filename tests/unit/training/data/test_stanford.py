"""Stanford Cars' devkit: MATLAB files written as its authors laid theirs out."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from scipy.io import savemat

from tests.unit.training.data import sets
from training.data import label_table, stanford
from training.data.annotated import Labels

NAMES = ["AM General Hummer SUV 2000", "Ram C/V Cargo Van Minivan 2012"]
FIELDS = ("bbox_x1", "bbox_y1", "bbox_x2", "bbox_y2", "class", "fname")
Car = tuple[Any, ...]


def annotations(path: Path, cars: Sequence[Car]) -> None:
    """A struct array of one row."""
    rows = np.zeros((1, len(cars)), [(name, object) for name in FIELDS])
    for n, car in enumerate(cars):
        rows[0, n] = car
    savemat(path, {"annotations": rows})


def draw(root: Path, train: Sequence[Car], test: Sequence[Car] = ((1, 1, 60, 40, 2, "00001.png"),)) -> Path:
    sets.photos(root / "cars_train", ["00001.png", "00002.png"])
    sets.photos(root / "cars_test", ["00001.png"])
    (root / "devkit").mkdir()
    cell = np.zeros((1, len(NAMES)), object)
    cell[0] = NAMES
    savemat(root / "devkit" / "cars_meta.mat", {"class_names": cell})
    annotations(root / "devkit" / "cars_train_annos.mat", train)
    annotations(root / "cars_test_annos_withlabels.mat", test)
    return root


GOOD = [(11, 5, 40, 30, 2, "00002.png"), (1, 1, 60, 40, 1, "00001.png")]


def test_classes_boxes_and_photos(tmp_path: Path) -> None:
    labels = Labels([row["label"] for row in label_table.read(label_table.PROVIDED / "stanford_cars.csv")])
    rows, archive = stanford.read(draw(tmp_path, GOOD), labels, "train")
    assert [(row.file, labels.names[row.label]) for row in rows] == [("00002.png", NAMES[1]), ("00001.png", NAMES[0])]
    assert archive.photo("00002.png").shape == (26, 30, 3)  # 11 to 40 and 5 to 30, both ends among them
    assert archive.photo("00001.png").shape == (40, 60, 3)
    # A single annotation, and the file beside the devkit.
    rows, archive = stanford.read(tmp_path, labels, "val")
    assert [(row.file, row.label) for row in rows] == [("00001.png", labels.names.index(NAMES[1]))]
    assert archive.path == tmp_path / "cars_test"


@pytest.mark.parametrize(
    ("car", "expected"),
    [
        ((1, 1, 60, 40, 3, "00002.png"), "annotation 3: class 3 does not exist, there are 2"),
        ((30, 1, 20, 40, 1, "00003.png"), "annotation 3: the box 30, 1, 20, 40 has no area"),
        ((0, 1, 20, 40, 1, "00003.png"), "annotation 3: the box 0, 1, 20, 40 has no area or begins outside"),
        ((1, 1, 60, 40, 1, "00001.png"), "annotation 3: photo '00001.png' is listed twice"),
        ((1, 1, 60, 40, "first", "00003.png"), "annotation 3: not an annotation of Stanford Cars"),
    ],
)
def test_a_broken_annotation_is_told_with_its_number(tmp_path: Path, car: Car, expected: str) -> None:
    with pytest.raises(ValueError, match=expected):
        stanford.read(draw(tmp_path, [*GOOD, car]), Labels(NAMES), "train")


def test_class_names_that_are_no_labels(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=rf"cars_meta\.mat: class names {NAMES[1]} are not among the labels"):
        stanford.read(draw(tmp_path, GOOD), Labels(NAMES[:1]), "train")


def test_files_that_are_missing_or_no_matlab(tmp_path: Path) -> None:
    draw(tmp_path, GOOD)
    (tmp_path / "devkit" / "cars_meta.mat").write_bytes(b"no matlab" * 30)
    with pytest.raises(ValueError, match=r"cars_meta\.mat: not a MATLAB file"):
        stanford.read(tmp_path, Labels(NAMES), "train")
    savemat(tmp_path / "devkit" / "cars_meta.mat", {"other": 1})
    with pytest.raises(ValueError, match=r"cars_meta\.mat: no variable 'class_names' in it"):
        stanford.read(tmp_path, Labels(NAMES), "train")
    (tmp_path / "cars_test_annos_withlabels.mat").unlink()
    with pytest.raises(FileNotFoundError, match=r"neither devkit/cars_test_annos_withlabels\.mat nor"):
        stanford.read(tmp_path, Labels(NAMES), "val")
