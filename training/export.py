"""Served weights as graphs of other runtimes: ONNX, OpenVINO, TensorRT, with what a caller must know inside."""

import json
import warnings
from importlib import import_module
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from models.backends.torch import TorchBackend
from models.manifest import Manifest, Weights

FORMATS = {"onnx": ".onnx", "openvino": ".xml", "tensorrt": ".plan"}
"""Format and the ending of its file; OpenVINO writes a `.bin` beside it."""

OPSET = 18
OUTPUTS = {"instances": ["boxes", "scores", "labels", "masks"], "boxes": ["boxes", "scores"]}
MEANING = {
    "classifier": "`label`: logits (batch, classes). Divide by the temperature, then softmax.",
    "heads": "One output a head: logits (batch, classes). Divide by the head's temperature, then softmax.",
    "instances": "Best first, unused rows have score 0: `boxes` (batch, rows, 4) x1, y1, x2, y2 in input pixels, "
    "`scores` (batch, rows) 0-1, `labels` (batch, rows) numbers of `labels`, then of `silent`, if there are any: "
    "what the network tells apart but nobody is told; `masks` (batch, rows, 28, 28) shares within the box. Boxes "
    "are scaled from the input's size to the photo's.",
    "boxes": "Every cell, nothing merged: `boxes` (batch, cells, 4) x1, y1, x2, y2 in input pixels, `scores` (batch, "
    "cells, labels) 0-1. Non-maximum suppression is the caller's.",
}


class ExportError(Exception):
    """A graph that cannot be made here; the text says what is missing or differs."""


def metadata(manifest: Manifest) -> dict[str, str]:
    """What goes into the graph beside the numbers: how a photo goes in and what comes out, as JSON texts."""
    size = manifest.input
    preprocessing = {
        "input": "image",
        "type": "uint8",
        "layout": "batch, height, width, channel",
        "channels": "RGB",
        "range": [0, 255],
        "width": size.width,
        "height": size.height,
        "fit": manifest.fit,
        "interpolation": f"{manifest.interpolation}, antialiased",
        "orientation": "EXIF applied",
        "normalisation": "in the graph",
    }
    if beside := manifest.network.get("beside"):
        preprocessing["known"] = f"float32, batch, {beside}: what is known beside the image"
    postprocessing = {
        "kind": manifest.kind,
        "meaning": MEANING[manifest.kind],
        "labels": manifest.labels,
        "temperature": manifest.temperature,
        "thresholds": manifest.thresholds,
    }
    if manifest.silent:
        postprocessing["silent"] = manifest.silent
    about = manifest.model_dump(
        mode="json", include={"name", "version", "summary", "architecture", "licence", "sha256"}
    )
    return {
        "carlens": json.dumps(about),
        "preprocessing": json.dumps(preprocessing),
        "postprocessing": json.dumps(postprocessing),
    }


def network(weights: Weights) -> nn.Module:
    """The network in evaluation mode on the CPU, contiguous in memory."""
    backend = TorchBackend()
    backend.load(weights, "cpu")
    return backend.network.to(memory_format=torch.contiguous_format)


