"""The training loop: deterministic order, a schedule that is a function of the step, checkpoints that resume."""

import json
import time
from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from training import checkpoints, schedules
from training.recipe import Recipe

Batch = dict[str, Any]


class Task(ABC):
    """What one kind of network needs to be trained: its samples, its loss, its figures."""

    recipe: Recipe

    @abstractmethod
    def network(self) -> nn.Module:
        """The network with its starting weights."""

    @abstractmethod
    def groups(self, network: nn.Module) -> list[dict[str, Any]]:
        """Parameter groups, each `{"params": …, "scale": factor on the rate}`; what is left out stays frozen."""

    @abstractmethod
    def order(self, epoch: int) -> np.ndarray:
        """Sample numbers of an epoch, shuffled by (seed, epoch) alone; always the same length."""

    @abstractmethod
    def sample(self, index: int, side: int, rng: np.random.Generator) -> Any:
        """One augmented sample; every random draw comes from `rng`."""

    @abstractmethod
    def collate(self, samples: Sequence[Any]) -> Batch:
        """Samples to tensors."""

    @abstractmethod
    def losses(self, network: nn.Module, batch: Batch) -> dict[str, Tensor]:
        """Losses by name; their sum is minimised."""

    @abstractmethod
    def figures(self, network: nn.Module) -> dict[str, float]:
        """Figures on `val`, quick enough to be asked during training."""

    def mode(self, network: nn.Module) -> None:
        """Sets training mode; frozen parts may stay in evaluation mode."""
        network.train()


class Run:
    """One run in one folder: `state.pt` to go on from, `metrics.jsonl` to read, `final.pt` when done."""

    def __init__(self, task: Task, folder: Path, save_every_s: float = 120.0) -> None:
        self.task, self.recipe, self.folder, self.save_every_s = task, task.recipe, folder, save_every_s
        folder.mkdir(parents=True, exist_ok=True)
        photos = len(task.order(0))
        self.batches = photos // self.recipe.batch
        if not self.batches:
            raise ValueError(f"an epoch has {photos} photos, fewer than a batch of {self.recipe.batch}: lower `batch`")
        self.steps = max(1, round(self.batches * self.recipe.epochs))
        torch.manual_seed(self.recipe.seed)
        self.network = task.network().to(memory_format=torch.channels_last)
        groups = task.groups(self.network)
        self.optimizer = torch.optim.AdamW(groups, lr=self.recipe.rate, weight_decay=self.recipe.weight_decay)
        self.average: dict[str, Tensor] = {}
        self.step, self.seconds = 0, 0.0
        self._resume()

    def _resume(self) -> None:
        state = checkpoints.load(self.folder / "state.pt")
        if state is None:
            return
        if state["steps"] != self.steps:
            raise ValueError(
                f"{self.folder} holds a run of {state['steps']} steps, this recipe has {self.steps}: use another --out"
            )
        self.network.load_state_dict(state["network"])
        self.optimizer.load_state_dict(state["optimizer"])
        self.average, self.step, self.seconds = state["average"], state["step"], state["seconds"]
        torch.set_rng_state(state["random"])

    def _save(self) -> None:
        checkpoints.save(
            self.folder / "state.pt",
            {
                "steps": self.steps,
                "step": self.step,
                "seconds": self.seconds,
                "network": self.network.state_dict(),
                "optimizer": self.optimizer.state_dict(),
                "average": self.average,
                "random": torch.get_rng_state(),
            },
        )

    def _batch(self, step: int) -> Batch:
        epoch, place = divmod(step, self.batches)
        size = self.recipe.batch
        side = self.recipe.side(step / self.steps)
        chosen = self.task.order(epoch)[place * size : (place + 1) * size]
        seeds = [(self.recipe.seed, epoch, int(index), n) for n, index in enumerate(chosen)]
        samples = [self.task.sample(seed[2], side, np.random.default_rng(seed)) for seed in seeds]
        return self.task.collate(samples)

    def _stream(self) -> Iterator[Batch]:
        """Batches from the current step on; two are made ahead in threads."""
        with ThreadPoolExecutor(2) as pool:
            ahead = [pool.submit(self._batch, step) for step in range(self.step, min(self.step + 2, self.steps))]
            for step in range(self.step, self.steps):
                batch = ahead.pop(0).result()
                if step + 2 < self.steps:
                    ahead.append(pool.submit(self._batch, step + 2))
                yield batch

    def _learn(self, batch: Batch) -> dict[str, float]:
        progress = self.step / self.steps
        for group in self.optimizer.param_groups:
            group["lr"] = self.recipe.rate * group["scale"] * schedules.one_cycle(progress)
        losses = self.task.losses(self.network, batch)
        total = torch.stack(list(losses.values())).sum()
        if not torch.isfinite(total):
            raise FloatingPointError(f"loss is not finite at step {self.step}: lower `rate`, or look at the data")
        self.optimizer.zero_grad(set_to_none=True)
        total.backward()
        nn.utils.clip_grad_norm_([p for g in self.optimizer.param_groups for p in g["params"]], self.recipe.clip)
        self.optimizer.step()
        self._blend()
        return {name: float(value.detach()) for name, value in losses.items()}

    @torch.no_grad()
    def _blend(self) -> None:
        """Moving average of the weights; its decay grows with the step so that the start is forgotten."""
        if not self.recipe.average:
            return
        decay = min(self.recipe.average, (1 + self.step) / (10 + self.step))
        for name, value in self.network.state_dict().items():
            if not value.is_floating_point() or name not in self.average:
                self.average[name] = value.detach().clone()
            else:
                self.average[name].lerp_(value, 1 - decay)

    def _log(self, row: dict[str, Any]) -> None:
        row = {"step": self.step, "of": self.steps, "epoch": round(self.step / self.batches, 3), **row}
        with (self.folder / "metrics.jsonl").open("a") as file:
            file.write(json.dumps(row) + "\n")

    def train(self, report: Any = None, every: int = 20) -> nn.Module:
        """Runs to the end and returns the network to keep (the averaged one where the recipe asks for it)."""
        self.task.mode(self.network)
        began, saved, sums, count = time.monotonic(), time.monotonic(), dict[str, float](), 0
        for batch in self._stream():
            for name, value in self._learn(batch).items():
                sums[name] = sums.get(name, 0.0) + value
            count, self.step = count + 1, self.step + 1
            now = time.monotonic()
            if count == every or self.step == self.steps:
                self.seconds, began = self.seconds + now - began, now
                row = {name: round(value / count, 4) for name, value in sums.items()}
                self._log({**row, "seconds": round(self.seconds, 1)})
                if report:
                    report(self.step, self.steps, row)
                sums, count = {}, 0
            if now - saved > self.save_every_s:
                self._save()
                saved = now
        self._save()
        if self.average:
            self.network.load_state_dict(self.average)
        self.network.eval()
        checkpoints.save(
            self.folder / "final.pt",
            {"network": self.network.state_dict(), "seconds": self.seconds, "steps": self.steps},
        )
        self._log({"val": self.task.figures(self.network), "seconds": round(self.seconds, 1)})
        return self.network
