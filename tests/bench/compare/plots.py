"""The plots: throughput by arm, and latency by the number of clients, a picture for each cell."""

import re
from pathlib import Path
from statistics import median

from tests.bench.compare.rows import ARMS, Cell, Results, peak


def draw(results: Results, folder: Path) -> list[Path]:
    """PNG files into `folder`; none where matplotlib is not installed."""
    try:
        import matplotlib as mpl
    except ImportError:
        return []
    mpl.use("Agg")
    return [
        path
        for cell in results.cells()
        for path in (_throughput(results, cell, folder), _latency(results, cell, folder))
    ]


def _throughput(results: Results, cell: Cell, folder: Path) -> Path:
    from matplotlib import pyplot as plt

    found = {arm: results.best(cell, arm) for arm in ARMS if results.best(cell, arm)}
    heights = [peak(rows) for rows in found.values()]
    lowest = [peak(rows) - min(row.throughput for row in rows) for rows in found.values()]
    highest = [max(row.throughput for row in rows) - peak(rows) for rows in found.values()]
    figure, axes = plt.subplots(figsize=(7, 4), layout="constrained")
    axes.bar(
        list(found), heights, yerr=[lowest, highest], capsize=4, color=["#7a8793"] * (len(found) - 1) + ["#c0392b"]
    )
    if tightest := results.tightest(cell):
        axes.axhline(tightest[1], linestyle="--", color="#34495e", label=f"limit: {tightest[0]}")
        axes.legend()
    axes.set_ylabel("right answers per second")
    axes.set_title(cell.title)
    return _saved(figure, folder / f"throughput_{_name(cell)}.png")


def _latency(results: Results, cell: Cell, folder: Path) -> Path:
    from matplotlib import pyplot as plt

    figure, axes = plt.subplots(figsize=(7, 4), layout="constrained")
    for arm in ARMS:
        ways = sorted({row.concurrency for row in results.of(cell, arm)})
        if ways:
            middle = [median(row.p50_ms for row in results.of(cell, arm, way)) for way in ways]
            axes.plot(ways, middle, marker="o", linewidth=3 if arm == "carlens" else 1.2, label=arm)
    axes.set_xscale("log", base=2)
    axes.set_yscale("log")
    axes.set_xlabel("clients at a time")
    axes.set_ylabel("median latency, ms")
    axes.set_title(cell.title)
    axes.legend()
    return _saved(figure, folder / f"latency_{_name(cell)}.png")


def _saved(figure: object, path: Path) -> Path:
    from matplotlib import pyplot as plt
    from matplotlib.figure import Figure

    assert isinstance(figure, Figure)
    figure.savefig(path, dpi=120)
    plt.close(figure)
    return path


def _name(cell: Cell) -> str:
    return re.sub(r"[^a-z0-9]+", "_", cell.title.lower())
