"""The batcher's laws as a caller sees them: answers, waiting, dropping, admission, shutdown."""

import asyncio
import threading
import time
from typing import Any

import numpy as np
import pytest

from app.batcher import Batcher, DeviceStuck, Expired, ItemFailed, NotServing, QueueFull, Stopping
from app.lane import TRUSTED_S
from tests.unit.app.doubler import INPUTS, NEVER, Clock, Doubler, item, loaded, outcomes, scenario, send, serving


@scenario
async def test_an_item_is_answered_by_its_own_row() -> None:
    async with serving(Doubler()) as batcher:
        answer = await batcher.submit("a", item(21), deadline=NEVER)
        assert answer.output["y"].tolist() == [42, 42]
        assert answer.batch_size == 1


@scenario
async def test_the_free_device_takes_what_waits_at_once_up_to_the_largest_batch() -> None:
    doubler = Doubler(sizes=(1, 2, 4))
    async with serving(doubler) as batcher:
        doubler.hold()
        first = await send(batcher, 1)
        await doubler.on_device()
        others = await send(batcher, 2, 3, 4, 5, 6, 7, 8)
        doubler.let_go()
        assert await outcomes(first + others) == [2, 4, 6, 8, 10, 12, 14, 16]
        assert doubler.runs == [[1], [2, 3, 4, 5], [6, 7, 8, 0]]


@scenario
async def test_timings_tell_queue_device_and_batch_size() -> None:
    clock = Clock()
    doubler = Doubler(clock=clock, cost=lambda size: 2.0 * size)
    async with serving(doubler, clock=clock) as batcher:
        doubler.hold()
        tasks = await send(batcher, 1)
        await doubler.on_device()
        tasks += await send(batcher, 2, 3, 4)
        clock.now += 5.0
        doubler.let_go()
        answers = await asyncio.gather(*tasks)
        assert [(one.queue_s, one.device_s, one.batch_size) for one in answers] == [(0, 7, 1)] + [(7, 8, 3)] * 3


# Law 2: no added wait, no polling.


@scenario
async def test_the_device_thread_waits_for_work_without_any_timeout(monkeypatch: pytest.MonkeyPatch) -> None:
    waits: list[object] = []

    def waiting(self: threading.Condition, timeout: float | None = None, wait: Any = threading.Condition.wait) -> bool:
        if threading.current_thread().name == "carlens-cpu":
            waits.append(timeout)
        return bool(wait(self, timeout))

    def sleeping(seconds: float) -> None:
        waits.append(seconds)

    monkeypatch.setattr(threading.Condition, "wait", waiting)
    monkeypatch.setattr(time, "sleep", sleeping)
    async with serving(Doubler()) as batcher:
        for value in range(1, 21):
            assert await outcomes(await send(batcher, value)) == [2 * value]
    assert waits
    assert set(waits) == {None}


@pytest.mark.skipif(not hasattr(time, "pthread_getcpuclockid"), reason="this system has no CPU clock per thread")
@scenario
async def test_an_idle_device_thread_uses_no_cpu() -> None:
    async with serving(Doubler()) as batcher:
        await batcher.submit("a", item(1), deadline=NEVER)
        thread = next(thread for thread in threading.enumerate() if thread.name == "carlens-cpu")
        assert thread.ident is not None
        cpu = time.pthread_getcpuclockid(thread.ident)
        used = []
        for _ in range(4):  # in the first of these it may still be on its way to its next wait
            before = time.clock_gettime(cpu)
            threading.Event().wait(0.05)
            used.append(time.clock_gettime(cpu) - before)
        assert min(used) < 0.00005


# Law 4: cancelled or expired items never reach the device.


@scenario
async def test_cancelled_items_never_reach_the_device_and_give_their_place_back() -> None:
    doubler = Doubler()
    async with serving(doubler, queue_limit=3) as batcher:
        doubler.hold()
        first = await send(batcher, 1)
        await doubler.on_device()
        gone = await send(batcher, 2, 3, 4)
        for task in gone:
            task.cancel()
        await asyncio.wait(gone)
        patient = await send(batcher, 5, 6, 7)
        doubler.let_go()
        assert await outcomes(first + gone + patient) == [2, *[asyncio.CancelledError] * 3, 10, 12, 14]
        assert doubler.runs == [[1], [5, 6, 7, 0]]


