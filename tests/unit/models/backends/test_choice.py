"""Which backend serves which weights where, by what is installed."""

from pathlib import Path
from types import SimpleNamespace

import pytest

from models import backends
from models.backends import choose, resolve_device
from models.graphs import path
from models.manifest import Weights, WeightsError, find
from tests import weights


def installed(monkeypatch: pytest.MonkeyPatch, *names: str) -> None:
    monkeypatch.setattr(backends, "find_spec", lambda name: name if name in names else None)


@pytest.fixture
def plain(tmp_path: Path) -> Weights:
    weights.write(tmp_path, weights.manifest("brands"))
    return find("brands", tmp_path)


@pytest.fixture
def drawn(plain: Weights) -> Weights:
    """The same weights with a file in the place of their graph."""
    path(plain, "graph").write_text(plain.manifest.sha256)
    return plain


@pytest.mark.parametrize(
    ("there", "device", "expected"),
    [
        (("openvino", "onnxruntime", "torch"), "cpu", "openvino"),
        (("onnxruntime", "torch"), "cpu", "onnxruntime"),
        (("torch",), "cpu", "torch"),
        (("openvino", "onnxruntime", "torch"), "cuda", "torch"),
        (("openvino", "torch"), "cuda:1", "torch"),
    ],
)
def test_auto_takes_the_quickest_that_is_there(
    drawn: Weights, monkeypatch: pytest.MonkeyPatch, there: tuple[str, ...], device: str, expected: str
) -> None:
    installed(monkeypatch, *there)
    assert choose("auto", drawn, device) == expected


def test_weights_without_graphs_need_torch(plain: Weights, monkeypatch: pytest.MonkeyPatch) -> None:
    installed(monkeypatch, "openvino", "torch")
    assert choose("auto", plain, "cpu") == "torch"
    installed(monkeypatch, "openvino")
    with pytest.raises(WeightsError, match="brands: no backend is installed that can serve it on cpu"):
        choose("auto", plain, "cpu")


def test_one_that_is_asked_for_is_taken_or_missed(drawn: Weights, monkeypatch: pytest.MonkeyPatch) -> None:
    installed(monkeypatch, "onnxruntime")
    assert choose("onnxruntime", drawn, "cpu") == "onnxruntime"
    with pytest.raises(WeightsError, match=r"the backend torch needs torch \(pip install torch\)"):
        choose("torch", drawn, "cpu")


def test_int8_is_never_taken_unasked_and_gives_way_where_there_is_no_graph_for_it(
    drawn: Weights, monkeypatch: pytest.MonkeyPatch
) -> None:
    installed(monkeypatch, "openvino", "torch")
    assert choose("openvino-int8", drawn, "cpu") == "openvino"
    path(drawn, "graph", int8=True).write_text(drawn.manifest.sha256)
    assert choose("openvino-int8", drawn, "cpu") == "openvino-int8"
    assert choose("auto", drawn, "cpu") == choose("openvino", drawn, "cpu") == "openvino"
    installed(monkeypatch, "torch")
    with pytest.raises(WeightsError, match=r"the backend openvino-int8 needs openvino \(pip install openvino\)"):
        choose("openvino-int8", drawn, "cpu")


def test_without_torch_or_a_driver_auto_is_the_cpu(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(backends, "_driver", lambda: True)
    installed(monkeypatch, "openvino")
    assert resolve_device("auto") == "cpu"
    with pytest.raises(ValueError, match="'cuda' needs torch, which is not installed"):
        resolve_device("cuda")
    installed(monkeypatch, "torch")
    monkeypatch.setattr(backends, "_driver", lambda: False)
    monkeypatch.setattr(backends, "import_module", lambda name: pytest.fail(f"{name} was imported"))
    assert resolve_device("auto") == "cpu"
    assert resolve_device("cpu") == "cpu"


def test_workers_share_every_gpu_but_where_one_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    def resolved(requested: str) -> str:
        return "cuda" if requested == "auto" else requested

    torch = SimpleNamespace(count=lambda: 3, resolve_device=resolved)
    monkeypatch.setattr(backends, "_driver", lambda: True)
    monkeypatch.setattr(backends, "import_module", lambda name: torch)
    installed(monkeypatch, "torch")
    assert backends.devices("auto") == backends.devices("cuda") == ["cuda:0", "cuda:1", "cuda:2"]
    assert backends.devices("cuda:1") == ["cuda:1"]
    assert backends.devices("cpu") == ["cpu"]
    monkeypatch.setattr(backends, "_driver", lambda: False)
    assert backends.devices("auto") == ["cpu"]
