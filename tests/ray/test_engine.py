"""The engine over handles that a test holds in its hand: what it refuses, sends, cancels, asks again, and counts."""

import asyncio
import gc
import math
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import numpy as np
import pytest

from app.lane import (
    Answer,
    DeviceDied,
    Expired,
    ItemFailed,
    Lane,
    NotServing,
    QueueFull,
    Stopping,
)
from app.settings import Settings
from models.predictor import Arrays
from tests.fakes import SIZE, Brightness
from tests.gateway import until

pytest.importorskip("ray", reason='needs pip install "carlens[ray]"')

from ray.exceptions import ActorDiedError

from app.engines import ray as engines
from app.engines.fleet import Condition, Fleet, Order
from app.engines.ray import RayEngine
from app.engines.replica import refusal
from app.engines.replicated import Replicated
from app.engines.wire import Refusal, Reply, Row, Run

pytestmark = [pytest.mark.anyio, pytest.mark.ray, pytest.mark.filterwarnings("ignore")]

ITEM: Arrays = {"pixels": np.zeros((SIZE, SIZE, 3), np.uint8)}
OUTPUT: Arrays = {"channels": np.zeros(3)}


class Response:
    """What a call of a handle gives; the test says what comes of it."""

    def __init__(self, left_s: float) -> None:
        self.left_s = left_s
        self.outcome: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
        self.cancelled = False

    def __await__(self) -> Any:
        return self.outcome.__await__()

    def cancel(self) -> None:
        self.cancelled = True


class Method:
    def __init__(self, call: Callable[..., Any]) -> None:
        self.remote = call


class Cluster:
    """In the place of a `Fleet`: `running` replicas, and the calls that were made."""

    def __init__(self) -> None:
        self.running = 1
        self.failure: str | None = None
        self.lost = False
        self.orders: list[Order] = []
        self.applications: list[str] = []
        self.calls: list[Response] = []
        self.closed = False
        self.ask = Method(self._ask)
        self.card = Method(self._card)

    def _ask(self, item: Arrays, left_s: float) -> Response:
        self.calls.append(Response(left_s))
        return self.calls[-1]

    async def _card(self) -> Any:
        return Brightness.card.model_copy(update={"backend": "elsewhere"})

    def connect(self) -> None:
        pass

    def deploy(self, order: Order) -> str:
        self.orders.append(order)
        self.applications.append(f"{order.name}.{len(self.orders)}")
        return self.applications[-1]

    def handle(self, application: str) -> "Cluster":
        return self

    def conditions(self) -> dict[str, Condition]:
        if self.lost:
            raise ConnectionError("no cluster")
        return dict.fromkeys(self.applications, Condition(self.running, self.failure))

    def drop(self, application: str) -> None:
        self.applications.remove(application)

    def close(self) -> None:
        self.closed = True


class Seen:
    """An observer that keeps what it is told."""

    def __init__(self) -> None:
        self.batches: list[tuple[int, int, float]] = []
        self.reasons: list[str] = []
        self.depths: list[int] = []

    def batch(self, name: str, size: int, padded: int, seconds: float) -> None:
        self.batches.append((size, padded, seconds))

    def dropped(self, name: str, reason: str) -> None:
        self.reasons.append(reason)

    def depth(self, name: str, n: int) -> None:
        self.depths.append(n)


class Clock:
    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


class Stage:
    def __init__(self, engine: RayEngine, cluster: Cluster, seen: Seen, clock: Clock) -> None:
        self.engine, self.cluster, self.seen, self.clock = engine, cluster, seen, clock
        lane = engine.bring(Brightness(), None)
        assert isinstance(lane, Replicated)
        self.lane = lane

    def submit(self, seconds: float = 10.0) -> "asyncio.Task[Answer]":
        return asyncio.create_task(self.engine.submit(self.lane, ITEM, deadline=self.clock.now + seconds))

    async def called(self, count: int = 1) -> Response:
        await until(lambda: len(self.cluster.calls) == count)
        return self.cluster.calls[-1]


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(engines, "POLL_S", 0.001)


@asynccontextmanager
async def staged(running: int = 1, **given: Any) -> AsyncIterator[Stage]:
    cluster, seen, clock = Cluster(), Seen(), Clock()
    cluster.running = running
    settings = Settings(engine="ray", **given)
    engine = RayEngine(settings, unasked, seen, clock, cluster)  # type: ignore[arg-type]
    await engine.start()
    stage = Stage(engine, cluster, seen, clock)  # it alone holds the lane
    try:
        if running:
            await stage.lane.settled.wait()
        yield stage
    finally:
        await engine.stop(0)


def unasked(threads: int) -> Any:
    raise AssertionError("nothing is made here")


