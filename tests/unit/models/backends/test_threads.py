"""A backend takes no more of the CPU's threads than it is given, and all where it is given none."""

from pathlib import Path
from typing import Any

import onnxruntime
import openvino
import pytest
import torch

from models.backends import create
from models.manifest import find
from models.predictors.heads import Heads
from tests import weights
from training import graphs


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("weights")
    of = weights.manifest("paint")
    weights.write(path, of, weights.random_state(of))
    graphs.write(find("paint", path))
    return path


def kept(monkeypatch: pytest.MonkeyPatch, owner: Any, name: str) -> list[Any]:
    """What that callable returns from now on."""
    made: list[Any] = []
    original = getattr(owner, name)

    def keep(*given: Any, **named: Any) -> Any:
        made.append(original(*given, **named))
        return made[-1]

    monkeypatch.setattr(owner, name, keep)
    return made


def test_openvino(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    made = kept(monkeypatch, openvino.Core, "compile_model")
    create("openvino", threads=1).load(find("paint", folder), "cpu")
    create("openvino").load(find("paint", folder), "cpu")
    one, free = made
    assert one.get_property("INFERENCE_NUM_THREADS") == 1
    assert one.get_property("ENABLE_CPU_PINNING") is False  # else every process would take the same core
    assert free.get_property("INFERENCE_NUM_THREADS") >= 1


@pytest.mark.parametrize(("threads", "expected"), [(3, 3), (None, 0)])
def test_onnxruntime(folder: Path, monkeypatch: pytest.MonkeyPatch, threads: int | None, expected: int) -> None:
    made = kept(monkeypatch, onnxruntime, "InferenceSession")
    create("onnxruntime", threads=threads).load(find("paint", folder), "cpu")
    assert [session.get_session_options().intra_op_num_threads for session in made] == [expected]


def test_torch(folder: Path) -> None:
    before = torch.get_num_threads()
    try:
        create("torch").load(find("paint", folder), "cpu")
        assert torch.get_num_threads() == before
        create("torch", threads=before + 1).load(find("paint", folder), "cpu")
        assert torch.get_num_threads() == before + 1
    finally:
        torch.set_num_threads(before)


def test_a_predictor_hands_its_share_to_its_backend(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    made = kept(monkeypatch, onnxruntime, "InferenceSession")
    Heads(weights_dir=folder, name="paint", backend="onnxruntime", threads=3).load("cpu")
    assert made[0].get_session_options().intra_op_num_threads == 3
