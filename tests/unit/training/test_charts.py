"""Pictures: what they show stands in the SVG, on both kinds of page, the same every time."""

import re
from functools import partial
from pathlib import Path
from xml.etree import ElementTree as ET

import numpy as np
import pytest
from matplotlib.collections import PathCollection
from matplotlib.figure import Figure

from tests.unit.training import found
from training import charts
from training.charts import THEMES, Theme
from training.metrics import matched

MATRIX = np.array([[3, 1, 0], [2, 1, 1], [0, 0, 12]])


def texts(figure: Figure) -> list[str]:
    return [text.get_text() for axes in figure.axes for text in axes.texts]


@pytest.mark.parametrize("theme", THEMES, ids=lambda theme: theme.name)
def test_a_small_confusion_has_names_and_counts(theme: Theme) -> None:
    figure = charts.confusion(MATRIX, ["cat", "dog", "front_left"], theme)
    assert texts(figure) == ["3", "1", "2", "1", "1", "12"]
    assert [label.get_text() for label in figure.axes[0].get_yticklabels()] == ["cat", "dog", "front left"]
    image = figure.axes[0].images[0].get_array()
    assert image is not None
    assert image[0].tolist() == [0.75, 0.25, 0]


def test_a_large_confusion_is_a_picture_alone() -> None:
    figure = charts.confusion(np.eye(196, dtype=np.int64), [f"car {n}" for n in range(196)], THEMES[0])
    assert texts(figure) == []
    assert not figure.axes[0].get_yticklabels()


def test_both_files_are_written_and_alike_every_time(tmp_path: Path) -> None:
    draw = partial(charts.confusion, MATRIX, ["a", "b", "c"])
    picture = charts.save(tmp_path, "matrix", "a matrix", draw)
    light, dark = ((tmp_path / f"matrix-{theme}.svg").read_text() for theme in ("light", "dark"))
    assert light != dark
    ET.fromstring(light)
    assert not re.search(r"https?://(?!www\.w3\.org|purl\.org|creativecommons\.org|matplotlib\.org)", light)
    width, height = draw(THEMES[0]).get_size_inches()
    assert (picture.width, picture.height) == (round(width * 96), round(height * 96))
    charts.save(tmp_path, "again", "a matrix", draw)
    assert (tmp_path / "again-light.svg").read_text() == light


def test_calibration_is_drawn_before_and_after() -> None:
    before = [{"photos": 3, "confidence": 0.5, "accuracy": 0.9}]
    after = [{"photos": 3, "confidence": 0.8, "accuracy": 0.9}]
    axes = charts.reliability(before, after, THEMES[0]).axes[0]
    drawn = {str(line.get_label()): line for line in axes.lines}
    assert list(np.ravel(drawn["uncalibrated"].get_xdata())) == [0.5]
    assert list(np.ravel(drawn["calibrated"].get_xdata())) == [0.8]


def test_the_threshold_is_marked_on_its_curve() -> None:
    of = found.instances()
    figure = charts.precision_recall(of.matched(), of.labels, of.limits, THEMES[1])
    dent, scratch, *_ = figure.axes
    assert [axes.get_title("left") for axes in (dent, scratch)] == ["dent", "scratch"]
    dot = next(one for one in dent.collections if isinstance(one, PathCollection))
    assert np.asarray(dot.get_offsets()).tolist() == [[0.5, 0.5]]
    assert "0.50" in texts(figure)
    assert "none found" in texts(figure)


def test_a_label_without_objects_says_so() -> None:
    of = found.instances()
    nothing = [matched(of.photos, of.boxes, 5)]
    assert texts(charts.precision_recall(nothing, ["rust"], [0.5], THEMES[0])) == ["none on these photos"]


def test_the_map_is_drawn_from_end_to_end() -> None:
    axes = charts.interpolation([[0.2, 0.1], [0.7, 0.9]], THEMES[0]).axes[0]
    assert np.ravel(axes.lines[0].get_xdata()).tolist() == [0, 0.2, 0.7, 1]
    assert np.ravel(axes.lines[0].get_ydata()).tolist() == [0.1, 0.1, 0.9, 0.9]