def reply(outcome: Row | Refusal | None = None, *runs: Run, weights: str = Brightness.card.weights) -> Reply:
    return Reply("one", weights, outcome or Row(OUTPUT, 0.01, 0.02, 0.05, 7, 3), list(runs), 0.06)


def died() -> ActorDiedError:
    return ActorDiedError()


async def test_an_item_is_sent_with_the_time_it_has_left() -> None:
    async with staged() as stage:
        asking = stage.submit(4.0)
        call = await stage.called()
        assert call.left_s == 4.0
        stage.clock.now += 0.1
        call.outcome.set_result(reply(None, Run(3, 4, 0.03)))
        answer = await asking
        assert answer.output is OUTPUT
        assert answer.batch_size == 3
        assert answer.device_s == pytest.approx(0.03)
        # the wire took 0.04 s in all, half of it on the way there
        assert answer.queue_s == pytest.approx(0.03)
        assert answer.batch.started == pytest.approx(1000.04)
        assert answer.batch.ended <= stage.clock.now
        assert stage.seen.batches == [(3, 4, 0.03)]
        assert not stage.lane.sent


async def test_items_of_one_batch_share_it() -> None:
    async with staged() as stage:
        asking = [stage.submit() for _ in range(2)]
        await stage.called(2)
        for call in stage.cluster.calls:
            call.outcome.set_result(reply())
        one, other = [await task for task in asking]
        assert one.batch is other.batch
        third = stage.submit()
        (await stage.called(3)).outcome.set_result(reply(Row(OUTPUT, 0, 0, 0, 8, 1)))
        assert (await third).batch is not one.batch


async def test_a_caller_that_leaves_cancels_the_remote_item() -> None:
    async with staged() as stage:
        asking = stage.submit()
        call = await stage.called()
        asking.cancel()
        with pytest.raises(asyncio.CancelledError):
            await asking
        assert call.cancelled
        assert not stage.lane.sent
        assert stage.seen.reasons == ["disconnect"]


async def test_at_the_deadline_the_remote_item_is_cancelled() -> None:
    async with staged() as stage:
        asking = stage.submit(0.02)
        call = await stage.called()
        with pytest.raises(Expired):
            await asyncio.wait_for(asking, 30)
        assert call.cancelled
        assert stage.seen.reasons == ["deadline"]


async def test_where_a_replica_dies_another_is_asked_once() -> None:
    async with staged() as stage:
        asking = stage.submit()
        (await stage.called()).outcome.set_exception(died())
        (await stage.called(2)).outcome.set_result(reply())
        assert (await asking).output is OUTPUT

        deadly = stage.submit()
        (await stage.called(3)).outcome.set_exception(died())
        (await stage.called(4)).outcome.set_exception(died())
        with pytest.raises(DeviceDied):
            await deadly
        assert len(stage.cluster.calls) == 4
        assert not stage.lane.sent


async def test_what_a_replica_refuses_is_raised_here() -> None:
    async with staged() as stage:
        doubted: list[Lane] = []
        stage.engine.on_doubt(doubted.append)

        async def told(error: Exception) -> BaseException:
            asking = stage.submit()
            (await stage.called(len(stage.cluster.calls) + 1)).outcome.set_result(reply(refusal(error)))  # type: ignore[arg-type]
            (outcome,) = await asyncio.gather(asking, return_exceptions=True)
            assert isinstance(outcome, BaseException)
            return outcome

        full = await told(QueueFull(3.0, "too late", "deadline"))
        assert isinstance(full, QueueFull)
        assert (full.retry_after_s, full.label, str(full)) == (3.0, "deadline", "too late")
        assert isinstance(await told(Expired("late")), Expired)
        assert isinstance(await told(NotServing("failed", "died")), NotServing)
        assert not doubted
        failure = ItemFailed("brightness failed on this item")
        failure.__cause__ = ValueError("no such colour")
        failed = await told(failure)
        assert isinstance(failed, ItemFailed)
        assert "no such colour" in str(failed.__cause__)
        assert doubted == [stage.lane]


async def test_a_row_of_other_weights_is_no_answer() -> None:
    async with staged() as stage:
        asking = stage.submit()
        (await stage.called()).outcome.set_result(reply(weights="sha256:other"))
        with pytest.raises(NotServing):
            await asking


async def test_what_the_handle_raises_fails_the_item_alone() -> None:
    async with staged() as stage:
        asking, other = stage.submit(), stage.submit()
        await stage.called(2)
        stage.cluster.calls[0].outcome.set_exception(OSError("cannot be unpickled"))
        stage.cluster.calls[1].outcome.set_result(reply())
        with pytest.raises(ItemFailed):
            await asking
        assert (await other).output is OUTPUT


