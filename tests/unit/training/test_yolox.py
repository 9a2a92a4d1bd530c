"""A released graph becomes our weights: the right kernels in the right places, and what does not fit is refused."""

from itertools import pairwise
from pathlib import Path

import numpy as np
import onnx
import pytest
import torch

from models.manifest import WeightsError, find
from models.networks.yolox import Network
from tests.unit.training.commands.running import run
from training import yolox
from training.commands.import_yolox import import_yolox

CHANNELS = 4


@pytest.fixture(scope="module")
def network() -> Network:
    torch.manual_seed(3)
    found = Network(CHANNELS, yolox.COCO).eval()
    with torch.no_grad():  # torch's own start fades from layer to layer: wrong kernels would hardly show
        for value in found.parameters():
            value.mul_(2)
    return found


@pytest.fixture(scope="module")
def released(network: Network, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A graph such as Megvii's: raw cells of all of COCO, kernels without names that say anything."""
    path = tmp_path_factory.mktemp("graph") / "yolox.onnx"
    with torch.inference_mode():
        torch.onnx.export(
            network,
            (torch.zeros(1, 3, 64, 64),),
            path,
            dynamo=False,
            opset_version=11,
            input_names=["images"],
            output_names=["output"],
        )
    graph = onnx.load(path)
    names = {tensor.name: f"n{number}" for number, tensor in enumerate(graph.graph.initializer)}
    for tensor in graph.graph.initializer:
        tensor.name = names[tensor.name]
    for node in graph.graph.node:
        node.input[:] = [names.get(given, given) for given in node.input]
    onnx.save(graph, path)
    return path


pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::UserWarning")


def changed(path: Path, to: Path, first: int, second: int) -> Path:
    """The graph with the kernels of two convolutions in each other's place."""
    graph = onnx.load(path)
    nodes = [node for node in graph.graph.node if node.op_type == "Conv"]
    nodes[first].input[1], nodes[second].input[1] = nodes[second].input[1], nodes[first].input[1]
    onnx.save(graph, to)
    return to


def test_the_state_is_the_released_one_with_four_classes_left(network: Network, released: Path) -> None:
    found, before = yolox.state(released, CHANNELS), network.state_dict()
    assert set(found) == set(before)
    for name, value in found.items():
        expected = before[name][[2, 5, 7, 3]] if ".classes." in name else before[name]
        torch.testing.assert_close(value, expected, rtol=0, atol=0, msg=name)


def test_onnx_runtime_says_what_the_module_says(network: Network, released: Path) -> None:
    photos = np.random.default_rng(1).uniform(0, 255, (3, 3, 64, 64)).astype(np.float32)
    assert yolox.compare(released, network, photos) < 1e-3
    other = Network(CHANNELS, yolox.COCO).eval()
    assert yolox.compare(released, other, photos) > 1e-2


def test_kernels_that_fit_in_the_wrong_place_are_noticed(released: Path, tmp_path: Path) -> None:
    # Both ways through a cross stage begin with kernels of one shape; here the graph lists the last stage's second
    # way first.
    graph = onnx.load(released)
    nodes = list(graph.graph.node)
    convolutions = [node for node in nodes if node.op_type == "Conv"]
    shapes = {tensor.name: list(tensor.dims) for tensor in graph.graph.initializer}
    through, past = [
        (one, other)
        for one, other in pairwise(convolutions)
        if one.input[0] == other.input[0] and shapes[one.input[1]] == shapes[other.input[1]]
    ][-1]
    first, second = nodes.index(through), nodes.index(past)
    nodes.insert(first, nodes.pop(second))
    del graph.graph.node[:]
    graph.graph.node.extend(nodes)
    path = tmp_path / "listed.onnx"
    onnx.save(graph, path)
    with pytest.raises(WeightsError, match="kernels fit YOLOX-Nano, yet its outputs differ"):
        yolox.state(path, CHANNELS)


def test_another_network_is_refused_by_the_convolution_that_differs(released: Path, tmp_path: Path) -> None:
    with pytest.raises(WeightsError, match=r"is \(\[8, 4, 1, 1\].*trunk\.focus\.stem\.0 is \(\[4, 12, 3, 3\]"):
        yolox.state(changed(released, tmp_path / "other.onnx", 0, 2), CHANNELS)
    with pytest.raises(WeightsError, match=r"\[4, 12, 3, 3\].*\[16, 12, 3, 3\]"):
        yolox.state(released)  # not of the size of Nano


def test_a_graph_with_fewer_convolutions_is_refused(released: Path, tmp_path: Path) -> None:
    graph = onnx.load(released)
    last = [node for node in graph.graph.node if node.op_type == "Conv"][-1]
    last.op_type = "Identity"
    path = tmp_path / "short.onnx"
    onnx.save(graph, path)
    with pytest.raises(WeightsError, match="112 convolutions, YOLOX-Nano has 113"):
        yolox.state(path, CHANNELS)


def test_what_is_written_can_be_opened(
    released: Path, network: Network, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    small = yolox.state(released, CHANNELS)
    monkeypatch.setattr(yolox, "state", lambda path: small)
    code, out, _ = run(import_yolox, released, "--out", tmp_path)
    assert (code, "vehicles.safetensors" in out) == (0, True)
    found = find("vehicles", tmp_path)
    assert (found.manifest.kind, found.manifest.fit, found.manifest.channels) == ("boxes", "letterbox", "bgr")
    assert found.manifest.labels == {"label": ["car", "bus", "truck", "motorcycle"]}
    tensors = found.tensors()
    assert set(tensors) == set(small)
    for name, value in tensors.items():
        np.testing.assert_allclose(
            np.asarray(value, np.float32), small[name].numpy(), rtol=1e-3, atol=1e-6, err_msg=name
        )


@pytest.mark.parametrize("content", [b"not a graph", None])
def test_a_file_that_is_no_graph_is_told_without_a_traceback(tmp_path: Path, content: bytes | None) -> None:
    path = tmp_path / "file.onnx"
    if content:
        path.write_bytes(content)
    code, _, err = run(import_yolox, path, "--out", tmp_path / "out")
    assert code == 2
    assert "file.onnx" in err
    assert not (tmp_path / "out").exists()
