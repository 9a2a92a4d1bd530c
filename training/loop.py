"""The training loop: deterministic order, a schedule that is a function of the step, checkpoints that resume."""

import signal
import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from training import checkpoints, interrupts
from training.batches import Batches
from training.devices import CPU, Place
from training.learner import Learner
from training.processes import ALONE, Processes
from training.recipe import Recipe
from training.record import Record
from training.trackers import Tracker

Batch = dict[str, Any]
Report = Callable[[int, int, dict[str, float]], None]  # step, steps, the row of metrics.jsonl


class Task(ABC):
    """What one kind of network needs to be trained: its samples, its loss, its figures."""

    recipe: Recipe

    @abstractmethod
    def network(self) -> nn.Module:
        """The network with its starting weights."""

    @abstractmethod
    def groups(self, network: nn.Module) -> list[dict[str, Any]]:
        """Parameter groups, each `{"params": …, "scale": factor on the rate}`; what is left out stays frozen. A group
        may have `from`: the share of the run before which it stays so; a recipe's `stages` set it by layer."""

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
        """Figures on `val`, quick enough to be asked during training; the network may be on any device."""

    def prepare(self) -> None:  # noqa: B027 - most have nothing to do
        """What is done once before the first batch, on disk; several processes call it one after the other."""

    def mode(self, network: nn.Module) -> None:
        """Sets training mode; frozen parts may stay in evaluation mode."""
        network.train()


@dataclass
class Window:
    """What was learnt since the last report."""

    sums: dict[str, float] = field(default_factory=dict)
    steps: int = 0
    seconds: float = 0.0

    def add(self, losses: dict[str, float], seconds: float) -> None:
        for name, value in losses.items():
            self.sums[name] = self.sums.get(name, 0.0) + value
        self.steps, self.seconds = self.steps + 1, self.seconds + seconds

    def row(self, batch: int) -> dict[str, float]:
        """The losses' means, and how many photos a second went through."""
        means = {name: round(value / self.steps, 4) for name, value in self.sums.items()}
        return {**means, "photos_per_s": round(self.steps * batch / max(self.seconds, 1e-9), 2)}


