"""Learning-rate schedules as pure functions of progress, so that a resumed run needs no hidden state."""

import math


def one_cycle(progress: float, warmup: float = 0.2, start: float = 0.04, end: float = 0.002) -> float:
    """Factor on the peak rate at `progress` in [0, 1]: cosine up from `start` over `warmup`, cosine down to `end`.

    Smith & Topin 2017, arXiv:1708.07120.
    """
    if progress < warmup:
        return start + (1 - start) * (1 - math.cos(math.pi * progress / warmup)) / 2
    return end + (1 - end) * (1 + math.cos(math.pi * (progress - warmup) / (1 - warmup))) / 2


def at_progress(steps: list[list[float]], progress: float) -> float:
    """The value of the last `[from, value]` pair whose `from` is at most `progress`."""
    return [value for start, value in steps if start <= progress][-1]
