"""Trackers: what each library is told, by its documented calls, and that a resumed run is the same one there."""

import sys
from collections.abc import Mapping
from importlib import import_module
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest

from training import trackers
from training.trackers import Identity


def identity(folder: Path, step: int = 0) -> Identity:
    return Identity("mine", folder, {"rate": 0.1, "task": {"labels": ["a"], "zoom": 0.3}}, step)


class FakeWandb(ModuleType):
    """`wandb` as far as it is used: init(project, name, id, resume, dir, config), then log(values, step), finish()."""

    def __init__(self) -> None:
        super().__init__("wandb")
        self.runs: list[dict[str, Any]] = []
        self.logged: list[tuple[dict[str, float], int]] = []
        self.finished = 0

    def init(
        self, *, project: str, name: str, id: str, resume: str, dir: str, config: dict[str, Any]
    ) -> SimpleNamespace:
        self.runs.append({"project": project, "name": name, "id": id, "resume": resume, "dir": dir, "config": config})
        return SimpleNamespace(log=self.log, finish=self.finish)

    def log(self, data: dict[str, Any], step: int | None = None) -> None:
        assert step is not None
        self.logged.append((data, step))

    def finish(self) -> None:
        self.finished += 1


class FakeMlflow(ModuleType):
    """`mlflow`'s fluent calls."""

    def __init__(self) -> None:
        super().__init__("mlflow")
        self.calls: list[tuple[Any, ...]] = []

    def set_experiment(self, experiment_name: str) -> None:
        self.calls.append(("experiment", experiment_name))

    def start_run(self, run_id: str | None = None, run_name: str | None = None) -> SimpleNamespace:
        self.calls.append(("start", run_id, run_name))
        return SimpleNamespace(info=SimpleNamespace(run_id=run_id or "abc123"))

    def log_params(self, params: Mapping[str, Any]) -> None:
        self.calls.append(("params", dict(params)))

    def log_metrics(self, metrics: Mapping[str, float], step: int | None = None) -> None:
        self.calls.append(("metrics", dict(metrics), step))

    def end_run(self) -> None:
        self.calls.append(("end",))


@pytest.fixture
def wandb(monkeypatch: pytest.MonkeyPatch) -> FakeWandb:
    fake = FakeWandb()
    monkeypatch.setitem(sys.modules, "wandb", fake)
    monkeypatch.delenv("WANDB_PROJECT", raising=False)
    return fake


@pytest.fixture
def mlflow(monkeypatch: pytest.MonkeyPatch) -> FakeMlflow:
    fake = FakeMlflow()
    monkeypatch.setitem(sys.modules, "mlflow", fake)
    monkeypatch.delenv("MLFLOW_EXPERIMENT_NAME", raising=False)
    return fake


def test_wandb_hears_the_numbers_and_keeps_its_run(tmp_path: Path, wandb: FakeWandb) -> None:
    for step in (0, 20):
        [tracker] = trackers.start(["wandb"], identity(tmp_path, step))
        tracker.log(step + 20, {"loss/label": 0.5})
        tracker.close()
    first, second = wandb.runs
    assert first == second
    assert (first["project"], first["name"], first["resume"]) == ("carlens", "mine", "allow")
    assert first["id"]
    assert first["dir"] == str(tmp_path)
    assert first["config"]["task"]["zoom"] == 0.3
    assert wandb.logged == [({"loss/label": 0.5}, 20), ({"loss/label": 0.5}, 40)]
    assert wandb.finished == 2
    (tmp_path / "other").mkdir()
    trackers.start(["wandb"], identity(tmp_path / "other"))
    assert wandb.runs[-1]["id"] != first["id"]


