"""All processes of a server, however it starts them, with the CPU time and memory they use; from /proc (Linux)."""

import os
import re
from collections.abc import Iterable
from pathlib import Path

MARK = "BENCH_MARK"
"""An environment variable that every process of a server inherits, whichever session or parent it ends up with."""

TICKS = os.sysconf("SC_CLK_TCK")
PROC = Path("/proc")


def members(mark: str, proc: Path = PROC) -> set[int]:
    """The processes that carry the mark in their environment, and all descendants of these: some set their title over
    their environment."""
    parents: dict[int, int] = {}
    marked: set[int] = set()
    wanted = f"{MARK}={mark}".encode()
    for folder in proc.iterdir():
        if not folder.name.isdigit():
            continue
        try:
            pid = int(folder.name)
            parents[pid] = int(_stat(folder)[1])
            if wanted in (folder / "environ").read_bytes().split(b"\0"):
                marked.add(pid)
        except (OSError, IndexError, ValueError):  # it has ended meanwhile, or is not ours to read
            continue
    found, grew = set(marked), True
    while grew:
        more = {pid for pid, parent in parents.items() if parent in found and pid not in found}
        found |= more
        grew = bool(more)
    return found


def cpu_seconds(pids: Iterable[int], proc: Path = PROC) -> float:
    """CPU time that the processes, and those of their children that were waited for, have used."""
    total = 0
    for pid in pids:
        try:
            fields = _stat(proc / str(pid))
            total += sum(int(field) for field in fields[11:15])
        except (OSError, IndexError, ValueError):
            continue
    return total / TICKS


def memory_mib(pids: Iterable[int], proc: Path = PROC) -> float:
    """MiB held: the proportional share of each, so that what they share counts once; resident where that is unknown."""
    return sum(_kib(proc / str(pid)) for pid in pids) / 1024


def _kib(folder: Path) -> int:
    for name, key in (("smaps_rollup", "Pss"), ("status", "VmRSS")):
        try:
            if found := re.search(rf"^{key}:\s+(\d+) kB", (folder / name).read_text(), re.MULTILINE):
                return int(found[1])
        except OSError:
            continue
    return 0


def _stat(folder: Path) -> list[str]:
    """The fields after the name, which may hold anything: the state first."""
    return (folder / "stat").read_text(errors="replace").rpartition(")")[2].split()
