"""When a measurement has settled: perf_analyzer's rule over its last windows."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

LAST = 3
WITHIN = 0.10


@dataclass(frozen=True, slots=True)
class Window:
    """One stretch of a measurement: its seconds, requests answered right, those that failed, those refused with 503,
    and the latencies of the right ones in milliseconds (NaN where there is none)."""

    seconds: float
    good: int
    failed: int
    refused: int
    p50_ms: float
    p95_ms: float
    p99_ms: float

    @property
    def throughput(self) -> float:
        """Right answers per second."""
        return self.good / self.seconds if self.seconds > 0 else 0.0


def settled(windows: Sequence[Window], last: int = LAST, within: float = WITHIN) -> bool:
    """Whether throughput and median latency of the `last` windows lie within the share `within` of each other. A window
    without a right answer never settles."""
    final = windows[-last:]
    if len(final) < last or any(not window.good for window in final):
        return False
    return all(
        close(figures, within)
        for figures in ([window.throughput for window in final], [window.p50_ms for window in final])
    )


def close(figures: Sequence[float], within: float) -> bool:
    """Whether the largest figure is at most the share `within` over the smallest."""
    return all(math.isfinite(one) and one > 0 for one in figures) and max(figures) <= min(figures) * (1 + within)


def quantile(figures: Sequence[float], share: float) -> float:
    """The nearest-rank quantile, `share` 0 to 1; NaN of none."""
    if not figures:
        return math.nan
    ordered = sorted(figures)
    return ordered[min(len(ordered) - 1, max(0, math.ceil(share * len(ordered)) - 1))]
