"""Graphs for other runtimes: the same numbers, any batch, and all a caller must know in the metadata."""

import json
import sys
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime
import openvino
import pytest
import torch
import typer

from models.manifest import Weights, find
from tests import weights
from training.commands.export import export as command
from training.export import ExportError, export, metadata, network, photos


def made(folder: Path, name: str) -> Weights:
    of = weights.manifest(name, temperature={"label": 1.5}, thresholds={"recognised": 0.8})
    weights.write(folder, of, weights.random_state(of))
    return find(name, folder)


@pytest.mark.parametrize(("name", "batches"), [("brands", (1, 5)), ("paint", (1, 5)), ("balloons", (1, 1))])
def test_onnx_runtime_says_what_torch_says(tmp_path: Path, name: str, batches: tuple[int, ...]) -> None:
    of, path = made(tmp_path, name), tmp_path / "graph.onnx"
    assert export(of, "onnx", path) < 1e-3
    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    for seed, count in enumerate(batches, start=10):
        given = photos(of.manifest, count, seed)
        with torch.inference_mode():
            expected: dict[str, Any] = network(of)(torch.from_numpy(given))
        for output, value in zip(session.get_outputs(), session.run(None, {"image": given}), strict=True):
            np.testing.assert_allclose(value, expected[output.name].numpy(), rtol=1e-3, atol=1e-3)
    told = session.get_modelmeta().custom_metadata_map
    assert told == metadata(of.manifest)
    assert json.loads(told["preprocessing"])["width"] == 32
    assert json.loads(told["postprocessing"])["labels"] == of.manifest.labels
    assert json.loads(told["carlens"])["licence"]["weights"] == "none needed"


def test_silent_labels_are_told_beside_the_others() -> None:
    of = weights.manifest("balloons")
    told = json.loads(metadata(of.model_copy(update={"silent": ["string", "knot"]}))["postprocessing"])
    assert (told["labels"], told["silent"]) == (of.labels, ["string", "knot"])
    assert "silent" not in json.loads(metadata(of)["postprocessing"])


def test_openvino_reads_what_is_written(tmp_path: Path) -> None:
    of, path = made(tmp_path, "brands"), tmp_path / "brands.xml"
    (tmp_path / "brands.onnx").write_bytes(b"exported before")
    export(of, "openvino", path)
    names = {file.name for file in tmp_path.iterdir()}
    assert names == {"brands.bin", "brands.json", "brands.onnx", "brands.safetensors", "brands.xml"}
    assert (tmp_path / "brands.onnx").read_bytes() == b"exported before"
    model = openvino.Core().compile_model(path, "CPU")
    given = photos(of.manifest, 3, seed=7)
    with torch.inference_mode():
        expected = network(of)(torch.from_numpy(given))["label"].numpy()
    np.testing.assert_allclose(model(given)["label"], expected, rtol=0.02, atol=0.02)


def test_tensorrt_is_asked_for_by_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "tensorrt", None)
    with pytest.raises(ExportError, match=r"tensorrt is not installed \(it comes with NVIDIA's GPUs"):
        export(made(tmp_path, "brands"), "tensorrt", tmp_path / "brands.plan")


def test_a_graph_that_says_something_else_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    of = made(tmp_path, "brands")
    monkeypatch.setattr("training.export._sign", lambda path, _: spoilt(path))
    with pytest.raises(ExportError, match="ONNX Runtime and torch differ by"):
        export(of, "onnx", tmp_path / "graph.onnx")


def spoilt(path: Path) -> None:
    """Another bias in the last layer."""
    graph = onnx.load(path)
    bias = next(tensor for tensor in graph.graph.initializer if list(tensor.dims) == [3])
    bias.CopyFrom(onnx.numpy_helper.from_array(onnx.numpy_helper.to_array(bias) + 0.5, bias.name))
    onnx.save(graph, path)


@pytest.mark.parametrize(
    ("name", "form", "output", "words"),
    [
        ("brands", "coreml", "brands.x", "unknown format 'coreml': one of onnx, openvino, tensorrt"),
        ("kites", "onnx", "kites.onnx", "no weights for 'kites'"),
        ("brands", "onnx", "nowhere/brands.onnx", "nowhere is no folder"),
    ],
)
def test_a_mistake_is_told_in_a_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], name: str, form: str, output: str, words: str
) -> None:
    made(tmp_path, "brands")
    with pytest.raises(typer.Exit) as stop:
        command(name, form=form, output=tmp_path / output, weights=tmp_path)
    assert stop.value.exit_code == 2
    assert words in capsys.readouterr().err
