"""Pictures: they are drawn whatever rows there are, and hold what they should."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from PIL import Image

from training import plots

ROWS: list[dict[str, Any]] = [
    {"step": n, "of": 40, "epoch": n / 20, "box": 1 / n, "mask": 2 / n, "lr": 0.1 * n, "photos_per_s": 3, "seconds": n}
    for n in range(1, 41)
]
VAL = [{"step": n, "of": 40, "epoch": n / 20, "val": {"ap": n / 50, "ap50": n / 45}, "seconds": n} for n in (20, 40)]


@pytest.fixture
def drawn(monkeypatch: pytest.MonkeyPatch) -> list[Figure]:
    """Every figure that was saved."""
    figures: list[Figure] = []
    save = Figure.savefig

    def keeps(self: Figure, path: Path, dpi: int) -> None:
        figures.append(self)
        save(self, path, dpi=dpi)

    monkeypatch.setattr(Figure, "savefig", keeps)
    return figures


def names(axes: Axes) -> list[str]:
    """What the legend says."""
    legend = axes.get_legend()
    assert legend
    return [text.get_text() for text in legend.get_texts()]


def heights(axes: Axes, line: int) -> list[float]:
    """The values of one line."""
    values: list[float] = np.asarray(axes.lines[line].get_ydata()).tolist()
    return values


def test_curves_are_losses_rate_and_figures(tmp_path: Path, drawn: list[Figure]) -> None:
    plots.curves([*ROWS, *VAL], tmp_path / "curves.png")
    losses, rate, val = drawn[0].axes
    assert names(losses) == ["box", "mask"]
    assert losses.get_yscale() == "log"
    assert heights(rate, 0) == pytest.approx([row["lr"] for row in ROWS])
    assert names(val) == ["ap", "ap50"]
    assert heights(val, 1) == pytest.approx([20 / 45, 40 / 45])
    with Image.open(tmp_path / "curves.png") as picture:
        assert picture.width > 2 * picture.height > 600


@pytest.mark.parametrize(
    "rows",
    [
        ROWS[:1],
        VAL[:1],
        [{**ROWS[0], "box": 0.0}],
        [{"step": 20, "of": 40, "epoch": 0.5, "label": 0.5, "seconds": 3.0}],  # of a release before rates were told
        [{**row, "box": float("nan")} for row in ROWS[:3]],
    ],
)
def test_any_rows_are_drawn(tmp_path: Path, rows: list[dict[str, Any]]) -> None:
    plots.curves(rows, tmp_path / "curves.png")
    assert (tmp_path / "curves.png").stat().st_size > 5000


def test_no_rows_make_no_picture(tmp_path: Path) -> None:
    plots.curves([], tmp_path / "curves.png")
    assert not list(tmp_path.iterdir())


def test_a_range_test_shows_what_it_suggests(tmp_path: Path, drawn: list[Figure]) -> None:
    tried = list(np.geomspace(1e-4, 1, 20))
    losses = list(np.linspace(2, 1, 20))
    plots.rates(tried, losses, losses, {"base": 0.01, "largest": 0.1}, tmp_path / "rates.png")
    axes = drawn[0].axes[0]
    assert names(axes) == ["loss", "smoothed", "base 0.01", "largest 0.1"]
    assert axes.get_xscale() == "log"
    plots.rates(tried, losses, losses, {}, tmp_path / "none.png")
    assert len(drawn[1].axes[0].lines) == 2


def test_smoothing_weighs_what_is_near() -> None:
    assert list(plots.smooth(np.array([3.0, 3.0, 3.0]))) == pytest.approx([3, 3, 3])
    assert list(plots.smooth(np.array([1.0, 0.0]), weight=0.5)) == pytest.approx([1, 1 / 3])
    gaps = plots.smooth(np.array([np.nan, 1.0, np.nan, 1.0]))
    assert np.isnan(gaps[0])
    assert list(gaps[1:]) == pytest.approx([1, 1, 1])
