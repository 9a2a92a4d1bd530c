"""What holds for all formats: names of labels, rings, and what is refused of them."""

import json
from pathlib import Path

import numpy as np
import pytest

from training.data import annotated
from training.data.annotated import Annotated, Instance, Labels
from training.data.problems import Problems


def test_labels_are_numbered_by_the_recipe_and_may_be_renamed() -> None:
    labels = Labels(["dent", "glass_shatter"], {"glass shatter": "glass_shatter"})
    assert [labels.number(name) for name in ("dent", "glass shatter", "glass_shatter", "rust", 3)] == [
        0,
        1,
        1,
        None,
        None,
    ]
    assert labels.unknown(["dent", "glass shatter"], "names") is None
    assert labels.unknown(["rust", "dent"], "names") == "names rust are not among the labels dent, glass_shatter"
    with pytest.raises(ValueError, match=r"task\.rename: 'rusty' is not among the labels dent"):
        Labels(["dent"], {"rust": "rusty"})


def test_broken_json_is_told_with_line_and_column(tmp_path: Path) -> None:
    path = tmp_path / "train.json"
    path.write_text('{"images": [],\n "annotations": [1, 2,]}')
    with pytest.raises(ValueError, match=r"train\.json: not JSON \(line 2, column \d+: "):
        annotated.read_json(path)
    path.write_bytes(b'{"a": "\xff"}')
    with pytest.raises(ValueError, match=r"train\.json: not JSON \(not UTF-8 text\)"):
        annotated.read_json(path)
    path.write_text(json.dumps({"a": "ä"}))
    assert annotated.read_json(path) == {"a": "ä"}


def test_a_rectangle_is_its_corners() -> None:
    assert annotated.rectangle(1, 2, 3, 4).tolist() == [[1, 2], [4, 2], [4, 6], [1, 6]]


@pytest.mark.parametrize(
    ("box", "expected"),
    [
        ((1, 2, 0, 4), "0 wide and 4 high, so it has no area"),
        ((1, 2, 3, -4), "no area"),
        ((1, float("nan"), 3, 4), "not finite"),
        ((1, 2, "wide", 4), "not four numbers"),
    ],
)
def test_a_broken_box_is_refused(box: tuple[float, float, float, float], expected: str) -> None:
    with pytest.raises(ValueError, match=expected):
        annotated.rectangle(*box)


def test_an_ellipse_reaches_its_radii() -> None:
    ring = annotated.ellipse(20, 10, 8, 4)
    assert len(ring) == 32
    np.testing.assert_allclose([*ring.min(axis=0), *ring.max(axis=0)], [12, 6, 28, 14], atol=1e-4)


@pytest.mark.parametrize(
    ("rings", "expected"),
    [
        ([], "no polygon of three points or more"),
        ([[[3, 3], [9, 3], [5, 3]]], "no area"),
        ([[[90, 3], [95, 3], [95, 9]]], "from 90, 3 to 95, 9, outside the photo of 60 x 40 pixels"),
        ([[[3, 3], [9, 3], [9, 42]]], "outside the photo"),
        ([[[-3, 3], [9, 3], [9, 9]]], "outside the photo"),
    ],
)
def test_an_outline_that_is_nowhere_is_a_problem(rings: list[list[list[float]]], expected: str) -> None:
    photo, problems = Annotated(1, "a.png", 60, 40), Problems()
    instance = Instance(0, [np.array(ring, np.float32) for ring in rings])
    annotated.add(photo, instance, "here", problems)
    assert not photo.instances
    assert len(problems.found) == 1
    assert problems.found[0].startswith("here: ")
    assert expected in problems.found[0]


def test_a_point_may_lie_a_little_over_the_edge() -> None:
    photo, problems = Annotated(1, "a.png", 60, 40), Problems()
    annotated.add(photo, Instance(0, [np.array([[-1, 0], [61, 0], [30, 40.5]], np.float32)]), "here", problems)
    assert not problems.found
    assert len(photo.instances) == 1


def test_photos_without_a_file_and_files_with_two_entries() -> None:
    problems = Problems()
    photos = [Annotated(n, name, 60, 40) for n, name in enumerate(["a.png", "b.png", "a.png"])]
    annotated.check_files((photo.file for photo in photos), ["a.png", "c.png"], "train.json", problems)
    assert problems.found == [
        "train.json: photo 'b.png' does not exist in the archive of photos",
        "train.json: photo 'a.png' is listed twice",
    ]
