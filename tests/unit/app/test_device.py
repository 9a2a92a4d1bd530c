"""The device's thread: loading and warming, culprits found, memory that runs out, turns, death."""

import asyncio
import threading
import weakref
from typing import Any

import numpy as np
import pytest

from app.batcher import Batcher, DeviceDied, ItemFailed, NotServing
from app.device import Guarded
from app.lane import Lane
from models.predictor import Arrays
from tests.gateway import until
from tests.unit.app.doubler import INPUTS, NEVER, Clock, Doubler, item, loaded, outcomes, scenario, send, serving


def culprits(*values: int, error: type[BaseException] = ValueError) -> Any:
    def fail(rows: list[int]) -> None:
        if set(values) & set(rows):
            raise error(f"bad: {sorted(set(values) & set(rows))}")

    return fail


async def in_one_batch(batcher: Batcher, doubler: Doubler, *values: int) -> list[asyncio.Task[Any]]:
    """The values wait together behind a first run of 99, which is left out of `runs`."""
    doubler.hold()
    await send(batcher, 99, name=doubler.name)
    await doubler.on_device()
    tasks = await send(batcher, *values, name=doubler.name)
    doubler.runs.clear()
    doubler.let_go()
    return tasks


# Law 3: a bad item fails alone.


@scenario
async def test_a_bad_item_fails_alone_and_its_neighbours_are_answered_right() -> None:
    doubler = Doubler(sizes=(1, 2, 4, 8))
    doubler.fail = culprits(3)
    async with serving(doubler) as batcher:
        tasks = await in_one_batch(batcher, doubler, 1, 2, 3, 4, 5, 6, 7, 8)
        assert await outcomes(tasks) == [2, 4, ItemFailed, 8, 10, 12, 14, 16]
        failure = tasks[2].exception()
        assert isinstance(failure, ItemFailed)
        with pytest.raises(ValueError, match=r"^bad: \[3\]$"):
            raise failure.__cause__ or AssertionError
        assert doubler.runs == [[1, 2, 3, 4, 5, 6, 7, 8], [1, 2, 3, 4], [1, 2], [3, 4], [3], [4], [5, 6, 7, 8]]


@scenario
async def test_several_culprits_are_all_found() -> None:
    doubler = Doubler(sizes=(1, 2, 4, 8))
    doubler.fail = culprits(1, 4, 5)
    async with serving(doubler) as batcher:
        tasks = await in_one_batch(batcher, doubler, 1, 2, 3, 4, 5)
        assert await outcomes(tasks) == [ItemFailed, 4, 6, ItemFailed, ItemFailed]


@scenario
async def test_a_failure_that_passes_by_costs_nobody_the_answer() -> None:
    doubler = Doubler()
    async with serving(doubler) as batcher:
        failures = [ValueError("once")]

        def fail(rows: list[int]) -> None:
            if len(rows) > 1 and failures:
                raise failures.pop()

        doubler.fail = fail
        assert await outcomes(await in_one_batch(batcher, doubler, 1, 2, 3)) == [2, 4, 6]
        assert doubler.runs == [[1, 2, 3, 0], [1, 2], [3]]


@scenario
async def test_a_run_that_always_fails_leaves_the_lane_ready() -> None:
    doubler = Doubler()
    async with serving(doubler) as batcher:
        doubler.fail = culprits(1, 2, 3)
        assert await outcomes(await in_one_batch(batcher, doubler, 1, 2, 3)) == [ItemFailed] * 3
        assert batcher.ready
        doubler.fail = culprits()
        assert await outcomes(await send(batcher, 1)) == [2]


@scenario
async def test_out_of_memory_halves_the_batch_and_is_remembered() -> None:
    doubler = Doubler(sizes=(1, 2, 4, 8))
    async with serving(doubler) as batcher:

        def fail(rows: list[int]) -> None:
            if len(rows) > 2:
                raise MemoryError

        doubler.fail = fail
        assert await outcomes(await in_one_batch(batcher, doubler, 1, 2, 3, 4, 5)) == [2, 4, 6, 8, 10]
        assert [len(rows) for rows in doubler.runs] == [8, 4, 2, 2, 1]
        assert await outcomes(await in_one_batch(batcher, doubler, 1, 2, 3, 4)) == [2, 4, 6, 8]
        assert [len(rows) for rows in doubler.runs] == [2, 2]


