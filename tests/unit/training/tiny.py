"""A task of a few numbers, and a run of it that kills itself: `python -m tests.unit.training.tiny FOLDER WHERE`."""

import os
import signal
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any
from unittest import mock

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

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
        return {"training": float(network.training)}


class Killed(Tiny):
    """Dies in the middle of a step."""

    def losses(self, network: nn.Module, batch: dict[str, Any]) -> dict[str, Tensor]:
        if self.steps == KILLED_AT:
            os.kill(os.getpid(), signal.SIGKILL)
        return super().losses(network, batch)


def main(folder: Path, where: str) -> None:
    run = Run(Killed() if where == "step" else Tiny(), folder, save_every_s=-1)  # after every step
    flush, saves = os.fsync, iter(range(1, 1000))

    def killed(file: int) -> None:
        """Dies in the middle of a save: the bytes are written, the name is not yet changed."""
        if where == "save" and next(saves) == KILLED_AT:
            os.kill(os.getpid(), signal.SIGKILL)
        flush(file)

    with mock.patch.object(os, "fsync", killed):
        run.train()


if __name__ == "__main__":
    torch.set_num_threads(1)
    main(Path(sys.argv[1]), sys.argv[2])
