"""A measurement has settled when its last three windows agree in throughput and latency."""

import math

import pytest

from tests.bench.compare.settle import Window, quantile, settled


def window(good: int = 100, p50_ms: float = 10.0, seconds: float = 1.0) -> Window:
    return Window(seconds, good, 0, 0, p50_ms, p50_ms, p50_ms)


def test_three_windows_that_agree_have_settled() -> None:
    assert settled([window(100), window(105), window(109)])


def test_two_windows_are_too_few() -> None:
    assert not settled([window(), window()])


def test_only_the_last_windows_count() -> None:
    assert settled([window(10, 90.0), window(), window(), window()])
    assert not settled([window(), window(), window(), window(10, 90.0)])


@pytest.mark.parametrize("odd", [window(112), window(88), window(100, 12.0), window(100, 8.0)])
def test_one_window_more_than_a_tenth_off_unsettles(odd: Window) -> None:
    assert not settled([window(), odd, window()])


def test_windows_without_an_answer_never_settle() -> None:
    assert not settled([window(0, math.nan)] * 3)


def test_throughput_is_right_answers_by_the_second() -> None:
    assert window(50, seconds=2.0).throughput == 25.0


def test_quantiles_are_of_the_nearest_rank() -> None:
    figures = [float(n) for n in range(100, 0, -1)]
    assert [quantile(figures, share) for share in (0.5, 0.95, 0.99, 1.0)] == [50.0, 95.0, 99.0, 100.0]
    assert math.isnan(quantile([], 0.5))