@scenario
async def test_one_item_that_is_out_of_memory_alone_fails_and_makes_no_later_batch_smaller() -> None:
    doubler = Doubler()
    doubler.fail = culprits(2, error=MemoryError)
    async with serving(doubler) as batcher:
        tasks = await in_one_batch(batcher, doubler, 1, 2, 3)
        assert await outcomes(tasks) == [2, ItemFailed, 6]
        failure = tasks[1].exception()
        assert failure is not None
        assert isinstance(failure.__cause__, MemoryError)
        assert await outcomes(await in_one_batch(batcher, doubler, 5, 6, 7, 8)) == [10, 12, 14, 16]
        assert doubler.runs == [[5, 6, 7, 8]]


@scenario
async def test_an_output_without_a_row_per_item_fails_with_a_hint() -> None:
    doubler = Doubler()
    async with serving(doubler) as batcher:
        doubler.answer = lambda batch: {"y": np.zeros((3, 1))}
        (task,) = await send(batcher, 1)
        assert await outcomes([task]) == [ItemFailed]
        failure = task.exception()
        assert failure is not None
        with pytest.raises(ValueError, match=r"'y' of shape \[3, 1\] for a batch of 1. Hint: the first axis"):
            raise failure.__cause__ or AssertionError


# Law 6: turns.


@scenario
async def test_items_of_a_predictor_are_run_in_the_order_they_came() -> None:
    doubler = Doubler(sizes=(1, 2, 4))
    async with serving(doubler, queue_limit=100) as batcher:
        values = list(range(1, 51))
        assert await outcomes(await in_one_batch(batcher, doubler, *values)) == [2 * value for value in values]
        assert [value for rows in doubler.runs for value in rows if value] == values


@scenario
async def test_predictors_get_turns_by_device_time_used() -> None:
    clock, order = Clock(), list[int]()
    slow = Doubler("slow", (1,), clock=clock, cost=lambda size: 4.0, order=order)
    fast = Doubler("fast", (1,), clock=clock, cost=lambda size: 1.0, order=order)
    async with serving(slow, fast, clock=clock, queue_limit=100) as batcher:
        slow.hold()
        tasks = await send(batcher, 1, *[1] * 20, name="slow")
        await slow.on_device()
        tasks += await send(batcher, *[2] * 80, name="fast")
        slow.let_go()
        await outcomes(tasks)
    used = {1: 0.0, 2: 0.0}
    for value in order[:80]:  # both have work all this time
        used[value] += {1: 4.0, 2: 1.0}[value]
        assert abs(used[1] - used[2]) <= 4.0
    assert min(used.values()) >= 60


@scenario
async def test_time_spent_idle_is_no_credit() -> None:
    clock, order = Clock(), list[int]()
    busy, idle = (Doubler(name, (1,), clock=clock, cost=lambda size: 1.0, order=order) for name in ("busy", "idle"))
    async with serving(busy, idle, clock=clock, queue_limit=100) as batcher:
        await outcomes(await send(batcher, *[1] * 50, name="busy"))
        busy.hold()
        tasks = await send(batcher, *[1] * 10, name="busy")
        await busy.on_device()
        order.clear()
        tasks += await send(batcher, *[2] * 10, name="idle")
        busy.let_go()
        await outcomes(tasks)
    assert all(abs(order[:n].count(1) - order[:n].count(2)) <= 2 for n in range(19))


# Law 7: no shape after readiness that was not warmed.


