"""Pictures of figures as SVG, each once for light and once for dark pages."""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib import rc_context
from matplotlib.axes import Axes
from matplotlib.colors import LinearSegmentedColormap, PowerNorm
from matplotlib.figure import Figure
from numpy.typing import NDArray

from training.metrics import Matched

LABELLED = 30
"""Up to so many labels a matrix has names and numbers; above it is a picture alone."""


@dataclass(frozen=True, slots=True)
class Theme:
    """Colours of one kind of page."""

    name: str
    ink: str
    muted: str
    grid: str
    empty: str
    accent: str
    mark: str

    def settings(self) -> dict[str, Any]:
        """matplotlib's; a picture has no background of its own, and the same figures give the same file."""
        return {
            "svg.hashsalt": "carlens",
            "font.family": "sans-serif",
            "font.size": 9,
            "text.color": self.ink,
            "axes.labelcolor": self.muted,
            "axes.edgecolor": self.grid,
            "axes.facecolor": "none",
            "axes.titlesize": 9.5,
            "axes.spines.top": False,
            "axes.spines.right": False,
            "figure.facecolor": "none",
            "savefig.facecolor": "none",
            "xtick.color": self.muted,
            "ytick.color": self.muted,
            "xtick.major.size": 0,
            "xtick.major.pad": 6,
            "ytick.major.size": 0,
            "grid.color": self.grid,
            "grid.linewidth": 0.7,
            "legend.frameon": False,
        }


THEMES = (
    Theme("light", "#1c2530", "#5c6876", "#dfe4ea", "#f4f6f8", "#1668c5", "#c2500c"),
    Theme("dark", "#e8edf3", "#96a3b2", "#323c48", "#1b222b", "#5aa9ff", "#ff9d5c"),
)


@dataclass(frozen=True, slots=True)
class Picture:
    """A picture in the report's folder: `NAME-light.svg` and `NAME-dark.svg`; size in CSS pixels."""

    name: str
    alt: str
    width: int
    height: int


def save(folder: Path, name: str, alt: str, draw: Callable[[Theme], Figure]) -> Picture:
    """Draws and writes both pictures."""
    size = (0.0, 0.0)
    for theme in THEMES:
        with rc_context(theme.settings()):
            figure = draw(theme)
            size = tuple(figure.get_size_inches())
            figure.savefig(folder / f"{name}-{theme.name}.svg", metadata={"Date": None})
    return Picture(name, alt, round(size[0] * 96), round(size[1] * 96))


def confusion(matrix: NDArray[np.int64], labels: Sequence[str], theme: Theme) -> Figure:
    """True labels down, given labels across; colour is the share of a row, numbers are photos."""
    share = matrix / np.maximum(1, matrix.sum(axis=1, keepdims=True))
    named = len(labels) <= LABELLED
    side = 1.5 + 0.38 * len(labels) if named else 5.8
    figure = Figure(figsize=(max(3.4, side + 0.5), max(2.9, side)), layout="constrained")
    axes = figure.add_subplot()
    colors = LinearSegmentedColormap.from_list("share", [theme.empty, theme.accent])
    # The root shows a single photo among the wrong ones, which a straight scale would hide.
    axes.imshow(share, cmap=colors, norm=PowerNorm(0.5, 0, 1), interpolation="nearest")
    axes.set(xlabel="given", ylabel="true")
    axes.spines[:].set_visible(False)
    if not named:
        axes.set(xticks=[], yticks=[])
        return figure
    names = [label.replace("_", " ") for label in labels]
    axes.set_xticks(range(len(names)), names, rotation=45, ha="right", rotation_mode="anchor")
    axes.set_yticks(range(len(names)), names)
    axes.set_xticks(np.arange(0.5, len(names) - 1), minor=True)
    axes.set_yticks(np.arange(0.5, len(names) - 1), minor=True)
    axes.tick_params(which="minor", size=0)
    axes.grid(which="minor", color=theme.grid)
    for (row, column), count in np.ndenumerate(matrix):
        if count:
            strong = share[row, column] > 0.3
            ink = ("#ffffff" if theme.name == "light" else "#0d1117") if strong else theme.ink
            axes.text(column, row, str(count), ha="center", va="center", color=ink, fontsize=8)
    return figure


