"""Int8 graphs: beside a graph of stored weights the same one with the ranges of its activations, so that runtimes
compute in int8. Kernels are those of the one file of weights; ranges come from photos, by NNCF."""

import warnings
from collections.abc import Iterable, Sequence
from importlib.util import find_spec
from pathlib import Path

import onnx
from onnx import GraphProto, ModelProto, NodeProto, helper, numpy_helper

import models.backends.openvino  # noqa: F401  before NNCF: it silences what tells OpenVINO's maker of each use
from models import graphs
from models.manifest import Weights
from models.predictor import Arrays
from training.graphs import LARGEST, GraphError, save

HEAVY = ("Conv", "Gemm", "MatMul")
"""Layers that int8 makes quick."""

ROUNDED = ".rounded"
"""Behind the name of a kernel that is stored as floats, once it has been through int8."""

PARTS = (graphs.WHOLE, "dense")
"""Parts with an int8 graph. A detector's others read single boxes, and what they say of each is the answer itself."""


def write(weights: Weights, items: Sequence[Arrays]) -> list[Path]:
    """Writes the int8 graphs of `weights` beside them and returns their paths; `items` are what `prepare` made of the
    photos from which ranges are taken. Raises `GraphError` where the graphs themselves, or NNCF, are not there."""
    if not find_spec("nncf"):
        raise GraphError("ranges are found by NNCF, which is not installed: carlens[int8] brings it")
    there = graphs.found(weights)
    if not there:
        raise GraphError(f"{weights.manifest.name}: no graphs beside the weights; {_remade(weights)}")
    return [_write(weights, part, there[part], items) for part in PARTS if part in there]


def _remade(weights: Weights) -> str:
    return graphs.REMADE.format(weights.manifest.name)


def _write(weights: Weights, part: str, source: Path, items: Sequence[Arrays]) -> Path:
    plain = _expanded(source)
    names = {one.name for one in plain.graph.input}
    given = [{name: value[None] for name, value in item.items() if name in names} for item in items]
    ranged = _ranged(plain, given)
    model = onnx.load(source, load_external_data=False)
    _merge(model.graph, plain.graph, ranged.graph)
    own = sum(len(one.raw_data) for one in model.graph.initializer)
    if own > LARGEST:
        raise GraphError(f"{weights.manifest.name}: {own} bytes of the int8 graph are none of the stored weights")
    return save(model, graphs.path(weights, part, int8=True), weights)


def _expanded(source: Path) -> ModelProto:
    """The graph with its kernels inside, as floats: NNCF takes others for something that is quantised already."""
    model = onnx.load(source)
    graph, held = model.graph, {one.name: one for one in model.graph.initializer}
    nodes = []
    for node in graph.node:
        if any(name not in held for name in node.input) or node.op_type not in ("DequantizeLinear", "Cast"):
            nodes.append(node)
            continue
        value = numpy_helper.to_array(held[node.input[0]]).astype("float32")
        if node.op_type == "DequantizeLinear":
            scale = numpy_helper.to_array(held[node.input[1]]).astype("float32")
            value = value * scale.reshape(-1, *[1] * (value.ndim - 1))
        held[node.output[0]] = numpy_helper.from_array(value, node.output[0])
    used = {name for node in nodes for name in node.input} | {one.name for one in graph.output}
    del graph.node[:], graph.initializer[:]
    graph.node.extend(nodes)
    graph.initializer.extend(one for name, one in held.items() if name in used)
    return model


def _ranged(plain: ModelProto, items: Iterable[Arrays]) -> ModelProto:
    """The graph with NNCF's nodes: symmetric, activations by tensor, kernels by output channel. Biases stay as they
    are: a correction of them would have to be stored."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # NNCF's own, about its libraries
        import nncf

        nncf.set_log_level("ERROR")
        items = list(items)
        made: ModelProto = nncf.quantize(
            plain,
            nncf.Dataset(items),
            subset_size=len(items),
            target_device=nncf.TargetDevice.CPU,
            ignored_scope=nncf.IgnoredScope(names=left_out(plain.graph)),
            advanced_parameters=nncf.AdvancedQuantizationParameters(disable_bias_correction=True),
        )
    return made


def left_out(graph: GraphProto) -> list[str]:
    """Names of the nodes that keep computing in floats: the first heavy layers, whose input is the photo, the last
    ones, whose output is the answer, and all that lies before, between the last two, and behind. They cost little, and
    errors there count most."""
    nodes = list(graph.node)
    heavy = {node.name for node in nodes if node.op_type in HEAVY}
    ahead, behind = _reached(nodes, heavy), _reached(nodes[::-1], heavy, backwards=True)
    inner = heavy & behind
    feeding = inner | _reached(nodes[::-1], inner, backwards=True)
    return [node.name for node in nodes if node.name not in ahead & feeding]


def _reached(nodes: Sequence[NodeProto], layers: set[str], backwards: bool = False) -> set[str]:
    """The nodes that come after one of the `layers`, or before one; `nodes` are in the order to go through them."""
    tensors: set[str] = set()
    found = set()
    for node in nodes:
        start, end = (node.output, node.input) if backwards else (node.input, node.output)
        if tensors.intersection(start):
            found.add(node.name)
        if node.name in layers or node.name in found:
            tensors.update(end)
    return found


def _merge(graph: GraphProto, plain: GraphProto, ranged: GraphProto) -> None:
    """Puts the ranges of `ranged`, which was made of `plain`, into the stored `graph`. Its kernels stay its own: those
    that are stored in int8 are read as they are, the others get nodes that round them when the graph is loaded."""
    numbers = {one.name: one for one in ranged.initializer}
    before = {node.name: node for node in plain.node}
    rounded = {  # by the output of the node that NNCF put in a kernel's place
        node.output[0]: node
        for node in ranged.node
        if node.op_type == "DequantizeLinear" and node.name not in before and node.input[0] in numbers
    }
    int8 = {node.output[0] for node in graph.node if node.op_type == "DequantizeLinear"}
    nodes = [node for node in graph.node if node.name not in before]  # those that read what is stored
    done: set[str] = set()
    for node in ranged.node:
        if node.output[0] in rounded:
            continue
        for place, name in enumerate(node.input):
            if name not in rounded:
                continue
            kernel = before[node.name].input[place]
            if kernel not in int8 and kernel not in done:
                nodes += _rounding(kernel, rounded[name])
                done.add(kernel)
            node.input[place] = kernel if kernel in int8 else kernel + ROUNDED
        nodes.append(node)
    known = {one.name for one in graph.initializer} | {name for node in nodes for name in node.output}
    used = {name for node in nodes for name in node.input} - known
    del graph.node[:], graph.value_info[:]
    graph.node.extend(nodes)
    graph.initializer.extend(one for name, one in numbers.items() if name in used)


def _rounding(kernel: str, node: NodeProto) -> list[NodeProto]:
    """Two nodes that take a kernel stored as floats to int8 and back, in the steps of NNCF's `node` for it."""
    axis = {one.name: one.i for one in node.attribute}.get("axis", 0)
    steps, inner = node.input[1:], f"{kernel}.int8"
    return [
        helper.make_node("QuantizeLinear", [kernel, *steps], [inner], axis=axis),
        helper.make_node("DequantizeLinear", [inner, *steps], [kernel + ROUNDED], axis=axis),
    ]
