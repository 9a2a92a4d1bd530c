"""The report's folder: one page that needs nothing from elsewhere, and all its numbers beside it."""

import json
import re
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from models.manifest import Manifest
from models.predictors.attributes import YAW
from tests import weights
from tests.unit.training import found
from training import report
from training.findings import Head, Instances
from training.report import Doubtful


class Page(HTMLParser):
    """The tags of a page with what they name, and its text."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.files: set[str] = set()
        self.words: list[str] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.files |= {value for name, value in attrs if name in ("src", "srcset", "href") and value}

    def handle_data(self, data: str) -> None:
        if data.strip():
            self.words.append(data.strip())


def written(folder: Path, of: list[Head] | Instances, manifest: Manifest, doubtful: Doubtful | None = None) -> Any:
    """The figures and the page of a report."""
    told = report.document(manifest, of, {"top1": 0.5}, "carlens evaluate it", doubtful)
    path = report.write(folder, told, of)
    assert json.loads((folder / "figures.json").read_text()) == told
    page = Page(path.read_text())
    assert "script" not in page.tags
    assert page.files
    for file in page.files:
        assert (folder / file).is_file(), file
    return told, page


def test_a_report_of_heads(tmp_path: Path) -> None:
    manifest = weights.manifest("attributes", figures={"top1": 0.25})
    sides = found.head("orientation", list(YAW))
    doubtful = Doubtful("doubted.csv", 3, {"top1": 0.75})
    told, page = written(tmp_path / "new", [found.head(), sides], manifest, doubtful)
    assert (told["name"], told["kind"], told["figures"], told["claimed"]) == (
        "attributes",
        "heads",
        {"top1": 0.5},
        {"top1": 0.25},
    )
    assert told["heads"]["color"]["macro_f1"] == 0.5833
    assert told["doubtful"] == {"source": "doubted.csv", "photos": 3, "figures": {"top1": 0.75}}
    assert {"Color", "Orientation", "mean yaw error", "50.0 %", "0.250", "0.750", "without doubtful labels"} <= set(
        page.words
    )
    names = {"confusion-color-dark.svg", "reliability-orientation-light.svg", "worst-color.jpg"}
    assert names <= page.files


def test_a_report_of_many_labels_shows_the_weakest(tmp_path: Path) -> None:
    labels = [f"car {n:03}" for n in range(60)]
    truth = np.arange(60)
    logits = np.eye(60) * 5
    logits[50] = np.eye(60)[49] * 5
    head = Head("label", labels, [f"{n}.png" for n in truth], logits, truth, 1.0, found.pixels)
    told, page = written(tmp_path, [head], weights.manifest("car_details"))
    assert len(told["heads"]["label"]["classes"]) == 60
    assert page.words.index("car 050") < page.words.index("car 049") < page.words.index("car 001")
    assert "car 058" not in page.words
    assert any("40 of 60 labels with the lowest F1" in text for text in page.words)


def test_a_report_of_instances(tmp_path: Path) -> None:
    manifest = weights.manifest("damage", labels={"label": ["dent", "scratch"]})
    told, page = written(tmp_path, found.instances(), manifest)
    assert told["instances"]["quiet"]["called"] == 1
    assert {"Detections", "By size in the photo", "Photos that show nothing", "Probability of damage"} <= set(
        page.words
    )
    assert {"missed.jpg", "false.jpg", "alarms.jpg", "precision-recall-light.svg"} <= page.files
    assert "-" in page.words  # no large object: no figure


def test_a_report_without_mistakes_has_no_sheet_of_an_older_one(tmp_path: Path) -> None:
    manifest = weights.manifest("attributes")
    written(tmp_path, [found.head()], manifest)
    assert (tmp_path / "worst-color.jpg").exists()
    head = found.head()
    right = replace(head, truth=head.logits.argmax(axis=1))
    _, page = written(tmp_path, [right], manifest)
    assert not (tmp_path / "worst-color.jpg").exists()
    assert "Mixed up most often" not in page.words


def test_instances_without_masks_and_quiet_photos(tmp_path: Path) -> None:
    of = replace(found.instances(masks=False), quiet=[], quiet_files=[])
    _, page = written(tmp_path, of, weights.manifest("damage", labels={"label": ["dent", "scratch"]}))
    assert "mask AP" not in page.words
    assert "Photos that show nothing" not in page.words


def test_labels_are_text_and_never_markup(tmp_path: Path) -> None:
    manifest = weights.manifest("attributes", summary="<script>alert(1)</script>")
    _, page = written(tmp_path, [found.head("color", ["<b>red</b>", "green & co", "blue"])], manifest)
    assert "b" not in re.findall(r"^b$", "\n".join(page.tags), re.MULTILINE)[4:]  # the tiles' own
    assert "<b>red</b>" in page.words
    assert "<script>alert(1)</script>, measured on validation photos." in page.words


@pytest.mark.parametrize(("value", "text"), [(None, "-"), (0.12345, "0.123"), (7, "7"), ("red", "red")])
def test_a_cell(value: object, text: str) -> None:
    assert report.number(value) == text