@scenario
async def test_an_item_cancelled_while_the_loop_is_busy_is_dropped_at_assembly() -> None:
    doubler = Doubler(sizes=(1, 2))
    async with serving(doubler) as batcher:
        doubler.hold()
        first = await send(batcher, 1)
        await doubler.on_device()
        gone, *patient = await send(batcher, 2, 3)
        gone.cancel()
        doubler.let_go()
        await_without_the_loop(lambda: len(doubler.runs) == 2)
        assert doubler.runs == [[1], [3]]
        assert await outcomes([*first, gone, *patient]) == [2, asyncio.CancelledError, 6]


def await_without_the_loop(happened: Any) -> None:
    tick = threading.Event()
    for _ in range(10_000):
        if happened():
            return
        tick.wait(0.001)


@scenario
async def test_an_item_cancelled_on_the_device_harms_no_neighbour() -> None:
    doubler = Doubler()
    async with serving(doubler) as batcher:
        doubler.hold()
        tasks = await send(batcher, 1)
        await doubler.on_device()
        tasks += await send(batcher, 2, 3)
        tasks[0].cancel()
        doubler.let_go()
        assert await outcomes(tasks) == [asyncio.CancelledError, 4, 6]
        assert await outcomes(await send(batcher, 4)) == [8]


@scenario
async def test_expired_items_are_dropped_at_assembly_and_make_no_batch_smaller() -> None:
    clock = Clock()
    doubler = Doubler(sizes=(1, 2), clock=clock)
    async with serving(doubler, clock=clock) as batcher:
        doubler.hold()
        tasks = await send(batcher, 1)
        await doubler.on_device()
        tasks += await send(batcher, 2, deadline=clock.now + 50)
        tasks += await send(batcher, 4)
        tasks += await send(batcher, 3, deadline=clock.now + 50)
        tasks += await send(batcher, 5)
        clock.now += 50
        doubler.let_go()
        assert await outcomes(tasks) == [2, Expired, 8, Expired, 10]
        assert doubler.runs == [[1], [4, 5]]


@scenario
async def test_an_item_that_expires_while_its_batch_is_split_is_not_run_again() -> None:
    clock = Clock()
    doubler = Doubler(clock=clock, cost=lambda size: 10.0)
    doubler.fail = refuse_at_once(3)
    async with serving(doubler, clock=clock) as batcher:
        doubler.hold()
        tasks = await send(batcher, 9)
        await doubler.on_device()
        tasks += await send(batcher, 1, 2)
        tasks += await send(batcher, 3, 4, deadline=clock.now + 25)
        doubler.let_go()
        assert await outcomes(tasks) == [18, 2, 4, Expired, Expired]
        assert doubler.runs == [[9], [1, 2, 3, 4], [1, 2]]


def refuse_at_once(culprit: int) -> Any:
    def fail(rows: list[int]) -> None:
        if culprit in rows:
            raise ValueError(f"{culprit} is bad")

    return fail


@pytest.mark.parametrize("on_device", [True, False], ids=["computing", "queued"])
@scenario
async def test_the_deadline_ends_the_wait_while(on_device: bool) -> None:
    doubler = Doubler()
    async with serving(doubler) as batcher:
        doubler.hold()
        first = [] if on_device else await send(batcher, 1)
        with pytest.raises(Expired):
            await batcher.submit("a", item(2), deadline=time.monotonic() + 0.02)
        doubler.let_go()
        assert await outcomes(first + await send(batcher, 3)) == [2, 6][on_device:]
        assert [3] in doubler.runs
        assert ([2] in doubler.runs) is on_device


@scenario
async def test_a_deadline_that_has_passed_is_expired_at_once() -> None:
    clock = Clock()
    doubler = Doubler()
    async with serving(doubler, clock=clock) as batcher:
        with pytest.raises(Expired):
            batcher.admit("a", clock.now)
        with pytest.raises(Expired):
            await batcher.submit("a", item(1), deadline=clock.now)
        assert doubler.runs == []


# Law 5: the queue is bounded, and what cannot be answered in time is refused at once.


@scenario
async def test_a_full_queue_refuses_exactly_those_that_are_too_many() -> None:
    doubler = Doubler()
    async with serving(doubler, queue_limit=3) as batcher:
        doubler.hold()
        tasks = await send(batcher, 1)
        await doubler.on_device()
        tasks += await send(batcher, 2, 3, 4, 5, 6)
        assert [task.done() for task in tasks] == [False] * 4 + [True] * 2
        with pytest.raises(QueueFull) as refusal:
            batcher.admit("a", NEVER)
        assert refusal.value.retry_after_s > 0
        doubler.let_go()
        assert await outcomes(tasks) == [2, 4, 6, 8, QueueFull, QueueFull]