@scenario
async def test_every_size_is_warmed_and_no_other_is_ever_run() -> None:
    doubler = Doubler(sizes=(1, 3, 8))
    batcher = Batcher("cpu", queue_limit=100)
    batcher.add("a", doubler.load, doubler.run, INPUTS, doubler.sizes)
    await batcher.start()
    await loaded(batcher, "a")
    assert doubler.runs == [[0], [0] * 3, [0] * 8]
    for count in range(1, 20):
        assert await outcomes(await in_one_batch(batcher, doubler, *[7] * count)) == [14] * count
        assert {len(rows) for rows in doubler.runs} <= {1, 3, 8}
    await batcher.stop(30.0)


@scenario
async def test_a_size_that_is_out_of_memory_when_warmed_is_not_used() -> None:
    doubler = Doubler(sizes=(1, 2, 4, 8))

    def fail(rows: list[int]) -> None:
        if len(rows) > 2:
            raise MemoryError

    doubler.fail = fail
    async with serving(doubler) as batcher:
        assert batcher.ready
        assert await outcomes(await in_one_batch(batcher, doubler, 1, 2, 3, 4)) == [2, 4, 6, 8]
        assert doubler.runs == [[1, 2], [3, 4]]


# Loading.


def never_loads(device: str) -> None:
    raise FileNotFoundError("weights.safetensors is not there")


def exits(device: str) -> None:
    raise SystemExit(3)


def squeezed(batch: Arrays) -> Arrays:
    return {"y": np.squeeze(batch["x"])}


@pytest.mark.parametrize(
    ("load", "run", "told"),
    [
        (never_loads, Doubler().run, r"^bad: FileNotFoundError: weights.safetensors is not there$"),
        (exits, Doubler().run, r"^bad: SystemExit: 3$"),
        (Doubler().load, squeezed, r"^bad: ValueError: run of bad returned 'y' of shape \[2\] for a batch of 1"),
    ],
    ids=["load raises", "load exits", "warm-up raises"],
)
@scenario
async def test_a_predictor_that_does_not_load_or_warm_fails_by_name_and_the_others_serve(
    load: Any, run: Any, told: str
) -> None:
    good = Doubler("good")
    batcher = Batcher("cpu")
    batcher.add("bad", load, run, INPUTS, (1, 2))
    batcher.add("good", good.load, good.run, INPUTS, (1, 2))
    await batcher.start()
    await loaded(batcher, "bad", "good")
    assert (batcher.state("bad"), batcher.state("good")) == ("failed", "ready")
    assert batcher.reason("good") is None
    assert batcher.alive
    assert not batcher.ready
    with pytest.raises(NotServing, match=told) as refusal:
        await batcher.submit("bad", item(1), deadline=NEVER)
    assert refusal.value.state == "failed"
    assert await outcomes(await send(batcher, 1, name="good")) == [2]
    await batcher.stop(30.0)


@scenario
async def test_each_predictor_is_loaded_once_by_one_thread_and_run_by_the_other() -> None:
    threads: list[str] = []
    doubler = Doubler()
    batcher = Batcher("cuda:1")

    def load(device: str) -> None:
        threads.append(threading.current_thread().name)
        doubler.load(device)

    def run(batch: Arrays) -> Arrays:
        threads.append(threading.current_thread().name)
        return doubler.run(batch)

    batcher.add("a", load, run, INPUTS, (1, 2))
    await batcher.start()
    refused = await send(batcher, *range(1, 21))
    await outcomes(refused)
    await loaded(batcher, "a")
    assert await outcomes(await send(batcher, *range(1, 21))) == list(range(2, 42, 2))
    await batcher.stop(30.0)
    assert doubler.loads == ["cuda:1"]
    assert threads[0] == "carlens-cuda:1-load"
    assert set(threads[1:]) == {"carlens-cuda:1"}


