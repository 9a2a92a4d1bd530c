"""Graphs are found beside their weights, all of them, and of no others."""

from pathlib import Path

import pytest

from models.graphs import found, path, quantized
from models.manifest import SHIPPED, Weights, WeightsError, find
from tests import weights


def made(folder: Path, name: str, *parts: str, **changes: str) -> Weights:
    """Made-up weights with files in the place of these graphs."""
    weights.write(folder, weights.manifest(name, **changes))
    of = find(name, folder)
    for part in parts:
        path(of, part).write_bytes(b"for weights sha256:" + of.manifest.sha256.encode())
    return of


def test_they_lie_beside_the_weights(tmp_path: Path) -> None:
    of = made(tmp_path, "brands", "graph")
    assert found(of) == {"graph": tmp_path / "brands.graph.onnx"}
    of = made(tmp_path, "balloons", "dense", "boxes", "masks")
    assert [file.name for file in found(of).values()] == [
        "balloons.dense.onnx",
        "balloons.boxes.onnx",
        "balloons.masks.onnx",
    ]


def test_a_detector_of_boxes_needs_none_for_outlines(tmp_path: Path) -> None:
    of = made(tmp_path, "balloons", "dense", "boxes", architecture="faster_rcnn_mobilenet_v2_fpn")
    assert set(found(of)) == {"dense", "boxes"}


def test_there_need_not_be_any(tmp_path: Path) -> None:
    assert found(made(tmp_path, "brands")) == {}


def test_a_part_that_is_missing_is_named(tmp_path: Path) -> None:
    of = made(tmp_path, "balloons", "dense", "masks")
    with pytest.raises(
        WeightsError, match=r"balloons\.boxes\.onnx is missing; `carlens export balloons --format graph`"
    ):
        found(of)


def test_a_graph_of_other_weights_is_refused(tmp_path: Path) -> None:
    of = made(tmp_path, "brands", "graph")
    path(of, "graph").write_bytes(b"for weights sha256:" + b"0" * 64)
    with pytest.raises(WeightsError, match=r"brands\.graph\.onnx: made for other weights than brands\.safetensors"):
        found(of)


def test_int8_graphs_take_the_place_of_those_parts_that_have_one(tmp_path: Path) -> None:
    of = made(tmp_path, "balloons", "dense", "boxes", "masks")
    assert quantized(of) == {}
    assert found(of, int8=True) == found(of)
    path(of, "dense", int8=True).write_text(of.manifest.sha256)
    assert quantized(of) == {"dense": tmp_path / "balloons.dense.int8.onnx"}
    assert found(of, int8=True) == {**found(of), "dense": tmp_path / "balloons.dense.int8.onnx"}


def test_an_int8_graph_of_other_weights_is_refused_where_it_is_wanted(tmp_path: Path) -> None:
    of = made(tmp_path, "brands", "graph")
    path(of, "graph", int8=True).write_text("0" * 64)
    assert found(of)
    with pytest.raises(
        WeightsError, match=r"brands\.graph\.int8\.onnx: made for other weights than .*`carlens quantize brands --data"
    ):
        found(of, int8=True)


@pytest.mark.parametrize("name", sorted(file.stem for file in SHIPPED.glob("*.json")))
def test_the_shipped_weights_have_theirs(name: str) -> None:
    of = find(name)
    files = found(of)
    assert files
    assert sum(file.stat().st_size for file in files.values()) < 400_000
    assert sum(file.stat().st_size for file in quantized(of).values()) < 500_000
    assert bool(quantized(of)) == bool(of.manifest.int8)
