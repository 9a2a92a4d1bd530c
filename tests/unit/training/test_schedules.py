"""The rate over a run: up, down, and nowhere a jump."""

import itertools

import numpy as np
import pytest

from tests.unit.training.tiny import varied
from training import recipe as recipes
from training.schedules import (
    FUNCTIONS,
    at_progress,
    constant,
    cosine,
    exp_range,
    multi_step,
    one_cycle,
    triangular,
    triangular2,
)


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


@pytest.mark.parametrize(
    ("progress", "expected"),
    [(0.0, 0.25), (0.125, 0.625), (0.25, 1.0), (0.375, 0.625), (0.5, 0.25), (0.75, 1.0), (1.0, 0.25)],
)
def test_triangular_goes_up_and_down_in_each_cycle(progress: float, expected: float) -> None:
    assert triangular(progress, cycles=2) == pytest.approx(expected)


def test_triangular2_halves_the_height_with_each_cycle() -> None:
    peaks = [triangular2((n + 0.5) / 4, cycles=4, base=0.2) for n in range(4)]
    assert peaks == pytest.approx([1.0, 0.6, 0.4, 0.3])
    assert [triangular2(n / 4, cycles=4, base=0.2) for n in range(5)] == pytest.approx([0.2] * 5)


def test_exp_range_shrinks_by_gamma_over_a_cycle() -> None:
    heights = [exp_range((n + 0.5) / 3, cycles=3, base=0.1, gamma=0.3) - 0.1 for n in range(3)]
    assert heights[0] == pytest.approx(0.9 * 0.3**0.5)
    assert [b / a for a, b in itertools.pairwise(heights)] == pytest.approx([0.3, 0.3])


def test_smiths_formula_step_by_step() -> None:
    """The paper's own: x = |step / stepsize - 2 cycle + 1|, rate = base + (max - base) max(0, 1 - x)."""
    steps, stepsize, base = 240, 40, 0.3
    for step in range(steps):
        cycle = np.floor(1 + step / (2 * stepsize))
        x = abs(step / stepsize - 2 * cycle + 1)
        height = (1 - base) * max(0, 1 - x)
        assert triangular(step / steps, 3, base) == pytest.approx(base + height)
        assert triangular2(step / steps, 3, base) == pytest.approx(base + height / 2 ** (cycle - 1))
        gamma = 0.4 ** (1 / (2 * stepsize))  # of one step
        assert exp_range(step / steps, 3, base, 0.4) == pytest.approx(base + height * gamma**step)


@pytest.mark.parametrize(("progress", "expected"), [(0.0, 0.1), (0.05, 0.55), (0.1, 1.0), (0.55, 0.6), (1.0, 0.2)])
def test_cosine_at_known_points(progress: float, expected: float) -> None:
    assert cosine(progress, warmup=0.1, start=0.1, end=0.2) == pytest.approx(expected)


def test_constant_is_that_after_its_warm_up() -> None:
    assert [constant(p) for p in (0, 0.3, 1)] == [1, 1, 1]
    assert [constant(p, warmup=0.5, start=0.2) for p in (0, 0.25, 0.5, 1)] == pytest.approx([0.2, 0.6, 1, 1])


def test_multi_step_warms_up_and_falls_at_its_milestones() -> None:
    at = {0.0: 0.001, 0.005: 0.5005, 0.01: 1, 0.6: 1, 0.67: 0.1, 0.88: 0.1, 0.89: 0.01, 1.0: 0.01}
    assert {p: multi_step(p) for p in at} == pytest.approx(at)
    assert multi_step(0.5, milestones=(0.5,), gamma=0.5) == 0.5


@pytest.mark.parametrize("name", FUNCTIONS)
def test_every_schedule_is_chosen_by_its_name_and_stays_within_0_and_1(name: str) -> None:
    schedule = varied(schedule={"name": name}).schedule
    factors = [schedule.factor(p) for p in np.linspace(0, 1, 501)]
    assert factors == [FUNCTIONS[name](p) for p in np.linspace(0, 1, 501)]
    assert all(0 <= factor <= 1 for factor in factors)
    assert schedule.factor(1.0) == FUNCTIONS[name](1.0)


@pytest.mark.parametrize("name", ["attributes", "car_details", "damage"])
def test_a_recipe_that_says_nothing_has_one_cycle(name: str) -> None:
    recipe = recipes.read(name)
    for p in np.linspace(0, 1, 97):
        assert recipe.schedule.factor(p) == one_cycle(p)


def test_a_recipe_sets_parameters_with_the_name_or_without() -> None:
    changed = recipes.read("damage", ["schedule.warmup=0.5"])
    assert changed.schedule.factor(0.5) == pytest.approx(1)
    cyclical = recipes.read("damage", ["schedule.name=triangular2", "schedule.cycles=2", "schedule.base=0.5"])
    assert cyclical.schedule.factor(0.75) == pytest.approx(0.75)
    stepped = recipes.read("damage", ["schedule={name = 'multi_step', milestones = [0.5], gamma = 0.2}"])
    assert stepped.schedule.factor(0.5) == pytest.approx(0.2)


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        (["schedule.name=linear"], r"(?s)schedule\b.*'linear'.*'one_cycle', 'triangular'"),
        (["schedule.cycles=3"], r"(?s)schedule\.one_cycle\.cycles.*Extra inputs"),
        (["schedule.name=triangular", "schedule.cycles=0"], r"(?s)schedule\.triangular\.cycles.*greater than or equal"),
        (["schedule.warmup=1"], r"(?s)schedule\.one_cycle\.warmup.*less than 1"),
        (["schedule={name = 'multi_step', milestones = [2]}"], r"(?s)milestones\.0.*less than or equal to 1"),
        (["schedule=fast"], r"(?s)schedule\b"),
    ],
)
def test_a_wrong_schedule_is_told_by_its_key(changes: list[str], expected: str) -> None:
    with pytest.raises(ValueError, match=expected):
        recipes.read("damage", changes)
