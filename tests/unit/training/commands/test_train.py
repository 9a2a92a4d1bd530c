"""`carlens train` on the tiny task: what it says when it is stopped, runs out of memory or is asked amiss."""

import json
import signal
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
import typer
from torch import Tensor, nn

from tests.unit.training.tiny import Tiny
from training import graphs, tasks, weights
from training.commands import train as command
from training.commands.train import train
from training.recipe import FOLDER, Recipe


@pytest.fixture
def made(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """What a train of the tiny task is called with; `task` may be replaced, and export does nothing."""
    chosen: dict[str, Any] = {"task": Tiny}

    def create(recipe: Recipe, data: Path, work: Path) -> Tiny:
        made: Tiny = chosen["task"](recipe)
        return made

    def export(*_: Any) -> SimpleNamespace:
        return SimpleNamespace(name="damage", figures={"ap": 0.5})

    monkeypatch.setattr(tasks, "create", create)
    monkeypatch.setattr(weights, "export", export)
    monkeypatch.setattr(graphs, "write", lambda of: chosen.setdefault("graphs", of.path))
    monkeypatch.setattr(command, "served", lambda recipe: recipe)
    text = (FOLDER / "damage.toml").read_text()
    for old, new in {"sizes = [[0.0, 320]]": "sizes = [[0.0, 8]]", "batch = 8": "batch = 4"}.items():
        assert old in text
        text = text.replace(old, new)
    (tmp_path / "own.toml").write_text(text)
    return chosen


def call(tmp_path: Path, **options: Any) -> None:
    settings = {"device": "cpu", "precision": "fp32", "track": ["none"], **options}
    train(str(tmp_path / "own.toml"), data=tmp_path, out=tmp_path / "run", **settings)


@pytest.mark.filterwarnings("ignore::DeprecationWarning")  # of tensorboard's own
def test_a_run_is_tracked_by_tensorboard_unless_told_otherwise(tmp_path: Path, made: dict[str, Any]) -> None:
    call(tmp_path, track=None)
    assert list((tmp_path / "run" / "tensorboard").iterdir())
    assert json.loads((tmp_path / "run" / "config.json").read_text())["precision"] == "fp32"


def test_graphs_are_made_of_what_was_trained(
    tmp_path: Path, made: dict[str, Any], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    call(tmp_path)
    assert made["graphs"] == tmp_path / "run" / "weights" / "damage.safetensors"

    def refuse(_: Any) -> None:
        raise graphs.GraphError("no operator for it")

    monkeypatch.setattr(graphs, "write", refuse)
    call(tmp_path)
    assert "no graphs, so torch alone can serve it: no operator for it" in capsys.readouterr().err


def test_the_precision_asked_for_is_used(tmp_path: Path, made: dict[str, Any]) -> None:
    call(tmp_path, precision="bf16")
    assert json.loads((tmp_path / "run" / "config.json").read_text())["precision"] == "bf16"
    assert not (tmp_path / "run" / "tensorboard").exists()


def test_stopped_it_says_how_to_go_on_and_does_so(
    tmp_path: Path, made: dict[str, Any], capsys: pytest.CaptureFixture[str]
) -> None:
    class Stopped(Tiny):
        def losses(self, network: nn.Module, batch: dict[str, Any]) -> dict[str, Tensor]:
            if self.steps == 3:
                signal.raise_signal(signal.SIGINT)
            return super().losses(network, batch)

    made["task"] = Stopped
    with pytest.raises(typer.Exit) as caught:
        call(tmp_path)
    assert caught.value.exit_code == 130
    told = capsys.readouterr().err
    assert "stopped after step 4 of 12, which is saved; the same command goes on from there" in told
    made["task"] = Tiny
    call(tmp_path)
    assert "written:" in capsys.readouterr().out


def test_another_recipe_in_the_folder_is_told(
    tmp_path: Path, made: dict[str, Any], capsys: pytest.CaptureFixture[str]
) -> None:
    call(tmp_path)
    with pytest.raises(typer.Exit) as caught:
        call(tmp_path, set_=["rate=1e-3"])
    assert caught.value.exit_code == 2
    assert "another recipe: rate was 0.0004, is 0.001: use another --out" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        (torch.OutOfMemoryError("no"), "cpu is out of memory: lower `batch`, or raise `accumulate`"),
        (FileNotFoundError("photo 7 is gone"), "photo 7 is gone"),
    ],
)
def test_what_breaks_on_the_way_is_one_line(
    tmp_path: Path, made: dict[str, Any], capsys: pytest.CaptureFixture[str], error: Exception, expected: str
) -> None:
    class Breaks(Tiny):
        def losses(self, network: nn.Module, batch: dict[str, Any]) -> dict[str, Tensor]:
            raise error

    made["task"] = Breaks
    with pytest.raises(typer.Exit) as caught:
        call(tmp_path)
    assert caught.value.exit_code == 2
    assert expected in capsys.readouterr().err


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ({"track": ["comet"]}, "unknown tracker 'comet'"),
        ({"device": "tpu"}, "unknown device 'tpu'"),
        ({"precision": "int4"}, "unknown precision 'int4'"),
        ({"set_": ["accumulate=3"]}, "a batch of 4 has no 3 equal parts"),
        ({"set_": ["keep_best=ap"]}, "keep_best: set evaluate_every"),
        ({"set_": ["stages=[{layers = ['neck']}]"]}, "no layer 'neck' with anything to train; there are 0, 1, 4"),
    ],
)
def test_what_is_asked_amiss_is_one_line(
    tmp_path: Path, made: dict[str, Any], capsys: pytest.CaptureFixture[str], options: dict[str, Any], expected: str
) -> None:
    with pytest.raises(typer.Exit) as caught:
        call(tmp_path, **options)
    assert caught.value.exit_code == 2
    told = capsys.readouterr().err
    assert told.startswith("carlens train: ")
    assert expected in told