@scenario
async def test_the_door_counts_all_the_items_that_will_come() -> None:
    async with serving(Doubler(), queue_limit=3) as batcher:
        batcher.admit("a", NEVER, items=3)
        with pytest.raises(QueueFull):
            batcher.admit("a", NEVER, items=4)


@scenario
async def test_before_any_measurement_everything_is_admitted() -> None:
    clock = Clock()
    async with serving(Doubler(clock=clock, cost=lambda size: 9.0), clock=clock) as batcher:
        batcher.admit("a", clock.now + 0.001)


@scenario
async def test_a_deadline_shorter_than_a_run_is_refused_at_the_door_and_at_submission() -> None:
    clock = Clock()
    doubler = Doubler(clock=clock, cost=lambda size: 2.0)
    async with serving(doubler, clock=clock) as batcher:
        await batcher.submit("a", item(1), deadline=NEVER)
        batcher.admit("a", clock.now + 2.1)
        with pytest.raises(QueueFull) as refusal:
            batcher.admit("a", clock.now + 1.9)
        assert refusal.value.retry_after_s == pytest.approx(2.0)
        with pytest.raises(QueueFull):
            await batcher.submit("a", item(2), deadline=clock.now + 1.9)
        assert doubler.runs == [[1]]


@scenario
async def test_runs_that_fail_say_nothing_about_the_service_time() -> None:
    clock = Clock()
    seconds = iter([0.0, 0.0, 0.0, 2.0, 0.0, 0.0])
    doubler = Doubler(clock=clock, cost=lambda size: next(seconds))
    doubler.fail = refuse_at_once(2)
    async with serving(doubler, clock=clock) as batcher:
        for value, outcome in ((1, 2), (2, ItemFailed), (2, ItemFailed)):
            assert await outcomes(await send(batcher, value)) == [outcome]
        assert_takes(batcher, clock, 2.0)


@scenario
async def test_the_door_counts_what_runs_what_waits_and_the_turns_of_the_others() -> None:
    clock = Clock()
    doublers = [Doubler(name, (1, 2), clock=clock, cost=lambda size: 2.0 * size) for name in "ab"]
    async with serving(*doublers, clock=clock) as batcher:
        for doubler in doublers:
            await batcher.submit(doubler.name, item(1), deadline=NEVER)
        doublers[0].hold()
        tasks = await send(batcher, 2)
        await doublers[0].on_device()
        clock.now += 0.5
        assert_takes(batcher, clock, 1.5 + 2)
        tasks += await send(batcher, 3, 4, 5)
        assert_takes(batcher, clock, 1.5 + 4 + 4)
        tasks += await send(batcher, 6, name="b")
        assert_takes(batcher, clock, 1.5 + 4 + 4 + 2)
        clock.now += 60.0
        assert_takes(batcher, clock, 4 + 4 + 2)
        doublers[0].let_go()
        await outcomes(tasks)


def assert_takes(batcher: Batcher, clock: Clock, seconds: float) -> None:
    batcher.admit("a", clock.now + seconds + 0.01)
    with pytest.raises(QueueFull):
        batcher.admit("a", clock.now + seconds - 0.01)


@scenario
async def test_one_slow_moment_does_not_close_the_door_for_ever() -> None:
    clock = Clock()
    seconds = iter([0.0, 0.0, 0.0, 300.0, 1.0, 1.0])
    doubler = Doubler(clock=clock, cost=lambda size: next(seconds))
    async with serving(doubler, clock=clock) as batcher:
        await batcher.submit("a", item(1), deadline=NEVER)
        with pytest.raises(QueueFull):
            batcher.admit("a", clock.now + 10)
        clock.now += TRUSTED_S
        assert await outcomes(await send(batcher, 2, deadline=clock.now + 10)) == [4]
        with pytest.raises(QueueFull):
            batcher.admit("a", clock.now + 10)


# Law 8: shutdown.


@scenario
async def test_stop_finishes_what_was_taken_and_takes_no_more() -> None:
    doubler = Doubler(sizes=(1,))
    async with serving(doubler) as batcher:
        doubler.hold()
        tasks = await send(batcher, 1, 2, 3)
        await doubler.on_device()
        stopping = asyncio.create_task(batcher.stop(30.0))
        await asyncio.sleep(0)
        assert not batcher.ready
        assert batcher.alive
        with pytest.raises(Stopping):
            batcher.admit("a", NEVER)
        assert await outcomes(await send(batcher, 4)) == [Stopping]
        doubler.let_go()
        await stopping
        assert all(task.done() for task in tasks)
        assert await outcomes(tasks) == [2, 4, 6]
        assert doubler.runs == [[1], [2], [3]]


