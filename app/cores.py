"""How many cores of the CPU this process may use: those it may run on, and no more than its container's limit."""

import math
import os
from pathlib import Path

LIMIT = Path("/sys/fs/cgroup/cpu.max")
"""Of a container under cgroup v2: microseconds of processor time in a period, or `max`, and the period."""


def cores(limit: Path = LIMIT) -> int:
    return min(there(), limited(limit) or there())


def limited(limit: Path = LIMIT) -> int | None:
    """The container's limit, rounded up; None where it has none, or none below the cores there are. More threads than
    that are stopped together for the rest of each period, once their time is used up."""
    try:
        time, period = limit.read_text(encoding="ascii").split()
        most = math.ceil(int(time) / int(period))
    except (OSError, ValueError):  # no such file, or `max`
        return None
    return most if most < there() else None


def there() -> int:
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1