@scenario
async def test_what_is_ready_serves_while_another_still_loads() -> None:
    loading, go_on, quick = threading.Event(), threading.Event(), Doubler("quick")
    served: list[bool] = []

    def load(device: str) -> None:
        loading.set()
        assert go_on.wait(30.0)

    def load_last(device: str) -> None:
        served.append([1] in quick.runs)

    batcher = Batcher("cpu")
    batcher.add("quick", quick.load, quick.run, INPUTS, (1,))
    batcher.add("slow", load, Doubler().run, INPUTS, (1,))
    batcher.add("last", load_last, Doubler().run, INPUTS, (1,))
    await batcher.start()
    assert await asyncio.to_thread(loading.wait, 30.0)
    await loaded(batcher, "quick")
    assert (batcher.state("quick"), batcher.state("slow")) == ("ready", "loading")
    assert not batcher.ready
    assert await outcomes(await send(batcher, 1, name="quick")) == [2]
    assert served == []
    go_on.set()
    await loaded(batcher, "quick", "slow", "last")
    assert batcher.ready
    assert served == [True]
    await batcher.stop(30.0)


# Death.


class Doom(BaseException):
    """What no `except Exception` catches."""


@pytest.mark.parametrize("error", [Doom, SystemExit])
@scenario
async def test_a_thread_that_dies_fails_all_that_is_pending_and_readiness(error: type[BaseException]) -> None:
    doomed, other = Doubler("a", (1, 2)), Doubler("b")
    async with serving(doomed, other, clock=Clock()) as batcher:
        doomed.hold()
        tasks = await send(batcher, 1)
        await doomed.on_device()
        tasks += await send(batcher, 2, 3, 4) + await send(batcher, 5, 6, name="b")
        doomed.fail = culprits(2, error=error)
        doomed.let_go()
        assert await outcomes(tasks) == [2, *[DeviceDied] * 5]
        assert not batcher.alive
        assert not batcher.ready
        assert batcher.state("b") == "failed"
        assert "b: the thread of device cpu died" in (batcher.reason("b") or "")
        with pytest.raises(DeviceDied):
            batcher.admit("a", NEVER)
        assert await outcomes(await send(batcher, 7)) == [DeviceDied]
        assert other.runs == []


@scenario
async def test_a_defect_of_the_thread_itself_is_its_death_and_not_silence(monkeypatch: pytest.MonkeyPatch) -> None:
    async with serving(Doubler()) as batcher:

        def broken(*_: Any) -> None:
            raise IndexError("a defect")

        monkeypatch.setattr(batcher._device, "_execute", broken)
        assert await outcomes(await send(batcher, 1, 2)) == [DeviceDied] * 2
        assert not batcher.alive


# Versions: lanes that come and go while the device runs.


def add(batcher: Batcher, one: Doubler) -> Lane:
    return batcher.add(one.name, one.load, one.run, INPUTS, one.sizes)


@scenario
async def test_one_that_is_added_late_is_loaded_and_warmed_beside_those_that_serve() -> None:
    first, second = Doubler("a", (1, 2)), Doubler("a", (1, 2))
    async with serving(first) as batcher:
        loading, go_on = threading.Event(), threading.Event()

        def load(device: str) -> None:
            loading.set()
            assert go_on.wait(30.0)

        late = batcher.add("a", load, second.run, INPUTS, second.sizes)
        assert await asyncio.to_thread(loading.wait, 30.0)
        old = batcher._device.lanes[0]
        assert (await batcher.submit(old, item(1), deadline=NEVER)).output["y"].tolist() == [2, 2]
        with pytest.raises(NotServing):
            batcher.admit(late, NEVER)
        go_on.set()
        await asyncio.wait_for(late.settled.wait(), 30.0)
        assert late.state == "ready"
        assert second.runs == [[0], [0, 0]]
        assert (await batcher.submit(late, item(2), deadline=NEVER)).output["y"].tolist() == [4, 4]
        assert second.runs[2:] == [[2]]


@scenario
async def test_warming_takes_turns_with_what_waits() -> None:
    clock, order = Clock(), list[int]()
    busy = Doubler("a", (1,), clock=clock, cost=lambda size: 1.0)
    late = Doubler("b", (1, 2, 3, 4), clock=clock, cost=lambda size: 1.0)
    async with serving(busy, clock=clock) as batcher:
        busy.hold()
        tasks = await send(batcher, *[1] * 9)
        await busy.on_device()
        lane = add(batcher, late)
        await until(lambda: bool(lane.cold))
        busy.fail = lambda rows: order.append(1)
        late.fail = lambda rows: order.append(0)
        busy.let_go()
        await outcomes(tasks)
        await asyncio.wait_for(lane.settled.wait(), 30.0)
    assert order == [1, 0, 1, 0, 1, 0, 1, 0, 1, 1, 1, 1, 1]