@scenario
async def test_stop_leaves_a_hanging_run_behind_and_answers_everybody() -> None:
    doubler, diary = Doubler(sizes=(1,)), Diary()
    async with serving(doubler, observer=diary) as batcher:
        doubler.hold()
        tasks = await send(batcher, 1, 2, 3)
        await doubler.on_device()
        await batcher.stop(0.0)
        assert await outcomes(tasks) == [Stopping] * 3
        assert diary.depths["a"][-1] == 0
        assert [thread.daemon for thread in threading.enumerate() if thread.name == "carlens-cpu"] == [True]
        doubler.let_go()
        await batcher.stop(30.0)
        assert await thread_ended()
        assert not batcher.alive
        assert doubler.runs == [[1]]


async def thread_ended() -> bool:
    for thread in threading.enumerate():
        if thread.name == "carlens-cpu":
            await asyncio.to_thread(thread.join, 30.0)
            return not thread.is_alive()
    return True


@scenario
async def test_a_cancelled_stop_still_answers_everybody() -> None:
    doubler = Doubler(sizes=(1,))
    async with serving(doubler) as batcher:
        doubler.hold()
        tasks = await send(batcher, 1, 2)
        await doubler.on_device()
        stopping = asyncio.create_task(batcher.stop(30.0))
        await asyncio.sleep(0)
        stopping.cancel()
        assert await outcomes(tasks) == [Stopping] * 2


@scenario
async def test_stop_while_loading_loads_no_further_and_comes_back() -> None:
    loading, go_on, late = threading.Event(), threading.Event(), Doubler("late")

    def load(device: str) -> None:
        loading.set()
        assert go_on.wait(30.0)

    batcher = Batcher("cpu")
    batcher.add("slow", load, Doubler().run, INPUTS, (1, 2))
    batcher.add("late", late.load, late.run, INPUTS, (1, 2))
    await batcher.start()
    assert await asyncio.to_thread(loading.wait, 30.0)
    await batcher.stop(0.0)
    go_on.set()
    await batcher.stop(30.0)
    assert late.loads == []
    assert batcher.state("slow") == "loading"


@scenario
async def test_stop_before_start_is_no_error_and_start_is_refused_after_it() -> None:
    batcher = Batcher("cpu")
    await batcher.stop(30.0)
    with pytest.raises(RuntimeError, match="starts once"):
        await batcher.start()


def test_answers_for_a_closed_loop_are_survived() -> None:
    doubler = Doubler()
    batcher = Batcher("cpu")
    batcher.add("a", doubler.load, doubler.run, INPUTS, (1,))

    async def leave_an_item_behind() -> None:
        await batcher.start()
        await loaded(batcher, "a")
        doubler.hold()
        await send(batcher, 1)
        await doubler.on_device()

    asyncio.run(leave_an_item_behind())
    doubler.let_go()
    asyncio.run(batcher.stop(0.0))
    for thread in threading.enumerate():
        if thread.name == "carlens-cpu":
            thread.join(30.0)
    assert not batcher.alive
    assert batcher.state("a") == "ready", "the thread died instead of ending"


# What is put in, and who is told.


@pytest.mark.parametrize(
    ("arrays", "told"),
    [
        ({"x": np.zeros(3, np.int64)}, r"int64\[3\] instead of int64\[2\]"),
        ({"x": np.zeros(2, np.int32)}, r"int32\[2\] instead of int64\[2\]"),
        ({"z": np.zeros(2, np.int64)}, r"named \['z'\] instead of \['x'\]"),
        ({"x": [0, 0]}, "list instead of a numpy array"),
    ],
)
@scenario
async def test_an_item_that_does_not_fit_never_gets_into_the_queue(arrays: Any, told: str) -> None:
    doubler = Doubler()
    async with serving(doubler) as batcher:
        with pytest.raises(ItemFailed) as failure:
            await batcher.submit("a", arrays, deadline=NEVER)
        with pytest.raises(ValueError, match=told):
            raise failure.value.__cause__ or AssertionError
        assert doubler.runs == []


@scenario
async def test_before_it_is_loaded_a_predictor_takes_nothing() -> None:
    batcher = Batcher("cpu")
    batcher.add("a", Doubler().load, Doubler().run, INPUTS, (1,))
    with pytest.raises(NotServing) as refusal:
        await batcher.submit("a", item(1), deadline=NEVER)
    assert refusal.value.state == "loading"
    assert not batcher.alive
    assert not batcher.ready


