"""The rate over a run: up, down, and nowhere a jump."""

import numpy as np
import pytest

from training.schedules import at_progress, one_cycle


@pytest.mark.parametrize(
    ("progress", "expected"),
    [(0.0, 0.04), (0.1, 0.52), (0.2, 1.0), (0.6, (1 + 0.002) / 2), (1.0, 0.002)],
)
def test_one_cycle_at_known_points(progress: float, expected: float) -> None:
    assert one_cycle(progress) == pytest.approx(expected)


def test_one_cycle_rises_then_falls_without_a_jump() -> None:
    rates = np.array([one_cycle(p) for p in np.linspace(0, 1, 1001)])
    steps = np.diff(rates)
    assert (steps[:199] > 0).all()
    assert (steps[201:] < 0).all()
    assert np.abs(steps).max() < 0.01
    assert rates.max() == pytest.approx(1.0)


def test_one_cycle_takes_its_own_ends() -> None:
    assert one_cycle(0, warmup=0.5, start=0.3) == pytest.approx(0.3)
    assert one_cycle(0.5, warmup=0.5) == pytest.approx(1)
    assert one_cycle(1, end=0.1) == pytest.approx(0.1)
    assert one_cycle(0, warmup=0) == pytest.approx(1)


@pytest.mark.parametrize(("progress", "expected"), [(0.0, 96), (0.54, 96), (0.55, 128), (1.0, 160)])
def test_at_progress_keeps_the_last_step_reached(progress: float, expected: float) -> None:
    assert at_progress([[0.0, 96], [0.55, 128], [1.0, 160]], progress) == expected