async def test_an_item_of_another_shape_is_never_sent() -> None:
    async with staged() as stage:
        with pytest.raises(ItemFailed):
            await stage.engine.submit(stage.lane, {"pixels": np.zeros((2, 2, 3), np.uint8)}, deadline=math.inf)
        assert not stage.cluster.calls


@pytest.mark.parametrize(("running", "refused"), [(1, True), (2, False)])
async def test_the_estimate_counts_items_service_time_and_replicas(running: int, refused: bool) -> None:
    async with staged(running) as stage:
        stage.lane.service.measure(4, 1.0, stage.clock.now)
        waiting = [stage.submit(60) for _ in range(7)]
        await stage.called(7)
        stage.engine.admit(stage.lane, stage.clock.now + 2.5)  # eight items: two batches of one second
        if refused:
            with pytest.raises(QueueFull) as full:
                stage.engine.admit(stage.lane, stage.clock.now + 1.5)
            assert (full.value.label, full.value.retry_after_s) == ("deadline", 2.0)
        else:
            stage.engine.admit(stage.lane, stage.clock.now + 1.5)
        for one in waiting:
            one.cancel()


async def test_a_full_queue_refuses_and_is_counted() -> None:
    async with staged(queue_limit=2) as stage:
        waiting = [stage.submit() for _ in range(6)]
        await stage.called(6)
        assert stage.seen.depths[-1] == 2  # a batch of four is none of the waiting
        with pytest.raises(QueueFull):
            stage.engine.admit(stage.lane, math.inf)
        assert stage.seen.reasons == ["full"]
        for one in waiting:
            one.cancel()


async def test_missing_replicas_are_told_and_none_refuses() -> None:
    async with staged(replicas="2") as stage:
        assert stage.lane.missing == "1 of 2 replicas run"
        stage.engine.admit(stage.lane, math.inf)
        stage.cluster.running = 0
        await until(lambda: stage.lane.state == "loading")
        with pytest.raises(NotServing):
            stage.engine.admit(stage.lane, math.inf)
        stage.cluster.running = 2
        await until(lambda: not stage.lane.missing)
        assert stage.lane.state == "ready"


async def test_the_card_is_that_of_a_replica() -> None:
    async with staged() as stage:
        assert stage.lane.predictor.card.backend == "elsewhere"


async def test_replicas_that_do_not_start_fail_with_the_reason() -> None:
    async with staged(0) as stage:
        stage.cluster.failure = "the weights are others"
        await stage.lane.settled.wait()
        assert stage.lane.state == "failed"
        assert "the weights are others" in str(stage.lane.reason)


async def test_a_retired_lane_goes_with_its_last_holder() -> None:
    async with staged() as stage:
        asking = stage.submit()
        call = await stage.called()
        stage.engine.retire(stage.lane)
        del stage.lane
        gc.collect()
        assert stage.cluster.applications
        call.outcome.set_result(reply())
        await asking
        del asking
        await until(lambda: bool(gc.collect() + 1) and not stage.cluster.applications)


async def test_what_is_taken_is_finished_within_the_grace_and_the_rest_told() -> None:
    async with staged() as stage:
        soon, never = stage.submit(), stage.submit()
        await stage.called(2)
        stopping = asyncio.create_task(stage.engine.stop(0.05))
        await asyncio.sleep(0)
        with pytest.raises(Stopping):
            stage.engine.admit(stage.lane, math.inf)
        stage.cluster.calls[0].outcome.set_result(reply())
        assert (await soon).output is OUTPUT
        with pytest.raises(Stopping):
            await never
        await stopping
        assert stage.cluster.closed
        assert not await stage.engine.died()


async def test_a_cluster_that_is_gone_is_the_end(monkeypatch: pytest.MonkeyPatch) -> None:
    async with staged() as stage:
        stage.cluster.lost = True
        assert await stage.engine.died()
        assert not stage.engine.taking
        with pytest.raises(DeviceDied):
            stage.engine.admit(stage.lane, math.inf)


def test_settings_say_what_replicas_take() -> None:
    settings = Settings(engine="ray", replicas="1,damage=2-8", replica_cpus="2", replica_gpus="0,damage=0.5")
    fleet = Fleet(settings, unasked)
    damage, other = Order("damage", None, "", "cuda", 16), Order("parts", None, "", "cpu", 4)
    assert fleet._takes(damage) == {"num_cpus": 2.0, "num_gpus": 0.5}
    assert fleet._takes(other) == {"num_cpus": 2.0, "num_gpus": 0.0}
    assert fleet._scaling(other) == {"num_replicas": 1}
    scaling = fleet._scaling(damage)["autoscaling_config"]
    assert isinstance(scaling, dict)
    assert (scaling["min_replicas"], scaling["max_replicas"], scaling["target_ongoing_requests"]) == (2, 8, 32)
