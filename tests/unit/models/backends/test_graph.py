"""OpenVINO and ONNX Runtime say of the stored weights what torch says, and refuse what they cannot serve."""

import platform
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import openvino
import pytest
from numpy.typing import NDArray

from models import graphs
from models.backends import GRAPHS, create
from models.manifest import SHIPPED, Weights, WeightsError, find
from models.registry import discover
from tests import weights
from training import graphs as made

ROOT = Path(__file__).parents[4]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Random weights of every kind, with their graphs."""
    path = tmp_path_factory.mktemp("weights")
    for name in ("paint", "brands", "damage_severity", "balloons", "vehicles"):
        of = weights.manifest(name)
        weights.write(path, of, weights.random_state(of))
        made.write(find(name, path))
    return path


def given(of: Weights, count: int, side: int = 32) -> dict[str, NDArray[np.generic]]:
    rng = np.random.default_rng(count)
    arrays: dict[str, NDArray[np.generic]] = {"image": rng.integers(0, 256, (count, side, side, 3), np.uint8)}
    if beside := of.manifest.network.get("beside"):
        arrays["known"] = rng.standard_normal((count, beside)).astype(np.float32)
    return arrays


@pytest.mark.parametrize("backend", GRAPHS)
@pytest.mark.parametrize("name", ["paint", "brands", "damage_severity", "vehicles"])
def test_they_say_what_torch_says(folder: Path, name: str, backend: str) -> None:
    of, torch, other = find(name, folder), create("torch"), create(backend)
    torch.load(of, "cpu")
    other.load(of, "cpu")
    sides = (32, 64) if name == "vehicles" else (32,)
    near = 0.05 if backend == "openvino" else 1e-3  # maybe in bf16
    for count, side in [(count, side) for count in (1, 3) for side in sides]:
        expected, found = (one.run(given(of, count, side)) for one in (torch, other))
        assert {key: value.shape for key, value in found.items()} == {k: v.shape for k, v in expected.items()}
        for key, value in expected.items():
            np.testing.assert_allclose(found[key].astype(float), value.astype(float), rtol=near, atol=near, err_msg=key)


@pytest.mark.parametrize("backend", GRAPHS)
def test_a_detector_gives_all_its_arrays(folder: Path, backend: str) -> None:
    of, other = find("balloons", folder), create(backend)
    other.load(of, "cpu")
    found = other.run({**given(of, 2), "least": np.zeros((2, 2), np.float32)})
    assert {name: value.shape for name, value in found.items()} == {
        "boxes": (2, 10, 4),
        "scores": (2, 10),
        "labels": (2, 10),
        "masks": (2, 10, 28, 28),
    }


@pytest.mark.parametrize("backend", GRAPHS)
def test_what_comes_out_stays_when_more_is_asked(folder: Path, backend: str) -> None:
    """Answers are finished in other threads while the device is at the next batch."""
    of, other = find("brands", folder), create(backend)
    other.load(of, "cpu")
    first = other.run(given(of, 1))["label"]
    kept = first.copy()
    assert not np.array_equal(other.run({"image": np.zeros((1, 32, 32, 3), np.uint8)})["label"], kept)
    np.testing.assert_array_equal(first, kept)


@pytest.mark.parametrize("backend", GRAPHS)
def test_weights_that_are_written_over_do_no_harm_to_those_loaded(folder: Path, tmp_path: Path, backend: str) -> None:
    for file in folder.glob("brands.*"):
        shutil.copy(file, tmp_path)
    of, other = find("brands", tmp_path), create(backend)
    other.load(of, "cpu")
    expected = other.run(given(of, 2))["label"]
    for file in tmp_path.iterdir():
        file.write_bytes(b"")
    np.testing.assert_array_equal(other.run(given(of, 2))["label"], expected)


@pytest.mark.parametrize("backend", GRAPHS)
def test_what_cannot_be_loaded_is_told(folder: Path, tmp_path: Path, backend: str) -> None:
    of = find("brands", folder)
    with pytest.raises(WeightsError, match="runs on the cpu, not on cuda"):
        create(backend).load(of, "cuda")
    with pytest.raises(RuntimeError, match="run before load"):
        create(backend).run(given(of, 1))
    weights.write(tmp_path, weights.manifest("brands"))
    with pytest.raises(WeightsError, match=rf"brands: the backend {backend} needs its graphs; `carlens export brands"):
        create(backend).load(find("brands", tmp_path), "cpu")
    changed = find("brands", tmp_path)
    changed.path.write_bytes(b"other")
    with pytest.raises(WeightsError, match="sha256 is"):
        create(backend).load(changed, "cpu")


def test_memory_that_ends_is_said_so(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    other = create("onnxruntime")
    for text, expected in (("std::bad_alloc", MemoryError), ("a port was not found", RuntimeError)):

        def fail(_: object, text: str = text) -> dict[str, NDArray[np.generic]]:
            raise RuntimeError(text)

        monkeypatch.setattr(other, "_network", fail)
        with pytest.raises(expected, match=text):
            other.run({})


def test_a_precision_is_kept_to(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked, real = [], openvino.Core.compile_model

    def compile_model(core: Any, model: Any, device: str, settings: dict[str, Any]) -> Any:
        asked.append(settings.get("INFERENCE_PRECISION_HINT"))
        return real(core, model, device, settings)

    monkeypatch.setattr(openvino.Core, "compile_model", compile_model)
    for name, of in (
        ("openvino", find("brands", folder)),
        ("openvino-fp32", find("brands", folder)),
        ("openvino-int8", find("attributes")),
    ):
        made = create(name)
        assert made.name == name
        made.load(of, "cpu")
    assert asked == [None, "f32", None]


def test_what_openvino_compiles_is_kept_by_weights(folder: Path, tmp_path: Path) -> None:
    of = find("brands", folder)
    create("openvino", tmp_path).load(of, "cpu")
    kept = list((tmp_path / "openvino" / of.manifest.sha256[:16]).iterdir())
    assert kept
    assert graphs.found(of)


def test_int8_is_kept_apart_from_other_precisions(tmp_path: Path) -> None:
    of = find("attributes")
    for name in ("openvino", "openvino-int8"):
        create(name, tmp_path).load(of, "cpu")
    kept = [{file.name for file in (tmp_path / name / of.manifest.sha256[:16]).iterdir()} for name in listed(tmp_path)]
    assert listed(tmp_path) == ["openvino", "openvino-int8"]
    assert all(kept)
    assert not kept[0] & kept[1]


def listed(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_int8_needs_a_graph_for_it(folder: Path) -> None:
    with pytest.raises(WeightsError, match="brands: the backend openvino-int8 needs its int8 graph; `carlens quantize"):
        create("openvino-int8").load(find("brands", folder), "cpu")


def test_where_int8_is_wanted_of_all_those_without_it_are_served_and_say_so(
    folder: Path, caplog: pytest.LogCaptureFixture
) -> None:
    made = discover(weights_dir=folder, wanted=["attributes", "paint"], backends={"": "openvino-int8"})
    for one in made.values():
        one.load("cpu")
    assert made["attributes"].card.backend == "openvino-int8"
    assert made["paint"].card.backend == "openvino"
    assert [line for line in caplog.messages if "attributes" in line or "paint" in line] == [
        "paint has no int8 graph: openvino serves it, not openvino-int8"
    ]


@pytest.mark.skipif(platform.machine() not in ("x86_64", "AMD64"), reason="elsewhere OpenVINO has other kernels")
@pytest.mark.parametrize("name", [path.stem for path in SHIPPED.glob("*.json") if graphs.quantized(find(path.stem))])
def test_the_shipped_int8_graphs_are_computed_in_int8(name: str) -> None:
    """All convolutions but the first and the last ones: norms between them must not keep them from it."""
    for path in graphs.quantized(find(name)).values():
        core = openvino.Core()
        compiled = core.compile_model(core.read_model(path), "CPU", {"INFERENCE_NUM_THREADS": 1})
        told = [one.get_rt_info() for one in compiled.get_runtime_model().get_ops()]
        layers = [one["runtimePrecision"] for one in told if one["layerType"] == "Convolution"]
        assert len(layers) > 30
        assert sum(one in ("u8", "i8") for one in layers) >= 0.85 * len(layers)


SIGNALLED = """
import gc, signal
from models.backends import create
from models.manifest import find
loaded = create({backend!r})
loaded.load(find("damage"), "cpu")
del loaded
gc.collect()
signal.signal(signal.SIGINT, lambda *_: print("survived"))
signal.raise_signal(signal.SIGINT)
"""


@pytest.mark.parametrize("backend", GRAPHS)
def test_a_signal_after_a_network_is_gone_does_no_harm(backend: str) -> None:
    command = [sys.executable, "-c", SIGNALLED.format(backend=backend)]
    done = subprocess.run(command, check=False, cwd=ROOT, capture_output=True, text=True, timeout=300)
    assert (done.returncode, done.stdout.strip()) == (0, "survived"), done.stderr


WITHOUT = """
import sys
for name in ("torch", "torchvision", "timm", "onnx", "onnxscript"):
    sys.modules[name] = None
import numpy as np
from models.registry import discover
for name, one in discover(wanted=["attributes", "damage", "vehicles"]).items():
    one.load("cpu")
    assert one.card.backend == "openvino", one.card
    size = one.specification.batch_sizes[1]
    batch = {key: np.zeros((size, *of.shape), of.dtype) for key, of in one.specification.inputs.items()}
    assert all(len(value) == size for value in one.run(batch).values())
print("served")
"""


def test_the_shipped_weights_are_served_without_torch() -> None:
    done = subprocess.run(
        [sys.executable, "-c", WITHOUT], check=False, cwd=ROOT, capture_output=True, text=True, timeout=300
    )
    assert done.stdout.strip() == "served", done.stderr
