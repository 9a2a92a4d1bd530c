"""What was found, as COCO: pycocotools reads it, and it says what the answers said."""

import contextlib
import io
import json
from pathlib import Path
from typing import Any

import pytest
from pycocotools.coco import COCO  # type: ignore[import-untyped]

from app.sets import coco
from app.sets.columns import parquet, schema
from app.sets.folder import Folder
from models.registry import discover
from tests.fakes import BrightnessAnswer
from tests.unit.app.sets.test_order import manifest, order

PREDICTORS = discover(wanted=["damage", "vehicles"])
BOX = {"x1": 10.0, "y1": 20.0, "x2": 30.0, "y2": 60.0}


def instance(label: str, mask: dict[str, Any] | None) -> dict[str, Any]:
    return {"label": label, "score": 0.75, "box": BOX, "mask": mask, "area_fraction": 0.05}


POLYGON = {"polygons": [[10.0, 20.0, 30.0, 20.0, 30.0, 60.0]]}
RLE = {"size": [100, 100], "counts": "Q1:b2"}
VEHICLE = {"type": "bus", "score": 0.5, "box": BOX, "area_fraction": 0.08, "main": True}


@pytest.fixture
def written(tmp_path: Path) -> Path:
    folder = Folder(tmp_path)
    folder.begin(manifest(order()))
    columns = schema({name: one.specification.answer for name, one in PREDICTORS.items()})
    size = {"width": 100, "height": 100, "problems": []}
    damages = [instance("scratch", POLYGON), instance("dent", RLE), instance("rust", None)]
    good = {"file": "a.jpg", **size, "damage": {"detections": damages}, "vehicles": {"vehicles": [VEHICLE]}}
    bad = {"file": "b.jpg", "problems": [{"task": None, "code": "unreadable", "reason": "?"}]}
    half = {"file": "c.jpg", **size, "damage": None, "vehicles": {"vehicles": []}}
    folder.write(0, parquet([good, bad], columns))
    folder.write(1, parquet([half], columns))
    coco.write(folder, 2, PREDICTORS)
    return tmp_path / coco.NAME


def test_which_answers_find_things() -> None:
    told = {name: coco.finding(one.specification.answer) for name, one in discover().items()}
    assert {name: found for name, found in told.items() if found} == {
        "damage": ("detections", "label"),
        "parts": ("parts", "label"),
        "vehicles": ("vehicles", "type"),
    }
    assert coco.finding(BrightnessAnswer) is None


def test_it_says_what_was_answered(written: Path) -> None:
    told = json.loads(written.read_text())
    names = {one["id"]: (one["supercategory"], one["name"]) for one in told["categories"]}
    assert told["images"] == [
        {"id": 1, "file_name": "a.jpg", "width": 100, "height": 100},
        {"id": 3, "file_name": "c.jpg", "width": 100, "height": 100},
    ]
    assert [names[one["category_id"]] for one in told["annotations"]] == [
        ("damage", "scratch"),
        ("damage", "dent"),
        ("damage", "rust"),  # a label that the manifest does not tell
        ("vehicles", "bus"),
    ]
    assert [one["segmentation"] for one in told["annotations"]] == [POLYGON["polygons"], RLE, [], []]
    assert [one["area"] for one in told["annotations"]] == [500, 500, 500, 800]
    assert all(one["bbox"] == [10.0, 20.0, 20.0, 40.0] and one["image_id"] == 1 for one in told["annotations"])
    labels = PREDICTORS["damage"].card.labels["label"]
    assert [name for kind, name in names.values() if kind == "damage"] == [*labels, "rust"]


@pytest.mark.filterwarnings("ignore:__array__:DeprecationWarning")  # pycocotools under newer numpy
def test_pycocotools_reads_it(written: Path) -> None:
    with contextlib.redirect_stdout(io.StringIO()):
        read = COCO(str(written))
    assert len(read.getAnnIds(imgIds=[1])) == 4
    assert read.annToMask(read.loadAnns([1])[0]).sum() > 300