def photos(manifest: Manifest, count: int, seed: int = 0) -> NDArray[np.uint8]:
    """Made-up photos (count, height, width, 3): coloured rectangles under noise, so that detectors find edges."""
    rng, size = np.random.default_rng(seed), manifest.input
    made = rng.integers(0, 60, (count, size.height, size.width, 3))
    for photo in made:
        for _ in range(6):
            y, x = rng.integers(0, size.height), rng.integers(0, size.width)
            photo[y : y + size.height // 3, x : x + size.width // 2] += rng.integers(0, 190, 3)
    return made.clip(0, 255).astype(np.uint8)


def inputs(manifest: Manifest, count: int, seed: int = 0) -> dict[str, NDArray[Any]]:
    """What the network is given for `count` made-up photos, by name."""
    given: dict[str, NDArray[Any]] = {"image": photos(manifest, count, seed)}
    if beside := manifest.network.get("beside"):
        given["known"] = np.random.default_rng(seed).standard_normal((count, beside)).astype(np.float32)
    return given


def to_onnx(weights: Weights, path: Path) -> float:
    """Writes `path`; the batch dimension is dynamic but for detectors, which read one photo.

    Returns the largest difference between ONNX Runtime's and torch's outputs on made-up photos; raises `ExportError`
    where they disagree.
    """
    manifest, torch_network = weights.manifest, network(weights)
    detector = manifest.kind == "instances"
    names = OUTPUTS.get(manifest.kind) or list(manifest.labels)
    example = {name: torch.from_numpy(value) for name, value in inputs(manifest, 1 if detector else 2).items()}
    with warnings.catch_warnings(), torch.inference_mode():
        warnings.simplefilter("ignore")  # the exporter's own, about itself
        if detector:  # its loops over detections are traced; the newer exporter refuses them
            torch.onnx.export(
                torch_network,
                tuple(example.values()),
                path,
                dynamo=False,
                opset_version=OPSET,
                input_names=list(example),
                output_names=names,
            )
        else:
            batch = {name: {0: torch.export.Dim.DYNAMIC} for name in example}
            program = torch.onnx.export(
                torch_network,
                tuple(example.values()),
                dynamo=True,
                opset_version=OPSET,
                input_names=list(example),
                output_names=names,
                dynamic_shapes=batch,
                verbose=False,
            )
            program.save(path, external_data=False)
    _sign(path, manifest)
    return _agree(path, manifest, torch_network)


def _sign(path: Path, manifest: Manifest) -> None:
    onnx = _library("onnx")
    graph = onnx.load(path)
    onnx.helper.set_model_props(graph, metadata(manifest))
    graph.producer_name, graph.doc_string = "carlens", f"{manifest.summary}. {manifest.licence.weights}"
    onnx.checker.check_model(graph)
    onnx.save(graph, path)


def _agree(path: Path, manifest: Manifest, torch_network: nn.Module) -> float:
    """The largest difference of outputs; boxes count in shares of the input's side."""
    runtime = _library("onnxruntime")
    session = runtime.InferenceSession(path, providers=["CPUExecutionProvider"])
    names, largest = [output.name for output in session.get_outputs()], 0.0
    for count in (1,) if manifest.kind == "instances" else (1, 3):
        given = inputs(manifest, count, seed=count)
        with torch.inference_mode():
            answer = torch_network(**{name: torch.from_numpy(value) for name, value in given.items()})
        expected = {name: value.numpy() for name, value in answer.items()}
        found = dict(zip(names, session.run(names, given), strict=True))
        for name, value in expected.items():
            scale = manifest.input.width if name == "boxes" else 1
            difference = np.abs(found[name].astype(float) - value.astype(float)).max(initial=0) / scale
            largest = max(largest, float(difference))
    if largest > 1e-2:
        raise ExportError(f"{path}: ONNX Runtime and torch differ by {largest:.3g} on the same photos")
    return largest


def to_openvino(weights: Weights, path: Path) -> float:
    """Writes `path` (.xml) and its .bin from the ONNX graph, weights as fp16; returns as `to_onnx` does."""
    openvino = _library("openvino")
    with TemporaryDirectory(dir=path.parent) as folder:  # beside `path` may lie an ONNX graph of the same name
        between = Path(folder) / "between.onnx"
        difference = to_onnx(weights, between)
        model = openvino.convert_model(between)
        for name, text in metadata(weights.manifest).items():
            model.set_rt_info(text, ["carlens", name])
        openvino.save_model(model, path, compress_to_fp16=True)
    return difference


def to_tensorrt(weights: Weights, path: Path) -> float:
    """Builds an fp16 engine from the ONNX graph for the GPU that is there; returns as `to_onnx` does.

    Raises `ExportError` where TensorRT or a GPU is missing, or the graph has an operator that it does not know.
    """
    trt: Any = _library("tensorrt")
    with TemporaryDirectory(dir=path.parent) as folder:
        between = Path(folder) / "between.onnx"
        difference = to_onnx(weights, between)
        logger = trt.Logger(trt.Logger.WARNING)
        builder = trt.Builder(logger)
        graph = builder.create_network(0)
        parser = trt.OnnxParser(graph, logger)
        if not parser.parse_from_file(str(between)):
            raise ExportError("TensorRT: " + "; ".join(str(parser.get_error(n)) for n in range(parser.num_errors)))
        settings = builder.create_builder_config()
        settings.set_flag(trt.BuilderFlag.FP16)
        if weights.manifest.kind != "instances":
            size, profile = weights.manifest.input, builder.create_optimization_profile()
            shapes = [(count, size.height, size.width, 3) for count in (1, 8, 16)]
            profile.set_shape("image", *shapes)
            if beside := weights.manifest.network.get("beside"):
                profile.set_shape("known", *((count, beside) for count in (1, 8, 16)))
            settings.add_optimization_profile(profile)
        engine = builder.build_serialized_network(graph, settings)
        if engine is None:
            raise ExportError("TensorRT built no engine; its messages above say why")
        path.write_bytes(bytes(engine))
    return difference


def _library(name: str) -> Any:
    try:
        return import_module(name)
    except ImportError as error:
        hint = "it comes with NVIDIA's GPUs: pip install tensorrt" if name == "tensorrt" else f"pip install {name}"
        raise ExportError(f"{name} is not installed ({hint})") from error


def export(weights: Weights, form: str, path: Path) -> float:
    """Writes `weights` as `form` (of `FORMATS`) to `path`; the largest difference that ONNX Runtime showed."""
    return {"onnx": to_onnx, "openvino": to_openvino, "tensorrt": to_tensorrt}[form](weights, path)