@pytest.mark.parametrize("sizes", [(), (0, 1), (2, 1), (1, 1)])
def test_batch_sizes_that_make_no_sense_are_refused(sizes: tuple[int, ...]) -> None:
    with pytest.raises(ValueError, match="batch_sizes must be ascending"):
        Batcher("cpu").add("a", Doubler().load, Doubler().run, INPUTS, sizes)


@scenario
async def test_a_batcher_starts_once() -> None:
    async with serving(Doubler("a")) as batcher:
        with pytest.raises(RuntimeError, match="starts once"):
            await batcher.start()


class Diary:
    """An observer that remembers."""

    def __init__(self) -> None:
        self.batches: list[tuple[str, int, int, float]] = []
        self.drops: list[tuple[str, str]] = []
        self.depths: dict[str, list[int]] = {}

    def batch(self, name: str, size: int, padded: int, seconds: float) -> None:
        self.batches.append((name, size, padded, seconds))

    def dropped(self, name: str, reason: str) -> None:
        self.drops.append((name, reason))

    def depth(self, name: str, n: int) -> None:
        self.depths.setdefault(name, []).append(n)


@scenario
async def test_the_observer_is_told_of_batches_depths_and_every_item_without_an_answer() -> None:
    clock, diary = Clock(), Diary()
    doubler = Doubler(clock=clock, cost=lambda size: 3.0)
    doubler.fail = refuse_at_once(4)
    async with serving(doubler, clock=clock, observer=diary, queue_limit=4) as batcher:
        doubler.hold()
        tasks = await send(batcher, 1)
        await doubler.on_device()
        tasks += await send(batcher, 2, deadline=clock.now + 2)
        tasks += await send(batcher, 3, 4, 5, 6)
        tasks[2].cancel()
        doubler.let_go()
        await outcomes(tasks)
        with pytest.raises(QueueFull):
            batcher.admit("a", clock.now + 1)
    assert diary.batches == [("a", 1, 1, 3), ("a", 2, 2, 3), ("a", 1, 1, 3), ("a", 1, 1, 3)]
    assert sorted(reason for _, reason in diary.drops) == ["backend", "deadline", "deadline", "disconnect", "full"]
    assert max(diary.depths["a"]) == 4
    assert diary.depths["a"][-1] == 0


@scenario
async def test_a_run_that_began_uncounted_stays_so_whoever_hears_of_its_answer_first() -> None:
    diary, doubler = Diary(), Doubler()
    async with serving(doubler, observer=diary) as batcher:
        lane = batcher._lane("a")
        lane.counted = False
        doubler.hold()
        proving = await send(batcher, 1)
        await doubler.on_device()
        lane.counted = True  # as after a proof, whose answer is heard before the device's thread goes on
        doubler.let_go()
        await outcomes(proving)
        await outcomes(await send(batcher, 2))
    assert [name for name, *_ in diary.batches] == ["a"]


class Saboteur(Diary):
    """An observer that always raises."""

    def batch(self, name: str, size: int, padded: int, seconds: float) -> None:
        raise OSError("the disk is full")

    def dropped(self, name: str, reason: str) -> None:
        raise OSError("the disk is full")

    def depth(self, name: str, n: int) -> None:
        raise OSError("the disk is full")


@scenario
async def test_an_observer_that_raises_is_logged_once_and_breaks_nothing(caplog: pytest.LogCaptureFixture) -> None:
    doubler = Doubler()
    doubler.fail = refuse_at_once(3)
    async with serving(doubler, observer=Saboteur()) as batcher:
        assert await outcomes(await send(batcher, 1, 2, 3)) == [2, 4, ItemFailed]
        assert batcher.ready
    assert sum("observer raised" in record.message for record in caplog.records) == 1


@scenario
async def test_a_run_that_does_not_come_back_closes_the_door_until_it_does() -> None:
    clock, doubler = Clock(), Doubler()
    async with serving(doubler, clock=clock, stuck_s=5.0) as batcher:
        doubler.hold()
        first = await send(batcher, 1)
        await doubler.on_device()
        clock.now += 4.9
        waiting = await send(batcher, 2)
        assert batcher.ready
        clock.now += 0.2
        assert (batcher.ready, batcher.stuck, batcher.state("a")) == (False, True, "ready")
        with pytest.raises(DeviceStuck):
            batcher.admit("a", NEVER)
        assert await outcomes(await send(batcher, 3)) == [DeviceStuck]
        doubler.let_go()
        assert await outcomes(first + waiting) == [2, 4]
        assert batcher.ready
        assert await outcomes(await send(batcher, 4)) == [8]
