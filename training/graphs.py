"""Graphs of stored weights for runtimes without torch: small ONNX files beside `NAME.safetensors`, whose
initialisers are byte ranges of that very file, int8 kernels through DequantizeLinear."""

import json
import struct
import warnings
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import torch
from onnx import GraphProto, TensorProto, helper, numpy_helper
from onnxscript import optimizer
from torch import Tensor, nn
from torchvision.ops import FrozenBatchNorm2d

from models import graphs
from models.backends.torch import TorchBackend
from models.manifest import SCALE, Weights
from models.networks.detector import Detector
from models.networks.stages import parts
from models.networks.yolox import STRIDES, Yolox

OPSET = 18

LARGEST = 1 << 16
"""Bytes of numbers that a graph may hold itself; more would be weights that it does not share."""


class GraphError(Exception):
    """A network that no graph can be made of; the text says why."""


@dataclass(frozen=True, slots=True)
class Place:
    """Where a stored tensor lies in its file."""

    type: int
    shape: tuple[int, ...]
    offset: int
    length: int


def write(weights: Weights) -> list[Path]:
    """Writes the graphs of `weights` beside them and returns their paths; int8 graphs of other weights, whose place
    these took, are removed. Raises `GraphError` where the network has what a graph cannot have; no file is left of it
    then."""
    for graph in graphs.quantized(weights).values():
        if not graphs.fits(graph, weights):
            graph.unlink()
    try:
        return _parts(weights)
    except GraphError:
        for part in (graphs.WHOLE, *graphs.PARTS["instances"]):
            graphs.path(weights, part).unlink(missing_ok=True)
        raise


def _parts(weights: Weights) -> list[Path]:
    backend = TorchBackend()
    backend.load(weights, "cpu")
    network = _with_norms(backend.network.to(memory_format=torch.contiguous_format))
    side = 2 * STRIDES[-1] if isinstance(network, Yolox) else weights.manifest.input.width
    example: dict[str, Tensor] = {"image": torch.zeros(2, side, side, 3, dtype=torch.uint8)}
    if beside := weights.manifest.network.get("beside"):
        example["known"] = torch.zeros(2, beside)
    if not isinstance(network, Detector):
        return [_write(network, example, weights, graphs.WHOLE)]
    made, paths = parts(network, side), []
    for name, part in made.items():
        paths.append(_write(part, example, weights, name))
        if name == "dense":
            with torch.inference_mode():
                features = part(**example)["features"]
            boxes = torch.tensor([[0.0, 0.0, side / 2, side / 2]]).repeat(3, 1)
            example = {"features": features, "boxes": boxes, "photo": torch.tensor([0, 1, 1])}
        elif name == "boxes":
            example["label"] = torch.zeros(3, dtype=torch.int64)
    return paths


def _write(network: nn.Module, example: Mapping[str, Tensor], weights: Weights, part: str) -> Path:
    model = _exported(network, example)
    _share(model.graph, weights)
    return save(model, graphs.path(weights, part), weights)


def save(model: onnx.ModelProto, path: Path, weights: Weights) -> Path:
    """Writes a graph that points into `weights`; `GraphError` where it is none, and no file is left of it then."""
    model.producer_name, model.doc_string = "carlens", f"for weights sha256:{weights.manifest.sha256}"
    written = path.with_name(f".{path.name}")  # a service may be reading the one there is
    onnx.save(model, written)
    try:
        onnx.checker.check_model(written)
        return written.replace(path)
    except onnx.checker.ValidationError as error:
        raise GraphError(f"{weights.manifest.name}: {str(error).splitlines()[0]}") from error
    finally:
        written.unlink(missing_ok=True)


