"""An int8 graph says nearly what its weights say, and holds none of them."""

import importlib.util
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from numpy.typing import NDArray
from onnx import TensorProto

from models import graphs as places
from models.backends import INT8, create
from models.manifest import SCALE, SHIPPED, Weights, find
from tests import weights
from training import graphs, quantize
from training.graphs import GraphError

needs_nncf = pytest.mark.skipif(not importlib.util.find_spec("nncf"), reason="NNCF is not installed (carlens[int8])")
SIDE, PHOTOS = 32, 4


def items(count: int = PHOTOS, side: int = SIDE) -> list[dict[str, NDArray[Any]]]:
    rng = np.random.default_rng(0)
    return [{"image": rng.integers(0, 256, (side, side, 3), np.uint8)} for _ in range(count)]


@pytest.fixture(scope="module")
def brands(tmp_path_factory: pytest.TempPathFactory) -> Weights:
    folder, of = tmp_path_factory.mktemp("brands"), weights.manifest("brands")
    weights.write(folder, of, weights.random_state(of))
    graphs.write(find("brands", folder))
    quantize.write(find("brands", folder), items())
    return find("brands", folder)


@pytest.fixture(scope="module")
def damage(tmp_path_factory: pytest.TempPathFactory) -> Weights:
    """The shipped detector: to draw the graphs of another takes a minute."""
    folder = tmp_path_factory.mktemp("damage")
    for file in SHIPPED.glob("damage.*"):
        shutil.copy(file, folder)
    quantize.write(find("damage", folder), items(1, find("damage").manifest.input.width))
    return find("damage", folder)


def graph(of: Weights, part: str, external: bool = False) -> onnx.GraphProto:
    return onnx.load(places.path(of, part, int8=True), load_external_data=external).graph


@needs_nncf
def test_it_says_nearly_what_floats_say(brands: Weights) -> None:
    batch = {"image": np.stack([item["image"] for item in items(8)])}  # the latter half was not shown to it
    told = {}
    for name in ("openvino-fp32", INT8):
        backend = create(name)
        backend.load(brands, "cpu")
        told[name] = backend.run(batch)["label"].astype(np.float64)
    expected, found = told["openvino-fp32"], told[INT8]
    assert not np.array_equal(found, expected)
    assert np.abs(found - expected).max() < 0.1 * np.ptp(expected)


@needs_nncf
def test_onnx_runtime_reads_the_same_graph(brands: Weights) -> None:
    import onnxruntime

    session = onnxruntime.InferenceSession(places.path(brands, "graph", int8=True), providers=["CPUExecutionProvider"])
    batch = {"image": np.stack([item["image"] for item in items()])}
    backend = create("onnxruntime")
    backend.load(brands, "cpu")
    expected = backend.run(batch)["label"].astype(np.float64)
    assert np.abs(session.run(None, batch)[0] - expected).max() < 0.1 * np.ptp(expected)


@needs_nncf
@pytest.mark.parametrize("name", ["brands", "damage"])
def test_kernels_lie_in_the_file_of_weights_alone(name: str, request: pytest.FixtureRequest) -> None:
    of: Weights = request.getfixturevalue(name)
    part = "graph" if name == "brands" else "dense"
    plain = onnx.load(places.path(of, part), load_external_data=False).graph
    outside = {one.name for one in plain.initializer if one.data_location == TensorProto.EXTERNAL}
    mine = graph(of, part)
    assert {one.name for one in mine.initializer if one.data_location == TensorProto.EXTERNAL} == outside
    stored = {one.name for one in plain.initializer}
    added = [one for one in mine.initializer if one.name not in stored]
    assert added
    assert all(len(one.dims) <= 1 for one in added)  # steps and zero points, for the tensor or by channel
    assert sum(len(one.raw_data) for one in mine.initializer) < 20_000
    assert places.path(of, part, int8=True).stat().st_size < 1.6 * places.path(of, part).stat().st_size + 40_000


@needs_nncf
def test_the_first_and_the_last_layer_stay_floats(brands: Weights) -> None:
    mine = graph(brands, "graph")
    after = {name: node for node in mine.node for name in node.output}
    layers = [node for node in mine.node if node.op_type in ("Conv", "Gemm")]
    rounded = [after[node.input[0]].op_type in ("DequantizeLinear", "MaxPool") for node in layers]
    assert rounded == [False, *[True] * 19, False]


@needs_nncf
def test_kernels_stored_as_floats_are_rounded_at_load(damage: Weights) -> None:
    mine = graph(damage, "dense")
    rounded = [name for node in mine.node for name in node.output if name.endswith(quantize.ROUNDED)]
    floats = {one.name for one in mine.initializer if one.data_type == TensorProto.FLOAT and len(one.dims) == 4}
    scaled = {one.name.removesuffix(SCALE) for one in mine.initializer if one.name.endswith(SCALE)}
    assert rounded
    assert {name.removesuffix(quantize.ROUNDED) for name in rounded} <= floats - scaled


@needs_nncf
def test_a_detector_has_one_for_its_dense_part_alone(damage: Weights) -> None:
    assert set(places.quantized(damage)) == {"dense"}
    names = {part: file.name for part, file in places.found(damage, int8=True).items()}
    assert names == {
        "dense": "damage.dense.int8.onnx",
        "boxes": "damage.boxes.onnx",
        "masks": "damage.masks.onnx",
    }


@needs_nncf
def test_the_same_photos_give_the_same_ranges(brands: Weights) -> None:
    path = places.path(brands, "graph", int8=True)
    before = path.read_bytes()
    quantize.write(brands, items())
    assert path.read_bytes() == before
    quantize.write(brands, [{"image": item["image"] // 2} for item in items()])
    assert path.read_bytes() != before
    path.write_bytes(before)


@needs_nncf
def test_new_weights_take_their_predecessors_int8_graph_away(tmp_path: Path) -> None:
    of = weights.manifest("brands")
    weights.write(tmp_path, of, weights.random_state(of))
    mine = places.path(find("brands", tmp_path), "graph", int8=True)
    mine.write_text(find("brands", tmp_path).manifest.sha256)
    graphs.write(find("brands", tmp_path))
    assert mine.exists()
    weights.write(tmp_path, of, weights.random_state(of, seed=1))
    graphs.write(find("brands", tmp_path))
    assert not mine.exists()


def test_what_is_missing_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    of = weights.manifest("brands")
    weights.write(tmp_path, of)
    monkeypatch.setattr(quantize, "find_spec", lambda name: name)
    with pytest.raises(GraphError, match="no graphs beside the weights; `carlens export brands --format graph`"):
        quantize.write(find("brands", tmp_path), items())
    monkeypatch.setattr(quantize, "find_spec", lambda name: None)
    with pytest.raises(GraphError, match=r"NNCF, which is not installed: carlens\[int8\]"):
        quantize.write(find("brands", tmp_path), items())
