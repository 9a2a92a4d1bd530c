"""The learning-rate range test: the rate rises step by step until the loss bursts, and the curve says which to take."""

import csv
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from training import plots
from training.batches import Batches
from training.devices import CPU, Place
from training.learner import Learner
from training.loop import Task

SMOOTHING = 0.9
BURST = 4.0
RULE = (
    "largest = half of the rate at which the smoothed loss was lowest; "
    "base = the rate at which it fell most steeply, or a quarter of the largest where that is less"
)


@dataclass(frozen=True, slots=True)
class RangeTest:
    """What was tried, in order: the rates, the loss at each, and that loss smoothed."""

    rates: list[float]
    losses: list[float]
    smoothed: list[float]
    diverged: bool

    def suggested(self) -> tuple[float, float]:
        """(base, largest), by `RULE`. Raises `ValueError` where the loss never fell by 2 % and by
        what it varies from batch to batch.

        Smith 2015, arXiv:1506.01186, section 3.3: bounds from where the loss begins to fall and where it no longer
        does, the lower one a third or a quarter of the upper one as a rule of thumb.
        """
        if not self.rates:
            raise ValueError("the loss is not finite at the first rate: begin with a lower one, or look at the data")
        lowest = int(np.argmin(self.smoothed))
        if lowest < 2:
            raise ValueError("the loss did not fall at any rate: begin with a lower one, or take more steps")
        begin = float(np.median(self.smoothed[: max(3, len(self.smoothed) // 10)]))
        early = self.losses[: max(3, len(self.losses) // 2)]
        noise = float(np.std(np.diff(early))) / math.sqrt(2)  # of differences, so that a slope counts for nothing
        if begin - self.smoothed[lowest] < max(0.02 * begin, noise):
            raise ValueError(
                "the loss did not fall at any rate: begin with a lower one, end higher, or take more steps"
            )
        slopes = np.gradient(np.array(self.smoothed[: lowest + 1]), np.log(self.rates[: lowest + 1]))
        most = self.rates[lowest] / 2
        return min(self.rates[int(np.argmin(slopes))], most / 4), most


def spread(low: float, high: float, steps: int) -> list[float]:
    """`steps` rates from `low` to `high`, each the same multiple of the one before. Raises `ValueError`."""
    if not 0 < low < high:
        raise ValueError(f"the rates from {low:g} to {high:g} do not rise from above 0")
    if steps < 10:
        raise ValueError(f"{steps} steps are too few to see a curve: take 10 or more")
    return [float(rate) for rate in np.geomspace(low, high, steps)]


def measure(
    task: Task, rates: Sequence[float], place: Place = CPU, report: Callable[[float, float], None] | None = None
) -> RangeTest:
    """Trains on the first batches of the run, one at each rate, all layers open; stops where the smoothed loss is
    `BURST` times its lowest or no number any more. `report` hears each rate and its smoothed loss."""
    task.prepare()
    batches, learner = Batches(task), Learner(task, place)
    task.mode(learner.network)
    losses: list[float] = []
    smoothed: list[float] = []
    mean = 0.0
    for step, parts in enumerate(batches.stream(0, len(rates), place.workers)):
        seeds = [batches.seed(step, n) for n in range(len(parts))]
        try:
            loss = sum(float(value) for value in learner.learn(parts, seeds, rates[step], progress=1.0).values())
        except FloatingPointError:
            loss = math.inf
        if not math.isfinite(loss):
            return RangeTest(list(rates[: len(losses)]), losses, smoothed, diverged=True)
        mean = SMOOTHING * mean + (1 - SMOOTHING) * loss
        losses.append(loss)
        smoothed.append(mean / (1 - SMOOTHING ** (step + 1)))  # as if it had begun at the first loss
        if report:
            report(rates[step], smoothed[-1])
        if smoothed[-1] > BURST * min(smoothed):
            return RangeTest(list(rates[: step + 1]), losses, smoothed, diverged=True)
    return RangeTest(list(rates), losses, smoothed, diverged=False)


def write(test: RangeTest, folder: Path) -> None:
    """`rates.csv` and `rates.png`, nothing else."""
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / "rates.csv").open("w", newline="") as file:
        rows = csv.writer(file)
        rows.writerow(["rate", "loss", "smoothed"])
        for row in zip(test.rates, test.losses, test.smoothed, strict=True):
            rows.writerow([f"{value:.6g}" for value in row])
    try:
        suggested = dict(zip(("base", "largest"), test.suggested(), strict=True))
    except ValueError:
        suggested = {}
    if test.rates:
        plots.rates(test.rates, test.losses, test.smoothed, suggested, folder / "rates.png")
