"""Graphs hold no weights of their own: every number is the stored one, by its place in the file."""

from pathlib import Path

import onnx
import pytest

from models.manifest import SCALE, find
from tests import weights
from training import graphs
from training.commands.export import export as command


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("weights")
    of = weights.manifest("brands")
    weights.write(path, of, weights.random_state(of))
    graphs.write(find("brands", path))
    return path


def test_initialisers_are_places_in_the_file_of_weights(folder: Path) -> None:
    graph = onnx.load(folder / "brands.graph.onnx", load_external_data=False).graph
    outside = {one.name: one for one in graph.initializer if one.data_location == onnx.TensorProto.EXTERNAL}
    stored = {name for name in find("brands", folder).tensors() if not name.endswith("num_batches_tracked")}
    named = {name.removeprefix("network.") for name in outside}
    assert {name for name in named if not name.endswith(SCALE)} == stored
    assert {entry.value for one in outside.values() for entry in one.external_data if entry.key == "location"} == {
        "brands.safetensors"
    }
    whole = onnx.load(folder / "brands.graph.onnx").graph
    int8 = {one.name: onnx.numpy_helper.to_array(one) for one in whole.initializer if one.data_type == 3}
    assert "layer4.1.conv2.weight" in int8
    scales = {one.name: onnx.numpy_helper.to_array(one) for one in whole.initializer if one.name.endswith(SCALE)}
    expected = find("brands", folder).tensors()["layer4.1.conv2.weight"]
    found = int8["layer4.1.conv2.weight"] * scales["layer4.1.conv2.weight" + SCALE][:, None, None, None]
    assert (found == expected).all()


def test_norms_are_nodes_and_the_file_is_small(folder: Path) -> None:
    graph = onnx.load(folder / "brands.graph.onnx", load_external_data=False).graph
    kinds = [node.op_type for node in graph.node]
    assert kinds.count("BatchNormalization") == kinds.count("Conv") == 20
    assert kinds.count("DequantizeLinear") == sum(one.data_type == onnx.TensorProto.INT8 for one in graph.initializer)
    assert (folder / "brands.graph.onnx").stat().st_size < 60_000


def test_the_frozen_norms_of_detectors_are_nodes_too(tmp_path: Path) -> None:
    of = weights.manifest("balloons")
    weights.write(tmp_path, of, weights.random_state(of))
    written = graphs.write(find("balloons", tmp_path))
    assert [path.name for path in written] == ["balloons.dense.onnx", "balloons.boxes.onnx", "balloons.masks.onnx"]
    dense = onnx.load(written[0], load_external_data=False).graph
    assert sum(node.op_type == "BatchNormalization" for node in dense.node) > 40
    assert sum(len(one.raw_data) for one in dense.initializer) < 10_000


def test_what_no_graph_can_have_is_said(tmp_path: Path) -> None:
    of = weights.manifest(
        "balloons",
        architecture="mask_rcnn_resnet18_fpn",
        network={"channels": 16, "hidden": 32, "detections": 10, "deformable": ["layer4"]},
    )
    weights.write(tmp_path, of, weights.random_state(of))
    with pytest.raises(graphs.GraphError, match="DeformConv"):
        graphs.write(find("balloons", tmp_path))
    assert not list(tmp_path.glob("*.onnx"))


def test_a_graph_that_would_hold_weights_of_its_own_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(graphs, "LARGEST", 0)
    of = weights.manifest("brands")
    weights.write(tmp_path, of, weights.random_state(of))
    with pytest.raises(graphs.GraphError, match="bytes of the graph are none of the stored weights"):
        graphs.write(find("brands", tmp_path))


def test_the_command_writes_them_beside_the_weights(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = folder / "brands.graph.onnx"
    path.unlink()
    command("brands", form="graph", weights=folder)
    assert path.exists()
    assert str(path) in capsys.readouterr().out
