"""Where a run's numbers are shown as well: TensorBoard, Weights & Biases, MLflow. All behind `log` and `close`."""

import json
import os
import re
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from types import ModuleType
from typing import Any, Protocol


class Tracker(Protocol):
    """One place that numbers are sent to."""

    def log(self, step: int, values: Mapping[str, float]) -> None:
        """Numbers by name, `group/name`, as they stand after `step`."""

    def close(self) -> None:
        """Sends what is left; nothing is logged any more."""


@dataclass(frozen=True, slots=True)
class Identity:
    """What a tracker is told of a run. `step` is where it goes on from, 0 for a new one."""

    name: str
    folder: Path
    config: Mapping[str, Any]
    step: int = 0


class TensorBoard:
    """Event files in the run's `tensorboard` folder."""

    def __init__(self, run: Identity) -> None:
        writer = _module("torch.utils.tensorboard", "tensorboard")
        # What a killed run wrote after the step it goes on from is taken out of the picture.
        purge = run.step + 1 if run.step else None
        self.writer = writer.SummaryWriter(str(run.folder / "tensorboard"), purge_step=purge)

    def log(self, step: int, values: Mapping[str, float]) -> None:
        for name, value in values.items():
            self.writer.add_scalar(name, value, step)

    def close(self) -> None:
        self.writer.close()


class Wandb:
    """A run of the project `carlens`, or of WANDB_PROJECT; WANDB_MODE=offline keeps it in the run's folder."""

    def __init__(self, run: Identity) -> None:
        wandb = _module("wandb")
        ids = _Ids(run.folder)
        # The run's own id, so that it is the same run when it is taken up; offline, `wandb sync` joins its parts.
        identity = ids.known("wandb") or ids.keep("wandb", uuid.uuid4().hex[:12])
        settings = {"id": identity, "resume": "allow", "dir": str(run.folder), "config": dict(run.config)}
        self.run = wandb.init(project=_environment("WANDB_PROJECT", "carlens"), name=run.name, **settings)

    def log(self, step: int, values: Mapping[str, float]) -> None:
        self.run.log(dict(values), step=step)

    def close(self) -> None:
        self.run.finish()


class Mlflow:
    """A run of the experiment `carlens`, or of MLFLOW_EXPERIMENT_NAME; MLFLOW_TRACKING_URI says where it is kept:
    a server, or a database such as `sqlite:///mlflow.db`, which it is where nothing is said."""

    def __init__(self, run: Identity) -> None:
        self.mlflow = _module("mlflow")
        ids = _Ids(run.folder)
        known = ids.known("mlflow")
        if known:
            self.mlflow.start_run(run_id=known)
            return
        self.mlflow.set_experiment(_environment("MLFLOW_EXPERIMENT_NAME", "carlens"))
        ids.keep("mlflow", self.mlflow.start_run(run_name=run.name).info.run_id)
        parameters = {_legal(name): value for name, value in _flat(run.config).items()}
        self.mlflow.log_params(parameters)

    def log(self, step: int, values: Mapping[str, float]) -> None:
        self.mlflow.log_metrics({_legal(name): float(value) for name, value in values.items()}, step=step)

    def close(self) -> None:
        self.mlflow.end_run()


TRACKERS: dict[str, type[TensorBoard] | type[Wandb] | type[Mlflow]] = {
    "tensorboard": TensorBoard,
    "wandb": Wandb,
    "mlflow": Mlflow,
}


def names(asked: Sequence[str] | None) -> list[str]:
    """The trackers asked for: TensorBoard where nothing is said, none for `none`.

    Raises `ValueError` for an unknown one, and for one whose library is not installed.
    """
    chosen = list(dict.fromkeys(asked or ["tensorboard"]))
    if chosen == ["none"]:
        return []
    for name in chosen:
        if name not in TRACKERS:
            raise ValueError(f"unknown tracker {name!r}: one of {', '.join(TRACKERS)}, or none alone")
        _module(name)
    return chosen


def start(chosen: Sequence[str], run: Identity) -> list[Tracker]:
    """The trackers, which go on with what they have of this run's folder. Raises `ValueError` where one cannot."""
    return [_started(name, run) for name in chosen]


def _started(name: str, run: Identity) -> Tracker:
    try:
        return TRACKERS[name](run)
    except Exception as error:  # each library has its own: no key, no server, a store that it does not take
        raise ValueError(f"tracker {name!r} cannot start: {error}") from error


class _Ids:
    """Under which ids a folder's run is known elsewhere: `trackers.json`."""

    def __init__(self, folder: Path) -> None:
        self.path = folder / "trackers.json"

    def known(self, tracker: str) -> str | None:
        return self._read().get(tracker)

    def keep(self, tracker: str, identity: str) -> str:
        self.path.write_text(json.dumps({**self._read(), tracker: identity}, indent=1) + "\n")
        return identity

    def _read(self) -> dict[str, str]:
        found: dict[str, str] = json.loads(self.path.read_text()) if self.path.exists() else {}
        return found


def _module(name: str, package: str | None = None) -> ModuleType:
    try:
        return import_module(name)
    except ImportError as error:
        package = package or name
        raise ValueError(f"tracker {package!r} is not installed: pip install {package}") from error


def _environment(name: str, default: str) -> str:
    return os.environ.get(name) or default


def _flat(values: Mapping[str, Any], prefix: str = "") -> dict[str, str]:
    """Nested tables as `table.key`; values as text of at most 500 characters, which every store takes."""
    found: dict[str, str] = {}
    for key, value in values.items():
        if isinstance(value, Mapping):
            found.update(_flat(value, f"{prefix}{key}."))
        else:
            found[f"{prefix}{key}"] = str(value)[:500]
    return found


def _legal(name: str) -> str:
    """MLflow's names have letters, digits, `_`, `-`, `.`, `/` and spaces."""
    return re.sub(r"[^\w\-./ ]", "_", name)
