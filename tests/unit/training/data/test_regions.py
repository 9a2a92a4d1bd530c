"""Regions with a label each, from the instances of a COCO file."""

import json
from pathlib import Path
from typing import Any

import pytest

from models.photo import Region
from training.data import regions
from training.data.annotated import Labels
from training.data.problems import DataError

GRADES = Labels(["minor", "severe"])


def write(path: Path, annotations: list[dict[str, Any]], grade: str = "severe") -> Path:
    document = {
        "images": [{"id": 1, "file_name": "a.png", "width": 100, "height": 80}],
        "categories": [
            {"id": 1, "name": "dent", "severity": "minor"},
            {"id": 2, "name": "dent", "severity": grade},
            {"id": 3, "name": "scratch", "supercategory": "paint"},
        ],
        "annotations": annotations,
    }
    path.write_text(json.dumps(document))
    return path


def box(number: int, category: int, **more: Any) -> dict[str, Any]:
    return {"id": number, "image_id": 1, "category_id": category, "bbox": [10, 20, 30, 40], **more}


def test_a_category_may_say_the_grade(tmp_path: Path) -> None:
    path = write(tmp_path / "a.json", [box(1, 1), box(2, 2)])
    rows = regions.read(path, ["dent", "scratch"], "severity", GRADES)
    assert [(row.file, row.label) for row in rows] == [("a.png", 0), ("a.png", 1)]
    assert rows[0].region == Region(10.0, 20.0, 40.0, 60.0, "damage", label="dent")


def test_an_instance_may_say_it_itself(tmp_path: Path) -> None:
    path = write(
        tmp_path / "a.json", [box(1, 3, attributes={"severity": "minor"}), box(2, 3, attributes={}, iscrowd=1)]
    )
    with pytest.raises(DataError, match="image 1, instance 2: severity None is not one of minor, severe"):
        regions.read(path, ["dent", "scratch"], "severity", GRADES)
    path = write(tmp_path / "b.json", [box(1, 1, attributes={"severity": "severe"}), box(2, 2, iscrowd=1)])
    (row,) = regions.read(path, ["dent", "scratch"], "severity", GRADES)
    assert row.label == 1  # the instance's own word is the nearer one


def test_what_is_no_grade_is_named(tmp_path: Path) -> None:
    path = write(tmp_path / "a.json", [box(1, 2)], grade="awful")
    with pytest.raises(DataError, match=r"a.json, image 1, instance 1: severity 'awful' is not one of minor, severe"):
        regions.read(path, ["dent", "scratch"], "severity", GRADES)
