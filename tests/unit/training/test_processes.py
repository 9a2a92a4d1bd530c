"""Two processes over gloo end with the weights of one, and only the first one writes."""

import json
import os
import socket
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from tests.unit.training.tiny import Smooth, varied
from training import checkpoints, processes
from training.loop import Run
from training.processes import ALONE, Processes

ROOT = Path(__file__).parents[3]


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a run of two processes, each of which also left its own weights as `rankN.pt`."""
    folder = tmp_path_factory.mktemp("shared")
    # What torchrun sets for each process.
    common = {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(free_port()), "WORLD_SIZE": "2"}
    command = [sys.executable, "-m", "tests.unit.training.tiny", str(folder), "share"]
    started = [
        subprocess.Popen(
            command,
            cwd=ROOT,
            env={**os.environ, **common, "RANK": str(rank), "LOCAL_RANK": str(rank)},
            stderr=subprocess.PIPE,
            text=True,
        )
        for rank in range(2)
    ]
    told = [process.communicate(timeout=500)[1] for process in started]
    assert [process.returncode for process in started] == [0, 0], "\n".join(told)
    return folder


def test_weights_are_equal_across_processes(shared: Path) -> None:
    one, other = (torch.load(shared / f"rank{rank}.pt", weights_only=True) for rank in range(2))
    assert all(torch.equal(value, other[name]) for name, value in one.items())


def test_two_processes_end_where_one_does(shared: Path, tmp_path: Path) -> None:
    Run(Smooth(varied()), tmp_path).train(every=1)
    alone = checkpoints.require(tmp_path / "final.pt")["network"]
    found = checkpoints.require(shared / "final.pt")["network"]
    for name, value in alone.items():
        torch.testing.assert_close(found[name], value, rtol=1e-3, atol=1e-4)
    start = Smooth().network().state_dict()
    assert not torch.allclose(alone["0.weight"], start["0.weight"], atol=0.05)


def test_the_losses_told_are_those_of_the_whole_batch(shared: Path, tmp_path: Path) -> None:
    Run(Smooth(varied()), tmp_path).train(every=1)
    told = [
        [row["label"] for row in map(json.loads, (folder / "metrics.jsonl").read_text().splitlines()) if "label" in row]
        for folder in (shared, tmp_path)
    ]
    assert len(told[0]) == 15  # a row a step: the second process has added none
    assert told[0] == pytest.approx(told[1], abs=2e-3)
    assert json.loads((shared / "config.json").read_text())["processes"] == 2
    assert checkpoints.require(shared / "final.pt")["machine"].startswith("2 processes, each ")


def test_torchruns_environment_is_read(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("RANK", "LOCAL_RANK", "WORLD_SIZE"):
        monkeypatch.delenv(name, raising=False)
    assert processes.found() == ALONE
    monkeypatch.setenv("RANK", "5")
    monkeypatch.setenv("LOCAL_RANK", "1")
    monkeypatch.setenv("WORLD_SIZE", "8")
    assert processes.found() == Processes(5, 1, 8)
    assert not processes.found().first


def test_alone_nothing_is_exchanged() -> None:
    with processes.joined(ALONE, torch.device("cpu")):
        assert not torch.distributed.is_initialized()
        assert ALONE.mean(torch.tensor([1.0, 2.0])).tolist() == [1, 2]
        parameter = torch.nn.Parameter(torch.zeros(2))
        ALONE.mean_gradients([parameter])
        assert parameter.grad is None
        calls: list[int] = []
        ALONE.first_then_others(lambda: calls.append(1))
        assert calls == [1]
