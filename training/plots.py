"""Pictures of a run: its curves, and the range test of its rate."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

# Okabe & Ito's colours, told apart by everyone.
COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000", "#F0E442")
INK, FAINT = "#333333", "#DDDDDD"
NOT_LOSSES = {"step", "of", "epoch", "lr", "photos_per_s", "seconds", "val"}


def curves(rows: Sequence[Mapping[str, Any]], path: Path) -> None:
    """Losses, learning rate and figures on `val` over the epochs, from the rows of `metrics.jsonl`, as PNG."""
    learnt = [row for row in rows if "val" not in row]
    measured = [row for row in rows if "val" in row]
    if not rows:
        return
    figure = Figure(figsize=(11, 3.6), layout="constrained", facecolor="white")
    losses, rate, val = figure.subplots(1, 3, width_ratios=(1.3, 1, 1.3))
    ends = [row["epoch"] for row in learnt]
    names = list(dict.fromkeys(name for row in learnt for name in row if name not in NOT_LOSSES))
    for name, colour in zip(names, _colours(len(names)), strict=True):
        values = np.array([row.get(name, np.nan) for row in learnt], dtype=float)
        losses.plot(ends, values, color=colour, alpha=0.25, linewidth=1)
        losses.plot(ends, smooth(values), color=colour, linewidth=1.8, label=name)
    if names and np.nanmin([row.get(name, np.nan) for row in learnt for name in names]) > 0:
        losses.set_yscale("log")
        losses.yaxis.set_major_formatter(_plain)
        losses.yaxis.set_minor_formatter(_plain if _narrow(learnt, names) else lambda *_: "")
    rated = [row for row in learnt if "lr" in row]
    rate.plot([row["epoch"] for row in rated], [row["lr"] for row in rated], color=COLOURS[0], linewidth=1.8)
    rate.yaxis.set_major_formatter(lambda value, _: f"{value:g}")
    rate.set_ylim(bottom=0)
    figures = list(dict.fromkeys(name for row in measured for name in row["val"]))
    for name, colour in zip(figures, _colours(len(figures)), strict=True):
        points = [(row["epoch"], row["val"][name]) for row in measured if name in row["val"]]
        val.plot(*zip(*points, strict=True), color=colour, linewidth=1.8, marker="o", markersize=4, label=name)
        val.annotate(f"{points[-1][1]:.3g}", points[-1], (5, 0), textcoords="offset points", va="center", color=colour)
    for axes, title in ((losses, "losses"), (rate, "learning rate"), (val, "figures on val")):
        _dress(axes, title)
        axes.set_xlim(0, max(row["epoch"] for row in rows) * (1.12 if axes is val else 1.02))
        axes.set_xlabel("epoch")
    figure.savefig(path, dpi=110)


def rates(
    tried: Sequence[float],
    losses: Sequence[float],
    smoothed: Sequence[float],
    suggested: Mapping[str, float],
    path: Path,
) -> None:
    """A range test: loss over rate (logarithmic), and the rates it suggests by name, as PNG."""
    figure = Figure(figsize=(7, 4), layout="constrained", facecolor="white")
    axes = figure.subplots()
    axes.plot(tried, losses, color=COLOURS[0], alpha=0.25, linewidth=1, label="loss")
    axes.plot(tried, smoothed, color=COLOURS[0], linewidth=1.8, label="smoothed")
    axes.set_xscale("log")
    low, high = float(np.min(smoothed)), float(smoothed[0])
    span = max(high - low, 1e-9)
    axes.set_ylim(low - 0.3 * span, high + 0.8 * span)
    for (name, value), colour in zip(suggested.items(), (COLOURS[2], COLOURS[1]), strict=False):
        axes.axvline(value, color=colour, linewidth=1.5, linestyle="--", label=f"{name} {value:.2g}")
    _dress(axes, "learning-rate range test")
    axes.set_xlabel("learning rate")
    figure.savefig(path, dpi=110)


def smooth(values: np.ndarray, weight: float = 0.8) -> np.ndarray:
    """Moving average that gives what is `n` rows back `weight` to the power of n; gaps are passed over."""
    found, total, sums = [], 0.0, 0.0
    for value in values:
        if np.isfinite(value):
            total, sums = total * weight + value, sums * weight + 1
        found.append(total / sums if sums else np.nan)
    return np.array(found)


def _colours(count: int) -> list[str]:
    return [COLOURS[n % len(COLOURS)] for n in range(count)]


def _narrow(rows: Sequence[Mapping[str, Any]], names: Sequence[str]) -> bool:
    """Whether a logarithmic axis has too few powers of ten to be read by them alone."""
    values = [row[name] for row in rows for name in names if name in row]
    return max(values) / min(values) < 30


def _plain(value: float, _: int = 0) -> str:
    """2 and 0.05 rather than powers of ten; only the marks at 1, 2 and 5 have numbers."""
    digit = round(value / 10 ** np.floor(np.log10(value)))
    return f"{value:g}" if digit in (1, 2, 5) else ""


def _dress(axes: Axes, title: str) -> None:
    axes.set_title(title, loc="left", fontsize=11, color=INK, fontweight="bold")
    axes.grid(visible=True, color=FAINT, linewidth=0.7)
    axes.set_axisbelow(True)
    axes.tick_params(which="both", colors=INK, labelsize=9)
    axes.spines[["top", "right"]].set_visible(False)
    axes.spines[["left", "bottom"]].set_color(INK)
    if axes.get_xscale() == "linear":
        axes.xaxis.set_major_locator(MaxNLocator(6))
    handles, labels = axes.get_legend_handles_labels()
    if labels:
        axes.legend(handles, labels, frameon=False, fontsize=8, ncols=1 + (len(labels) > 4))
