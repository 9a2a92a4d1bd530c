"""The released YOLOX-Nano (ONNX, BatchNorm folded, all of COCO) to weights of our own that find the four vehicles."""

import hashlib
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime
import torch
from onnx import numpy_helper
from safetensors.numpy import save
from torch import nn

from models.manifest import Manifest, Training, WeightsError
from models.networks.yolox import Yolox
from models.predictor import Input, Licence
from training.weights import write

COCO = 80
VEHICLES = {"car": 2, "bus": 5, "truck": 7, "motorcycle": 3}
"""Our labels, and their places among COCO's eighty."""

SIDE = 416
CLOSE = 1e-3
"""Largest difference of raw outputs that two runtimes' arithmetic may make."""

State = dict[str, torch.Tensor]


def state(path: Path, channels: int = 16) -> State:
    """The state of `Network(channels, 4)` with the kernels of the graph at `path`.

    The graph's names say nothing, so its convolutions are taken in their order, which is that in which our modules run;
    kernel, groups, stride and padding must all fit, and then ONNX Runtime must say the same as the module. Raises
    `WeightsError` with the first that does not, `OSError` where the file cannot be read.
    """
    graph = _graph(path)
    network = Yolox("yolox_nano", COCO, channels).network.eval()
    found = {tensor.name: tensor for tensor in graph.initializer}
    nodes = [node for node in graph.node if node.op_type == "Conv"]
    ours = [(name, module) for name, module in network.named_modules() if isinstance(module, nn.Conv2d)]
    if len(nodes) != len(ours):
        raise WeightsError(f"{path}: {len(nodes)} convolutions, YOLOX-Nano has {len(ours)}")
    loaded: State = {}
    for node, (name, module) in zip(nodes, ours, strict=True):
        if len(node.input) != 3 or any(given not in found for given in node.input[1:]):
            raise WeightsError(f"{path}: {node.name} has no kernel and bias of its own; is BatchNorm folded?")
        kernel, bias = (torch.from_numpy(numpy_helper.to_array(found[given]).copy()) for given in node.input[1:])
        theirs, expected = _described(node, kernel), _expected(module)
        if theirs != expected or bias.shape != (len(kernel),):
            raise WeightsError(f"{path}: {node.name} is {theirs}, YOLOX-Nano's {name} is {expected}")
        loaded |= {f"{name}.weight": kernel.float(), f"{name}.bias": bias.float()}
    network.load_state_dict(loaded)
    difference = compare(path, network)
    if not difference <= CLOSE:
        raise WeightsError(f"{path}: the kernels fit YOLOX-Nano, yet its outputs differ by {difference:.3g}")
    rows = list(VEHICLES.values())
    return {name: value[rows] if ".classes." in name else value for name, value in loaded.items()}


def compare(path: Path, network: nn.Module, photos: np.ndarray | None = None) -> float:
    """Largest difference of raw outputs between ONNX Runtime on the file and the module, fp32, over BGR `photos`
    (n, 3, side, side) 0-255; without any over one of noise."""
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = torch.get_num_threads()
    session = onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
    given = session.get_inputs()[0]
    if photos is None:
        photos = np.random.default_rng(0).uniform(0, 255, given.shape).astype(np.float32)
    largest = 0.0
    for photo in photos[:, None]:
        theirs = session.run(None, {given.name: photo})[0]
        with torch.inference_mode():
            ours = network(torch.from_numpy(photo)).numpy()
        if ours.shape != theirs.shape:
            raise WeightsError(f"{path}: its output is {theirs.shape}, YOLOX-Nano's is {ours.shape}")
        largest = max(largest, float(np.abs(ours - theirs).max()))
    return largest


def _graph(path: Path) -> Any:
    try:
        return onnx.load_from_string(path.read_bytes()).graph
    except Exception as error:  # protobuf's own, which onnx lets through
        raise WeightsError(f"{path}: no ONNX file ({error})") from error


def _described(node: Any, kernel: torch.Tensor) -> tuple[list[int], int, list[int], list[int]]:
    attributes = {one.name: onnx.helper.get_attribute_value(one) for one in node.attribute}
    return (
        list(kernel.shape),
        attributes.get("group", 1),
        list(attributes.get("strides", [1, 1])),
        list(attributes.get("pads", [0, 0, 0, 0])),
    )


def _expected(module: nn.Conv2d) -> tuple[list[int], int, list[int], list[int]]:
    padding = [int(pixels) for pixels in module.padding]
    return list(module.weight.shape), module.groups, list(module.stride), padding * 2


def convert(path: Path, folder: Path, name: str = "vehicles") -> Manifest:
    """Writes `NAME.safetensors` (fp16: it is small, and int8 moves its boxes) and `NAME.json` to `folder`; the figures
    are left empty. Raises what `state` raises."""
    tensors = save({key: value.numpy().astype(np.float16) for key, value in state(path).items()})
    digest = hashlib.sha256(tensors).hexdigest()
    source = hashlib.sha256(path.read_bytes()).hexdigest()
    manifest = Manifest(
        name=name,
        kind="boxes",
        summary="The vehicles in a photo, and which one is meant",
        version=f"1.0.0+{datetime.now(UTC):%Y%m%d}.{digest[:8]}",
        architecture="yolox_nano",
        labels={"label": list(VEHICLES)},
        input=Input(width=SIDE, height=SIDE),
        fit="letterbox",
        channels="bgr",
        mean=(0.0, 0.0, 0.0),
        std=(1 / 255, 1 / 255, 1 / 255),
        thresholds=dict.fromkeys(VEHICLES, 0.3),
        training=Training(
            recipe="none",
            data=["COCO 2017, by Megvii"],
            start=f"{path.name} (YOLOX-Nano as released by Megvii)",
            epochs=300,
            steps=0,
            hours=0,
            machine="not stated",
            notes=f"Not trained here: converted from {path.name}, sha256:{source[:12]}. BatchNorm was folded into the "
            "convolutions at its source; of COCO's eighty classes four were kept; kernels are stored as fp16.",
        ),
        figures={},
        figures_command=f"carlens evaluate {name} --wide 150 --data DATA",
        licence=Licence(
            weights="Apache-2.0",
            why="YOLOX-Nano was released by Megvii under it, trained on COCO; nothing was trained on since",
        ),
        sha256=digest,
    )
    write(folder, manifest, tensors)
    return manifest
