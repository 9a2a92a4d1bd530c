"""The torch backend: loads whole or not at all, tells what does not fit, and says `MemoryError` when memory ends."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from models import backends
from models.backends import create, resolve_device
from models.backends.torch import TorchBackend
from models.manifest import Weights, WeightsError, find
from models.networks import build
from tests import weights


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("weights")
    manifest = weights.manifest("attributes")
    weights.write(path, manifest, weights.random_state(manifest))
    return path


@pytest.fixture(scope="module")
def loaded(folder: Path) -> TorchBackend:
    backend = TorchBackend()
    backend.load(find("attributes", folder), "cpu")
    return backend


def photos(count: int = 2) -> dict[str, Any]:
    return {"image": np.random.default_rng(0).integers(0, 256, (count, 32, 32, 3), np.uint8)}


def color(backend: TorchBackend, image: Any) -> NDArray[np.float32]:
    """The logits of one head."""
    return backend.run({"image": image})["color"].astype(np.float32)


def changed(folder: Path, **changes: Any) -> Weights:
    found = find("attributes", folder)
    return Weights(found.manifest.model_copy(update=changes), found.path)


def test_what_comes_out_is_what_the_stored_weights_give(folder: Path, loaded: TorchBackend) -> None:
    found = find("attributes", folder)
    network = build(found.manifest.architecture, found.manifest.labels)
    state = {name: torch.from_numpy(np.array(value)) for name, value in found.tensors().items()}
    network.get_submodule("network").load_state_dict(state)
    with torch.inference_mode():
        expected = network.eval()(torch.from_numpy(photos()["image"]))
    answer = loaded.run(photos())
    assert set(answer) == {"color", "type", "orientation"}
    for name, value in answer.items():
        assert isinstance(value, np.ndarray)
        assert value.dtype == np.float32
        torch.testing.assert_close(torch.from_numpy(value), expected[name], rtol=1e-4, atol=1e-5)


def test_rows_are_independent_and_repeatable(loaded: TorchBackend) -> None:
    image = photos()["image"]
    np.testing.assert_allclose(color(loaded, image)[:1], color(loaded, image[:1]), rtol=1e-4, atol=1e-5)
    np.testing.assert_array_equal(color(loaded, image), color(loaded, image))


def test_arrays_that_are_not_contiguous_are_taken(loaded: TorchBackend) -> None:
    image = photos()["image"]
    np.testing.assert_allclose(color(loaded, image[:, :, ::-1]), color(loaded, image[:, :, ::-1].copy()))


def test_run_before_load_is_an_error() -> None:
    with pytest.raises(RuntimeError, match="run before load"):
        TorchBackend().run(photos())


def test_weights_of_another_depth_are_refused_with_what_does_not_fit(folder: Path) -> None:
    backend = TorchBackend()
    with pytest.raises(WeightsError, match=r"attributes\.safetensors: does not fit resnet34: .+"):
        backend.load(changed(folder, architecture="resnet34"), "cpu")
    with pytest.raises(RuntimeError, match="run before load"):
        backend.run(photos())


def test_weights_for_other_labels_are_refused(folder: Path) -> None:
    labels = {"color": ["red"], "type": ["sedan", "bus"], "orientation": weights.ORIENTATIONS}
    with pytest.raises(WeightsError, match=r"does not fit resnet18: .*fc_color"):
        TorchBackend().load(changed(folder, labels=labels), "cpu")


@pytest.mark.parametrize("changes", [{"architecture": "perceptron"}, {"network": {"depth": 9}}])
def test_a_network_nobody_knows_is_refused_by_file(folder: Path, changes: dict[str, Any]) -> None:
    with pytest.raises(WeightsError, match=r"attributes\.safetensors: .*(perceptron|depth)"):
        TorchBackend().load(changed(folder, **changes), "cpu")


def test_a_failed_load_leaves_the_loaded_one(folder: Path) -> None:
    backend = TorchBackend()
    backend.load(find("attributes", folder), "cpu")
    before = backend.run(photos())
    with pytest.raises(WeightsError):
        backend.load(changed(folder, architecture="resnet34"), "cpu")
    np.testing.assert_array_equal(backend.run(photos())["color"], before["color"])


@pytest.mark.parametrize(
    ("raised", "expected"),
    [
        (torch.cuda.OutOfMemoryError("CUDA out of memory"), MemoryError),
        (RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried to allocate 9 bytes"), MemoryError),
        (RuntimeError("mat1 and mat2 shapes cannot be multiplied"), RuntimeError),
    ],
)
def test_exhausted_memory_is_a_memory_error(
    loaded: TorchBackend, monkeypatch: pytest.MonkeyPatch, raised: Exception, expected: type[Exception]
) -> None:
    class Broken(torch.nn.Module):
        def forward(self, image: torch.Tensor) -> torch.Tensor:
            raise raised

    monkeypatch.setattr(loaded, "_network", Broken())
    with pytest.raises(expected, match=str(raised)[:20]):
        loaded.run(photos())


def test_backends_are_made_by_name() -> None:
    assert create("torch").name == "torch"
    with pytest.raises(ValueError, match="unknown backend 'abacus': one of openvino, openvino-fp32, onnx"):
        create("abacus")


@pytest.mark.parametrize(("there", "expected"), [(True, "cuda"), (False, "cpu")])
def test_auto_takes_a_gpu_where_there_is_one(monkeypatch: pytest.MonkeyPatch, there: bool, expected: str) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: there)
    monkeypatch.setattr(backends, "_driver", lambda: True)
    assert resolve_device("auto") == expected


@pytest.mark.parametrize("device", ["cpu", "cuda", "cuda:1"])
def test_a_device_that_is_there_is_kept(monkeypatch: pytest.MonkeyPatch, device: str) -> None:
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    assert resolve_device(device) == device


@pytest.mark.parametrize(
    ("device", "expected"),
    [
        ("cuda:2", r"'cuda:2' is not there: 2 CUDA"),
        ("cuda:x", "unknown device"),
        ("cuda:-1", "unknown device"),
        ("gpu", "unknown device"),
        ("", "unknown device"),
    ],
)
def test_a_device_that_is_not_there_is_refused(monkeypatch: pytest.MonkeyPatch, device: str, expected: str) -> None:
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    with pytest.raises(ValueError, match=expected):
        resolve_device(device)
