"""One lane: sizes, service time, padded runs and the rows they give back."""

import asyncio
import gc
import weakref
from typing import Any

import numpy as np
import pytest

from app.lane import Answer, Batch, Expired, Item, Lane, ServiceTime, Unanswered
from models.predictor import Arrays
from tests.unit.app.doubler import INPUTS, Doubler, item


def lane(run: Any = None, sizes: tuple[int, ...] = (1, 2, 4)) -> Lane:
    return Lane("a", Doubler().load, run or Doubler().run, INPUTS, sizes)


def test_a_service_time_is_zero_until_measured_and_then_follows_the_runs() -> None:
    service = ServiceTime()
    assert service.of(4) == 0
    service.measure(4, 2.0, now=1.0)
    assert service.of(4) == 2.0
    for moment in range(50):
        service.measure(4, 6.0, now=float(moment))
    assert service.of(4) == pytest.approx(6.0, rel=1e-3)
    assert service.measured_at == 49


def test_a_size_without_a_measurement_costs_per_row_what_the_nearest_did() -> None:
    service = ServiceTime()
    service.measure(2, 1.0, now=0.0)
    service.measure(16, 4.0, now=0.0)
    assert service.of(1) == 0.5
    assert service.of(4) == 2.0
    assert service.of(32) == 8.0


def test_the_time_for_many_items_is_that_of_full_batches_and_a_padded_rest() -> None:
    one = lane()
    for size, seconds in ((1, 1.0), (2, 1.5), (4, 2.0)):
        one.service.measure(size, seconds, now=0.0)
    assert [one.seconds_for(count) for count in range(10)] == [0, 1, 1.5, 2, 2, 3, 3.5, 4, 4, 5]


def test_padding_is_to_the_next_size_and_shrinking_to_at_most_half() -> None:
    one = lane(sizes=(1, 3, 8, 16))
    assert [one.padded(count) for count in (1, 2, 3, 4, 8, 9, 16)] == [1, 3, 3, 8, 8, 16, 16]
    assert one.shrink(16)
    assert one.largest == 8
    assert one.shrink(8)
    assert one.largest == 3
    assert one.shrink(3)
    assert not one.shrink(1)
    assert one.largest == 1


def test_a_run_sees_its_items_then_zeros_and_the_padding_gets_no_row() -> None:
    seen: list[Arrays] = []

    def run(batch: Arrays) -> Arrays:
        seen.append(batch)
        return {"y": batch["x"], "z": np.arange(4)}

    rows = lane(run).run_padded([item(5), item(6), item(7)], 4)
    assert seen[0]["x"].tolist() == [[5, 5], [6, 6], [7, 7], [0, 0]]
    assert [row["y"].tolist() for row in rows] == [[5, 5], [6, 6], [7, 7]]
    assert [row["z"].item() for row in rows] == [0, 1, 2]


@pytest.mark.parametrize("count", [1, 3])
def test_a_row_keeps_no_batch_alive_and_is_not_overwritten_by_the_next_run(count: int) -> None:
    outputs = [np.zeros((4, 1000))]
    kept = weakref.ref(outputs[0])

    def run(batch: Arrays) -> Arrays:
        outputs[0][: len(batch["x"]), 0] = batch["x"][:, 0]
        return {"y": outputs[0][: len(batch["x"])]}

    one = lane(run)
    first = one.run_padded([item(5)] * count, one.padded(count))
    one.run_padded([item(9)] * count, one.padded(count))
    assert first[0]["y"][0] == 5
    outputs.clear()
    gc.collect()
    assert kept() is None
    assert first[0]["y"].shape == (1000,)


@pytest.mark.parametrize(
    ("output", "told"),
    [
        ({"y": np.zeros(())}, r"'y' of shape \[\] for a batch of 4. Hint"),
        ({"y": np.zeros((3, 4))}, r"'y' of shape \[3, 4\] for a batch of 4. Hint"),
        ({"y": np.zeros(4), "z": np.zeros(3)}, r"'z' of shape \[3\] for a batch of 4. Hint"),
        ({}, "must return a mapping of names to arrays"),
        (None, "must return a mapping of names to arrays"),
        (np.zeros(4), "must return a mapping of names to arrays"),
    ],
)
def test_an_output_that_is_not_a_row_per_item_is_refused_with_a_hint(output: Any, told: str) -> None:
    with pytest.raises(ValueError, match=told):
        lane(lambda batch: output).run_padded([item(1)] * 3, 4)


def test_an_item_is_settled_once() -> None:
    async def settle_twice() -> Answer | Unanswered:
        one = Item(item(1), 0.0, 0, 0.0, asyncio.get_running_loop().create_future())
        answer = Answer({}, 0.0, 0.0, Batch(1, 0.0, 0.0))
        one.settle(answer)
        one.settle(Expired())
        assert await one.future is answer
        return await one.future

    assert isinstance(asyncio.run(settle_twice()), Answer)
