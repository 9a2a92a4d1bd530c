"""Learning-rate schedules as pure functions of progress, so that a resumed run needs no hidden state."""

import math
from collections.abc import Callable, Sequence
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

Share = Annotated[float, Field(ge=0, le=1)]


def one_cycle(progress: float, warmup: float = 0.2, start: float = 0.04, end: float = 0.002) -> float:
    """Factor on the peak rate at `progress` in [0, 1]: cosine up from `start` over `warmup`, cosine down to `end`.

    Smith & Topin 2017, arXiv:1708.07120.
    """
    if progress < warmup:
        return start + (1 - start) * (1 - math.cos(math.pi * progress / warmup)) / 2
    return end + (1 - end) * (1 + math.cos(math.pi * (progress - warmup) / (1 - warmup))) / 2


def triangular(progress: float, cycles: int = 4, base: float = 0.25) -> float:
    """Factor on the largest rate: `cycles` times straight up from `base` to 1 and straight down again.

    Smith 2015, arXiv:1506.01186; its step size is half of a cycle.
    """
    return base + (1 - base) * _height(progress * cycles)


def triangular2(progress: float, cycles: int = 4, base: float = 0.25) -> float:
    """As `triangular`, each cycle half as high above `base` as the one before (arXiv:1506.01186)."""
    turn = progress * cycles
    return base + (1 - base) * _height(turn) / 2 ** _number(turn, cycles)


def exp_range(progress: float, cycles: int = 4, base: float = 0.25, gamma: float = 0.5) -> float:
    """As `triangular`, the height above `base` shrinking steadily, by `gamma` over each cycle (arXiv:1506.01186, where
    gamma is that of one step: its power of a cycle's steps is this one)."""
    turn = progress * cycles
    return base + (1 - base) * _height(turn) * gamma**turn


def cosine(progress: float, warmup: float = 0.0, start: float = 0.0, end: float = 0.0) -> float:
    """Factor on the peak rate: straight up from `start` over `warmup`, then half a cosine down to `end`.

    Loshchilov & Hutter 2016, arXiv:1608.03983, without restarts.
    """
    if progress < warmup:
        return _ramp(progress, warmup, start)
    return end + (1 - end) * (1 + math.cos(math.pi * (progress - warmup) / max(1 - warmup, 1e-9))) / 2


def constant(progress: float, warmup: float = 0.0, start: float = 0.0) -> float:
    """Straight up from `start` over `warmup`, then 1."""
    return _ramp(progress, warmup, start) if progress < warmup else 1.0


def multi_step(
    progress: float,
    milestones: Sequence[float] = (2 / 3, 8 / 9),
    gamma: float = 0.1,
    warmup: float = 0.01,
    start: float = 0.001,
) -> float:
    """Straight up from `start` over `warmup`, then times `gamma` from each of `milestones` on: the detectors' schedule.

    Goyal et al. 2017, arXiv:1706.02677 (the warm-up); He et al. 2017, arXiv:1703.06870 (the steps).
    """
    factor = float(gamma ** sum(progress >= milestone for milestone in milestones))
    return factor * (_ramp(progress, warmup, start) if progress < warmup else 1.0)


def at_progress(steps: list[list[float]], progress: float) -> float:
    """The value of the last `[from, value]` pair whose `from` is at most `progress`."""
    return [value for start, value in steps if start <= progress][-1]


def _height(turn: float) -> float:
    """A triangle wave of period 1: 0 at whole numbers, 1 half-way between."""
    return 1 - abs(2 * (turn % 1) - 1)


def _number(turn: float, cycles: int) -> int:
    """Which cycle it is, from 0; the end of the last one belongs to it."""
    return min(int(turn), cycles - 1)


def _ramp(progress: float, warmup: float, start: float) -> float:
    return start + (1 - start) * progress / warmup


class _Named(BaseModel):
    """A schedule as a recipe's `[schedule]` table names it; the parameters are those of the function of that name."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    def factor(self, progress: float) -> float:
        """Factor on the recipe's `rate` at `progress` in [0, 1]."""
        return float(FUNCTIONS[self.name](progress, **self.model_dump(exclude={"name"})))  # type: ignore[attr-defined]


class OneCycle(_Named):
    name: Literal["one_cycle"] = "one_cycle"
    warmup: Annotated[float, Field(ge=0, lt=1)] = 0.2
    start: Share = 0.04
    end: Share = 0.002


class Triangular(_Named):
    name: Literal["triangular", "triangular2"]
    cycles: Annotated[int, Field(ge=1)] = 4
    base: Share = 0.25


class ExpRange(_Named):
    name: Literal["exp_range"]
    cycles: Annotated[int, Field(ge=1)] = 4
    base: Share = 0.25
    gamma: Annotated[float, Field(gt=0, le=1)] = 0.5


class Cosine(_Named):
    name: Literal["cosine"]
    warmup: Annotated[float, Field(ge=0, lt=1)] = 0.0
    start: Share = 0.0
    end: Share = 0.0


class Constant(_Named):
    name: Literal["constant"]
    warmup: Share = 0.0
    start: Share = 0.0


class MultiStep(_Named):
    name: Literal["multi_step"]
    milestones: tuple[Share, ...] = (2 / 3, 8 / 9)
    gamma: Annotated[float, Field(gt=0, le=1)] = 0.1
    warmup: Share = 0.01
    start: Share = 0.001


FUNCTIONS: dict[str, Callable[..., float]] = {
    function.__name__: function
    for function in (one_cycle, triangular, triangular2, exp_range, cosine, constant, multi_step)
}
Schedule = Annotated[
    OneCycle | Triangular | ExpRange | Cosine | Constant | MultiStep,
    Field(discriminator="name"),
]
