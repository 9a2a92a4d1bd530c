"""What a load and the service's metrics say becomes rows."""

import math
from typing import Any

import pytest

from app.metrics import Metrics
from tests.bench.compare.measure import histogram, row_of
from tests.bench.compare.plan import core, full, grid


def test_batches_are_counted_by_size() -> None:
    metrics = Metrics()
    for size in (1, 1, 3, 4, 4, 4):
        metrics.batch("attributes", size, 4, 0.01)
    metrics.batch("damage", 2, 2, 0.01)
    found = {size: count for size, count in histogram(metrics.text().decode(), "attributes").items() if count}
    assert found == {"1": 2.0, "4": 4.0}


def window(good: int, p50_ms: float) -> dict[str, Any]:
    return {"seconds": 2.0, "good": good, "failed": 1, "refused": 2, "p50_ms": p50_ms, "p95_ms": 9.0, "p99_ms": 9.0}


def test_a_row_is_of_the_last_three_windows() -> None:
    found = row_of({"windows": [window(1, 99.0), window(10, 5.0), window(20, 7.0), window(30, 6.0)]})
    assert (found.throughput, found.p50_ms, found.failed, found.refused) == (10.0, 6.0, 3, 6)


def test_a_row_without_an_answer_has_no_latency() -> None:
    assert math.isnan(row_of({"windows": [window(0, math.nan)]}).p50_ms)


@pytest.mark.parametrize("arm", ["pool", "litserve", "ray", "mosec"])
def test_peers_are_tuned_and_the_full_set_tunes_them_more(arm: str) -> None:
    assert len(grid(arm, 2, 16, full=False)) == 2
    assert len(grid(arm, 2, 16, full=True)) > 2
    assert all(one.batch <= 4 for one in grid(arm, 2, 4, full=True))


def test_plain_and_carlens_have_nothing_to_tune() -> None:
    assert len(grid("plain", 2, 16, full=True)) == len(grid("carlens", 2, 16, full=True)) == 1


def test_the_full_set_holds_the_core_set() -> None:
    small, large = core(), full()
    assert {*small.cells, *small.later} <= set(large.cells)
    assert set(small.concurrencies) <= set(large.concurrencies)
    assert set(small.shares) <= set(large.shares)
