"""A task of a few numbers, and runs of it in a process of their own: `python -m tests.unit.training.tiny FOLDER WHAT`.

WHAT is `step` or `save`, where a run kills itself, followed by the name of one of the `VARIATIONS`; `share`, for one
process of several that train together; or `slow`, for a run that waits to be interrupted."""

import os
import signal
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any
from unittest import mock

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from training import processes
from training.devices import CPU, Place
from training.interrupts import Interrupted
from training.loop import Run, Task
from training.recipe import Recipe

PHOTOS, BATCH, EPOCHS = 22, 4, 3
KILLED_AT = 8  # a step in the second of three epochs
# No sample is seen twice alike, the network keeps statistics, dropout draws numbers, and an average is kept: whatever
# a resumed run could forget would show.
RECIPE = Recipe(
    name="tiny",
    kind="classifier",
    summary="Tiny",
    architecture="none",
    start="none",
    sizes=[[0.0, 6], [0.5, 8]],
    epochs=EPOCHS,
    batch=BATCH,
    rate=0.05,
    trunk_rate=0.5,
    average=0.9,
    seed=3,
)
FP16 = Place(CPU.device, "fp16")
# What a run can be asked for beside, each with the device and precision it is done in.
VARIATIONS: dict[str, tuple[dict[str, Any], Place]] = {
    "plain": ({}, CPU),
    "all": (
        {
            "schedule": {"name": "triangular2", "cycles": 3},
            "accumulate": 2,
            "stages": [{"layers": ["0"], "from": 0.4, "scale": 0.3}],
            "evaluate_every": 0.4,
            "keep_best": "middle",
        },
        FP16,
    ),
}


def varied(name: str = "plain", **changes: Any) -> Recipe:
    """The recipe with a variation's keys, and with `changes`."""
    return Recipe.model_validate({**RECIPE.model_dump(by_alias=True), **VARIATIONS[name][0], **changes})


class Tiny(Task):
    """Tells whether the mean of a row of noise is positive. `seen` records every sample that was asked for."""

    def __init__(self, recipe: Recipe = RECIPE) -> None:
        self.recipe = recipe
        self.seen: list[tuple[int, int]] = []
        self.steps = 0

    def network(self) -> nn.Module:
        return nn.Sequential(nn.Linear(4, 8), nn.BatchNorm1d(8), nn.ReLU(), nn.Dropout(0.3), nn.Linear(8, 2))

    def groups(self, network: nn.Module) -> list[dict[str, Any]]:
        first, last = list(network.children())[:2], list(network.children())[-1]
        trunk = [parameter for module in first for parameter in module.parameters()]
        return [{"params": trunk, "scale": self.recipe.trunk_rate}, {"params": list(last.parameters()), "scale": 1.0}]

    def order(self, epoch: int) -> Any:
        return np.random.default_rng((self.recipe.seed, epoch)).permutation(PHOTOS)

    def sample(self, index: int, side: int, rng: np.random.Generator) -> Any:
        self.seen.append((index, side))
        row = np.random.default_rng(index).normal(size=(side, 4)).mean(axis=0) + rng.normal(scale=0.1, size=4)
        return row.astype(np.float32), int(row.mean() > 0)

    def collate(self, samples: Sequence[Any]) -> dict[str, Any]:
        rows = torch.from_numpy(np.stack([row for row, _ in samples]))
        return {"rows": rows, "labels": torch.tensor([label for _, label in samples])}

    def losses(self, network: nn.Module, batch: dict[str, Any]) -> dict[str, Tensor]:
        self.steps += 1
        return {"label": functional.cross_entropy(network(batch["rows"]), batch["labels"])}

    def figures(self, network: nn.Module) -> dict[str, float]:
        """`middle` is highest after nine steps of two parts each."""
        counted = float(network.state_dict().get("1.num_batches_tracked", torch.tensor(0)))
        return {"training": float(network.training), "middle": -abs(counted - 18)}


class Smooth(Tiny):
    """Nothing in it depends on how a batch is parted: no statistics of the batch, no dropout."""

    def network(self) -> nn.Module:
        return nn.Sequential(nn.Linear(4, 8), nn.Tanh(), nn.Identity(), nn.Identity(), nn.Linear(8, 2))


class Killed(Tiny):
    """Dies in the middle of a step."""

    def losses(self, network: nn.Module, batch: dict[str, Any]) -> dict[str, Tensor]:
        if self.steps == KILLED_AT * self.recipe.accumulate:
            os.kill(os.getpid(), signal.SIGKILL)
        return super().losses(network, batch)


def killed(folder: Path, where: str, variation: str) -> None:
    recipe, place = varied(variation), VARIATIONS[variation][1]
    task = Killed(recipe) if where == "step" else Tiny(recipe)
    run = Run(task, folder, save_every_s=-1, place=place)  # after every step
    flush, saves = os.fsync, iter(range(1, 1000))

    def kills(file: int) -> None:
        """Dies in the middle of a save: the bytes are written, the name is not yet changed."""
        if where == "save" and next(saves) == KILLED_AT:
            os.kill(os.getpid(), signal.SIGKILL)
        flush(file)

    with mock.patch.object(os, "fsync", kills):
        run.train()


def share(folder: Path) -> None:
    among = processes.found()
    with processes.joined(among, CPU.device):
        run = Run(Smooth(varied(accumulate=2)), folder, processes=among)
        run.train(every=1)
        torch.save(run.learner.network.state_dict(), folder / f"rank{among.rank}.pt")


def say(line: str) -> None:
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


class Slow(Tiny):
    """Tells that it has begun, and then takes its time over every step."""

    def losses(self, network: nn.Module, batch: dict[str, Any]) -> dict[str, Tensor]:
        say("begun")
        time.sleep(0.2)
        return super().losses(network, batch)


def slow(folder: Path) -> None:
    try:
        Run(Slow(), folder).train(every=1)
    except Interrupted as stop:
        say(str(stop))
        sys.exit(128 + stop.number)


if __name__ == "__main__":
    torch.set_num_threads(1)
    where, what, *rest = sys.argv[1:]
    if what == "share":
        share(Path(where))
    elif what == "slow":
        slow(Path(where))
    else:
        killed(Path(where), what, rest[0])