def reliability(before: Sequence[dict[str, float]], after: Sequence[dict[str, float]], theme: Theme) -> Figure:
    """Share of right answers over their mean confidence, as the network gave it and calibrated; a larger dot is more
    photos."""
    figure = Figure(figsize=(4.3, 3.7), layout="constrained")
    axes = figure.add_subplot()
    axes.plot([0, 1], [0, 1], color=theme.muted, linewidth=1, linestyle=(0, (3, 3)))
    for bins, color, label in ((before, theme.muted, "uncalibrated"), (after, theme.accent, "calibrated")):
        x, y = [b["confidence"] for b in bins], [b["accuracy"] for b in bins]
        photos = sum(b["photos"] for b in bins)
        axes.plot(x, y, color=color, linewidth=1.5, label=label)
        axes.scatter(x, y, [10 + 220 * b["photos"] / photos for b in bins], color=color, alpha=0.85, linewidths=0)
    axes.set(xlim=(0, 1.02), ylim=(0, 1.04), xlabel="confidence", ylabel="right")
    axes.grid(True)
    axes.set_axisbelow(True)
    axes.legend(loc="lower right")
    return figure


def precision_recall(
    matched: Sequence[Matched], labels: Sequence[str], thresholds: Sequence[float], theme: Theme
) -> Figure:
    """One small chart a label: precision over recall, boxes at IoU 0.5; the dot is where the threshold puts it."""
    columns = min(3, len(labels))
    rows = math.ceil(len(labels) / columns)
    figure = Figure(figsize=(2.75 * columns, 2.35 * rows), layout="constrained")
    grid: NDArray[Any] = figure.subplots(rows, columns, squeeze=False)
    for axes in grid.flat[len(labels) :]:
        axes.set_visible(False)
    for axes, of, label, threshold in zip(grid.flat, matched, labels, thresholds, strict=False):
        _curve(axes, of, theme)
        at = of.at(threshold)
        axes.set_title(label.replace("_", " "), loc="left", color=theme.ink)
        if of.objects:
            axes.scatter([at["recall"]], [at["precision"]], 34, color=theme.mark, zorder=3, linewidths=0)
            below = at["precision"] > 0.25
            axes.annotate(
                f"{threshold:.2f}",
                (at["recall"], at["precision"]),
                xytext=(0, -7 if below else 7),
                textcoords="offset points",
                ha="right" if at["recall"] > 0.5 else "left",
                va="top" if below else "bottom",
                color=theme.mark,
                fontsize=8,
            )
    for axes in grid[-1, :]:
        axes.set_xlabel("recall")
    for axes in grid[:, 0]:
        axes.set_ylabel("precision")
    return figure


def _curve(axes: Axes, of: Matched, theme: Theme) -> None:
    if of.results and of.objects:
        recall, precision = of.curve()
        axes.plot(np.concatenate([[0], recall]), np.concatenate([precision[:1], precision]), color=theme.accent)
        axes.fill_between(recall, precision, color=theme.accent, alpha=0.1, linewidth=0)
    else:
        what = "none on these photos" if not of.objects else "none found"
        axes.text(0.5, 0.5, what, ha="center", va="center", color=theme.muted)
    axes.set(xlim=(0, 1.02), ylim=(0, 1.06), xticks=[0, 0.5, 1], yticks=[0, 0.5, 1])
    axes.grid(True)
    axes.set_axisbelow(True)


def interpolation(knots: Sequence[Sequence[float]], theme: Theme) -> Figure:
    """The map from strength to probability, its knots as dots."""
    figure = Figure(figsize=(4.3, 3.0), layout="constrained")
    axes = figure.add_subplot()
    x, y = [knot[0] for knot in knots], [knot[1] for knot in knots]
    axes.plot([0, *x, 1], [y[0], *y, y[-1]], color=theme.accent, linewidth=1.5)
    axes.scatter(x, y, 22, color=theme.accent, linewidths=0)
    axes.axvline(0.5, color=theme.mark, linewidth=1, linestyle=(0, (3, 3)))
    axes.set(xlim=(0, 1.02), ylim=(0, 1.04), xlabel="strength (0.5: at the threshold)", ylabel="damaged")
    axes.grid(True)
    axes.set_axisbelow(True)
    return figure