def test_wandbs_project_comes_from_its_own_variable(
    tmp_path: Path, wandb: FakeWandb, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("WANDB_PROJECT", "fleet")
    trackers.start(["wandb"], identity(tmp_path))
    assert wandb.runs[0]["project"] == "fleet"


def test_mlflow_hears_the_numbers_and_keeps_its_run(tmp_path: Path, mlflow: FakeMlflow) -> None:
    [tracker] = trackers.start(["mlflow"], identity(tmp_path))
    tracker.log(20, {"loss/label": 0.5, "val/ap@50 (box)": 1})
    tracker.close()
    assert mlflow.calls == [
        ("experiment", "carlens"),
        ("start", None, "mine"),
        ("params", {"rate": "0.1", "task.labels": "['a']", "task.zoom": "0.3"}),
        ("metrics", {"loss/label": 0.5, "val/ap_50 _box_": 1.0}, 20),
        ("end",),
    ]
    mlflow.calls.clear()
    trackers.start(["mlflow"], identity(tmp_path, 20))
    assert mlflow.calls == [("start", "abc123", None)]


def test_both_keep_their_ids_beside_each_other(tmp_path: Path, wandb: FakeWandb, mlflow: FakeMlflow) -> None:
    for _ in range(2):
        assert len(trackers.start(["wandb", "mlflow"], identity(tmp_path))) == 2
    assert wandb.runs[0]["id"] == wandb.runs[1]["id"]
    assert mlflow.calls[-1] == ("start", "abc123", None)


@pytest.mark.parametrize("name", ["wandb", "mlflow"])
def test_one_that_cannot_start_is_a_sentence(
    name: str, tmp_path: Path, wandb: FakeWandb, mlflow: FakeMlflow, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fails(*_: object, **__: object) -> None:
        raise RuntimeError("No API key configured.")

    monkeypatch.setattr(wandb, "init", fails)
    monkeypatch.setattr(mlflow, "set_experiment", fails)
    with pytest.raises(ValueError, match=f"tracker '{name}' cannot start: No API key configured."):
        trackers.start([name], identity(tmp_path))


def read_scalars(folder: Path) -> list[tuple[int, float]]:
    reader = import_module("tensorboard.backend.event_processing.event_accumulator")
    events = reader.EventAccumulator(str(folder / "tensorboard"))
    events.Reload()
    return [(event.step, round(event.value, 3)) for event in events.Scalars("loss/label")]


@pytest.mark.filterwarnings("ignore::DeprecationWarning")  # of tensorboard's own
def test_tensorboard_shows_what_counts_of_a_run_taken_up(tmp_path: Path) -> None:
    [tracker] = trackers.start(["tensorboard"], identity(tmp_path))
    for step in (20, 40, 60):
        tracker.log(step, {"loss/label": step / 100})
    tracker.close()
    assert read_scalars(tmp_path) == [(20, 0.2), (40, 0.4), (60, 0.6)]
    [tracker] = trackers.start(["tensorboard"], identity(tmp_path, step=40))
    tracker.log(60, {"loss/label": 0.7})
    tracker.close()
    assert read_scalars(tmp_path) == [(20, 0.2), (40, 0.4), (60, 0.7)]


def test_names_are_those_asked_for_once_each(wandb: FakeWandb, mlflow: FakeMlflow) -> None:
    assert trackers.names(None) == ["tensorboard"]
    assert trackers.names([]) == ["tensorboard"]
    assert trackers.names(["none"]) == []
    assert trackers.names(["wandb", "mlflow", "wandb"]) == ["wandb", "mlflow"]


@pytest.mark.parametrize("name", ["wandb", "mlflow", "tensorboard"])
def test_one_that_is_not_installed_says_how_to_get_it(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, name, None)
    with pytest.raises(ValueError, match=f"tracker '{name}' is not installed: pip install {name}"):
        trackers.names([name])


@pytest.mark.parametrize("asked", [["comet"], ["none", "wandb"], ["wandb", "none"]])
def test_an_unknown_tracker_is_told(asked: list[str], wandb: FakeWandb) -> None:
    with pytest.raises(ValueError, match=r"unknown tracker '(comet|none)': one of tensorboard, wandb, mlflow, or none"):
        trackers.names(asked)