class Run:
    """One run in one folder: `state.pt` to go on from, `config.json` and `metrics.jsonl` to read, `final.pt` when done.

    In several processes each one has a `Run` of the same folder; the first one writes.
    """

    def __init__(
        self,
        task: Task,
        folder: Path,
        save_every_s: float = 120.0,
        place: Place = CPU,
        processes: Processes = ALONE,
    ) -> None:
        """Takes up the run that is in `folder`. Raises `ValueError` where that is one of another recipe."""
        self.task, self.recipe, self.folder, self.save_every_s = task, task.recipe, folder, save_every_s
        self.place, self.processes, self.record = place, processes, Record(folder)
        self.trackers: list[Tracker] = []
        folder.mkdir(parents=True, exist_ok=True)
        self.batches = Batches(task, processes)
        self.steps = self.batches.steps
        self.learner = Learner(task, place, processes)
        self.network, self.optimizer = self.learner.network, self.learner.optimizer
        self.average: dict[str, Tensor] = {}
        self.step, self.seconds = 0, 0.0
        self.best: dict[str, float] | None = None
        self._resume()

    def _resume(self) -> None:
        state = checkpoints.load(self.folder / "state.pt")
        if state is None:
            return
        self.record.refuse_another(self.recipe)
        if state["steps"] != self.steps:
            raise ValueError(
                f"{self.folder} holds a run of {state['steps']} steps, this one has {self.steps}: use another --out"
            )
        self.learner.restore(state)
        self.average = {name: value.to(self.place.device) for name, value in state["average"].items()}
        self.step, self.seconds, self.best = state["step"], state["seconds"], state.get("best")

    def _save(self) -> None:
        if not self.processes.first:
            return
        checkpoints.save(
            self.folder / "state.pt",
            {
                **self.learner.state(),
                "steps": self.steps,
                "step": self.step,
                "seconds": self.seconds,
                "average": self.average,
                "best": self.best,
            },
        )

    def _learn(self, parts: Sequence[Batch]) -> dict[str, Tensor]:
        progress = self.step / self.steps
        seeds = [self.batches.seed(self.step, n) for n in range(len(parts))]
        try:
            losses = self.learner.learn(parts, seeds, self._rate(progress), progress)
        except FloatingPointError as error:
            raise FloatingPointError(f"step {self.step}: {error}") from error
        self._blend()
        return losses

    def _rate(self, progress: float) -> float:
        return self.recipe.rate * self.recipe.schedule.factor(progress)

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

    def _agree(self, losses: dict[str, Tensor], wish: int) -> tuple[dict[str, float], bool]:
        """The losses over all processes, and whether any of them is to stop: all have to, after the same step."""
        values = torch.stack([*losses.values(), torch.full_like(next(iter(losses.values())), float(wish > 0))])
        *means, stop = self.processes.mean(values).tolist()
        return dict(zip(losses, means, strict=True)), stop > 0

    def _log(self, row: dict[str, Any], values: dict[str, float]) -> None:
        """A line of metrics.jsonl, and the same as `values` for the trackers."""
        if not self.processes.first:
            return
        epoch = round(self.step / self.batches.per_epoch, 3)
        self.record.add({"step": self.step, "of": self.steps, "epoch": epoch, **row})
        for tracker in self.trackers:
            tracker.log(self.step, values)

    def _report(self, window: Window, report: Report | None) -> None:
        rate = {"lr": float(f"{self._rate((self.step - 1) / self.steps):.6g}")}
        row = {**window.row(self.recipe.batch), **rate}
        names = {name: f"loss/{name}" if name in window.sums else name for name in row}
        self._log({**row, "seconds": round(self.seconds, 1)}, {names[name]: value for name, value in row.items()})
        if report:
            report(self.step, self.steps, row)

    def _due(self) -> bool:
        """Whether the step just done ended a stretch of `evaluate_every` epochs, other than the last."""
        stretch = self.recipe.evaluate_every * self.batches.per_epoch
        return stretch > 0 and self.step < self.steps and self.step // stretch > (self.step - 1) // stretch

    def _evaluate(self) -> None:
        """Figures of the weights that would be kept now; the training goes on from its own."""
        if self.processes.first:
            own = {name: value.clone() for name, value in self.network.state_dict().items()}
            self.network.load_state_dict(self.average or own)
            self.network.eval()
            figures = self.task.figures(self.network)
            self._compare(figures)
            self._log({"val": figures, "seconds": round(self.seconds, 1)}, {f"val/{n}": v for n, v in figures.items()})
            self.network.load_state_dict(own)
            self.record.draw()
        self.task.mode(self.network)
        self.processes.wait()

    def _compare(self, figures: dict[str, float]) -> None:
        """Keeps the weights in `best.pt` where their figure is higher than any before."""
        name = self.recipe.keep_best
        if not name:
            return
        if name not in figures:
            raise ValueError(f"keep_best: no figure {name!r}; there are {', '.join(figures)}")
        if self.best is None or figures[name] > self.best["value"]:
            self.best = {"value": float(figures[name]), "step": self.step}
            kept = {"network": self.network.state_dict(), "figures": figures, **self.best}
            checkpoints.save(self.folder / "best.pt", kept)

    def train(self, report: Report | None = None, every: int = 20) -> nn.Module:
        """Runs to the end and returns the network to keep (the averaged one where the recipe asks for it).

        Raises `Interrupted` after Ctrl-C or SIGTERM, once the state is saved, and `FloatingPointError` where a loss is
        not finite.
        """
        if self.step < self.steps:
            self.processes.first_then_others(self.task.prepare)
        if self.processes.first:
            self.record.begin(self.recipe, self.place, self.processes.world, self.step, self.steps)
        self.task.mode(self.network)
        window, mark = Window(), time.monotonic()
        saved = mark
        with interrupts.noticed() as wish:
            for parts in self.batches.stream(self.step, self.steps, self.place.workers):
                losses, stop = self._agree(self._learn(parts), wish.signal)
                self.step += 1
                now = time.monotonic()
                self.seconds += now - mark
                window.add(losses, now - mark)
                if self.step % every == 0 or self.step == self.steps:
                    self._report(window, report)
                    window = Window()
                if self._due():
                    self._evaluate()
                mark = time.monotonic()
                self.seconds += mark - now
                if (stop and self.step < self.steps) or mark - saved > self.save_every_s:
                    self._save()
                    saved = mark
                if stop and self.step < self.steps:
                    self._draw()
                    raise interrupts.Interrupted(self.step, self.steps, wish.signal or signal.SIGTERM)
        return self._finish()

    def _draw(self) -> None:
        if self.processes.first:
            self.record.draw()

    def _finish(self) -> nn.Module:
        """Measures, and leaves the weights to keep in `final.pt` and in the network."""
        self._save()
        measured = self.record.measured(self.steps)
        self.processes.wait()  # all have looked before the first one writes
        if not measured:
            self._evaluate()
        kept = self.average or self.network.state_dict()
        if self.recipe.keep_best:
            kept = checkpoints.require(self.folder / "best.pt")["network"]
        self.network.load_state_dict(kept)
        self.network.eval()
        if self.processes.first:
            final = {"network": self.network.state_dict(), "seconds": self.seconds, "steps": self.steps}
            checkpoints.save(self.folder / "final.pt", {**final, "machine": self._machine()})
        self.processes.wait()
        return self.network

    def _machine(self) -> str:
        count = f"{self.processes.world} processes, each " if self.processes.world > 1 else ""
        return count + self.place.describe()