def _exported(network: nn.Module, example: Mapping[str, Tensor]) -> onnx.ModelProto:
    free: dict[int, Any] = {0: torch.export.Dim.DYNAMIC}
    if isinstance(network, Yolox):  # it looks at some photos a second time, larger
        steps = torch.export.Dim("rows", min=2), torch.export.Dim("columns", min=2)
        free = {0: torch.export.Dim("batch"), 1: STRIDES[-1] * steps[0], 2: STRIDES[-1] * steps[1]}
    with warnings.catch_warnings(), torch.inference_mode():
        names = list(network(**example))
        warnings.simplefilter("ignore")  # the exporter's own, about itself
        try:
            program = torch.onnx.export(
                network,
                kwargs=dict(example),
                dynamo=True,
                opset_version=OPSET,
                output_names=names,
                dynamic_shapes={name: free if name == "image" else {0: torch.export.Dim.DYNAMIC} for name in example},
                optimize=False,  # it would fold norms into convolutions, whose kernels are then none of the stored
                verbose=False,
            )
        except torch.onnx.OnnxExporterError as error:
            raise GraphError(f"the exporter to ONNX cannot write it: {str(error).splitlines()[0]}") from error
    optimizer.inline(program.model)
    optimizer.fold_constants(program.model)
    optimizer.remove_unused_nodes(program.model)
    model = program.model_proto
    zeros = {one.name for one in model.graph.initializer if not numpy_helper.to_array(one).any()}
    for node in model.graph.node:
        del node.metadata_props[:]  # where in the code it comes from, most of the file
        node.ClearField("doc_string")
        if node.op_type == "Conv" and len(node.input) == 3 and node.input[2] in zeros:
            del node.input[2]  # written where a convolution has no bias
    return model


def _with_norms(network: nn.Module) -> nn.Module:
    """The network with common BatchNorm in the place of torchvision's frozen one: the same sums on the same tensors,
    but one node of a graph, which runtimes fold into the convolution before it."""
    for name, module in list(network.named_modules()):
        if isinstance(module, FrozenBatchNorm2d):
            norm = nn.BatchNorm2d(len(module.weight), module.eps).eval().requires_grad_(False)
            norm.load_state_dict(module.state_dict(), strict=False)
            parent, _, last = name.rpartition(".")
            setattr(network.get_submodule(parent), last, norm)
    return network


def _places(path: Path) -> dict[str, Place]:
    """What the header of a safetensors file says of its tensors."""
    types = {"F32": TensorProto.FLOAT, "F16": TensorProto.FLOAT16, "I8": TensorProto.INT8, "I64": TensorProto.INT64}
    with path.open("rb") as file:
        (size,) = struct.unpack("<Q", file.read(8))
        header: dict[str, Any] = json.loads(file.read(size))
    header.pop("__metadata__", None)
    return {
        name: Place(
            types[one["dtype"]],
            tuple(one["shape"]),
            8 + size + one["data_offsets"][0],
            one["data_offsets"][1] - one["data_offsets"][0],
        )
        for name, one in header.items()
    }


def _share(graph: GraphProto, weights: Weights) -> None:
    """Replaces the initialisers that are stored by references to where they lie."""
    places, stored = _places(weights.path), weights.tensors()
    kept: list[TensorProto] = []
    before: list[onnx.NodeProto] = []
    used = {name for node in graph.node for name in node.input} | {one.name for one in graph.output}
    for tensor in graph.initializer:
        if tensor.name not in used:
            continue
        name = tensor.name.removeprefix("network.")
        if name not in places:
            kept.append(tensor)
            continue
        if not np.array_equal(numpy_helper.to_array(tensor), stored[name]):
            raise GraphError(f"{weights.manifest.name}: the exporter changed {name}")
        scale = places.get(name + SCALE)
        if places[name].type == tensor.data_type:
            kept.append(_reference(tensor.name, places[name], weights.path))
        elif scale is not None:
            kept += [
                _reference(name, places[name], weights.path),
                _reference(name + SCALE, scale, weights.path),
            ]
            before.append(helper.make_node("DequantizeLinear", [name, name + SCALE], [tensor.name], axis=0))
        else:
            kept.append(_reference(name, places[name], weights.path))
            before.append(helper.make_node("Cast", [name], [tensor.name], to=tensor.data_type))
    if (own := sum(len(one.raw_data) for one in kept)) > LARGEST:
        largest = max(kept, key=lambda one: len(one.raw_data))
        raise GraphError(
            f"{weights.manifest.name}: {own} bytes of the graph are none of the stored weights, the most in "
            f"{largest.name!r}"
        )
    nodes = list(graph.node)
    del graph.initializer[:], graph.node[:], graph.value_info[:]
    graph.initializer.extend(kept)
    graph.node.extend([*before, *nodes])


def _reference(name: str, place: Place, path: Path) -> TensorProto:
    tensor = TensorProto(name=name, data_type=place.type, dims=place.shape, data_location=TensorProto.EXTERNAL)
    for key, value in (("location", path.name), ("offset", place.offset), ("length", place.length)):
        tensor.external_data.add(key=key, value=str(value))
    return tensor