@scenario
async def test_a_retired_lane_answers_those_who_hold_it_and_is_freed_with_the_last_of_them() -> None:
    first, second = Doubler("a", (1,)), Doubler("a", (1,))
    async with serving(first) as batcher:
        old = batcher._device.lanes[0]
        new = add(batcher, second)
        await asyncio.wait_for(new.settled.wait(), 30.0)
        first.hold()
        tasks = [asyncio.create_task(batcher.submit(old, item(n), deadline=NEVER)) for n in (1, 2)]
        await first.on_device()
        batcher.retire(old)
        first.let_go()
        assert await outcomes(tasks) == [2, 4]
        assert batcher._device.lanes == [new]
        assert (await batcher.submit(old, item(3), deadline=NEVER)).output["y"].tolist() == [6, 6]
        assert batcher._device.lanes == [new]
        assert second.runs == [[0]]
        gone = weakref.ref(old)
        del old, tasks
        await until(lambda: gone() is None)


@scenario
async def test_a_late_one_that_fails_leaves_those_that_serve_alone() -> None:
    first, bad = Doubler("a", (1,)), Doubler("a", (1,))
    bad.fail = culprits(0, error=MemoryError)
    async with serving(first) as batcher:
        old = batcher._device.lanes[0]
        lane = add(batcher, bad)
        await asyncio.wait_for(lane.settled.wait(), 30.0)
        assert (lane.state, lane.reason) == ("failed", "a: MemoryError: bad: [0]")
        batcher.retire(lane)
        with pytest.raises(NotServing, match="b is not loaded"):
            batcher.admit("b", NEVER)
        assert batcher.ready
        assert (await batcher.submit(old, item(1), deadline=NEVER)).output["y"].tolist() == [2, 2]


@scenario
async def test_depths_of_versions_are_counted_together() -> None:
    first, second, depths = Doubler("a", (1,)), Doubler("a", (1,)), list[int]()

    class Depths(Guarded):
        def depth(self, name: str, n: int) -> None:
            depths.append(n)

    async with serving(first, observer=Depths(None)) as batcher:
        old = batcher._device.lanes[0]
        new = add(batcher, second)
        await asyncio.wait_for(new.settled.wait(), 30.0)
        first.hold()
        tasks = [asyncio.create_task(batcher.submit(old, item(1), deadline=NEVER))]
        await first.on_device()
        tasks += [asyncio.create_task(batcher.submit(lane, item(2), deadline=NEVER)) for lane in (old, new)]
        await asyncio.sleep(0)
        assert depths[-1] == 2
        first.let_go()
        await outcomes(tasks)
        assert depths[-1] == 0


@scenario
async def test_the_oldest_is_the_batch_on_the_device_or_what_waits_longest() -> None:
    clock = Clock()
    doubler = Doubler(sizes=(1,), clock=clock)
    async with serving(doubler, clock=clock) as batcher:
        assert batcher.oldest_s == 0
        doubler.hold()
        tasks = await send(batcher, 1)
        await doubler.on_device()
        clock.now += 5
        assert batcher.oldest_s == 5
        tasks += await send(batcher, 2)
        clock.now += 2
        assert batcher.oldest_s == 7
        doubler.let_go()
        await outcomes(tasks)
        assert batcher.oldest_s == 0


@scenario
async def test_an_item_that_fails_alone_raises_a_doubt_and_one_that_expires_does_not() -> None:
    doubler, doubted = Doubler("a", (1, 2)), list[str]()
    doubler.fail = culprits(3)
    async with serving(doubler) as batcher:
        batcher.on_doubt(lambda lane: doubted.append(lane.name))
        await outcomes(await send(batcher, 1, 2))
        assert doubted == []
        await outcomes(await send(batcher, 3, 4))
        assert doubted == ["a"]
