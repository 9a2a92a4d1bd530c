"""The engine over Ray Serve: the batcher's contract at the ingress, and the replicas that Serve keeps behind it."""

import asyncio
import itertools
import logging
import math
import time
import weakref
from collections.abc import Callable, Coroutine, Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import Any, ParamSpec, TypeVar

from ray.exceptions import RayActorError
from ray.serve.exceptions import DeploymentUnavailableError, ReplicaUnavailableError

from app.device import Guarded, Observer
from app.engines.fleet import Condition, Fleet, Makers, Order, order_of
from app.engines.replicated import Replicated
from app.engines.standing import Standing
from app.engines.wire import Refusal, Reply, Row
from app.lane import (
    TRUSTED_S,
    Answer,
    Batch,
    DeviceDied,
    Expired,
    ItemFailed,
    Lane,
    NotServing,
    QueueFull,
    Stopping,
    Unanswered,
)
from app.replicas import Scale, of
from app.settings import Settings
from models.predictor import Arrays
from models.registry import AnyPredictor

P = ParamSpec("P")
T = TypeVar("T")

log = logging.getLogger("carlens.ray")

POLL_S = 0.5
"""Between two looks at what Serve says of the replicas."""

LOST_POLLS = 20
"""So many looks in a row that fail mean that the cluster is gone."""

TRIES = 2
"""A replica that dies may have died of this very item: it is shown to one more, not to all of them."""

RETRY_UNKNOWN_S = 1.0
GONE = (RayActorError, ReplicaUnavailableError, DeploymentUnavailableError)


class RayEngine:
    """An `Engine`. `makers` go to the replicas, which make their predictor from the files on their node. Photos are
    decoded and prepared here; prepared items go to the replicas, rows come back."""

    def __init__(
        self,
        settings: Settings,
        makers: Makers,
        observer: Observer | None = None,
        clock: Callable[[], float] = time.monotonic,
        fleet: Fleet | Standing | None = None,
    ) -> None:
        self._settings = settings
        self._clock = clock
        self._observer = Guarded(observer)
        self._fleet: Fleet | Standing = fleet or Fleet(settings, makers)
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="carlens-ray")
        self._lanes: list[Replicated] = []
        self._batches = weakref.WeakValueDictionary[tuple[str, int], Batch]()
        self._numbers = itertools.count()
        self._waits: set[asyncio.Timeout] = set()
        self._tasks: set[asyncio.Task[Any]] = set()
        self._idle = asyncio.Event()
        self._idle.set()
        self._ended = asyncio.Event()
        self._doubt: Callable[[Lane], None] | None = None
        self._connected: asyncio.Task[None] | None = None
        self._leaving = self._closed = self._over = self._lost = False

    @property
    def device(self) -> str:
        return "cuda" if any(self._settings.gpus_of_replicas.values()) else "cpu"

    @property
    def alive(self) -> bool:
        return self._connected is not None and not self._ended.is_set()

    @property
    def leaving(self) -> bool:
        return self._leaving or self._closed

    @property
    def taking(self) -> bool:
        return self.alive and not self.leaving

    @property
    def oldest_s(self) -> float:
        times = [sent for lane in self._lanes for sent in itertools.islice(lane.sent.values(), 1)]
        return self._clock() - min(times) if times else 0.0

    def bring(self, predictor: AnyPredictor, version: str | None) -> Lane:
        what, order = predictor.specification, order_of(self._settings, predictor, version)
        wanted = of(what.name, self._settings.scales, Scale(1, 1)).least
        lane = Replicated(predictor, what.inputs, what.sizes_on(order.device), wanted, order.weights)
        lane.missing = f"0 of {wanted} replicas run"
        self._lanes.append(lane)
        self._spawn(self._deploy(lane, order))
        return lane

    def retire(self, lane: Lane) -> None:
        """With the last one who holds the lane its application goes."""
        if isinstance(lane, Replicated) and lane in self._lanes:
            self._lanes.remove(lane)
            weakref.finalize(lane, self._drop, lane.application).atexit = False

    def on_doubt(self, call: Callable[[Lane], None]) -> None:
        self._doubt = call

    async def start(self) -> None:
        self._connected = self._spawn(self._watch())

    async def died(self) -> bool:
        await self._ended.wait()
        return self._lost

    def admit(self, to: Lane | str, deadline: float, items: int = 1) -> None:
        lane = self._lane(to)
        try:
            if self._closed:
                raise Stopping("the service stops")
            self._check(lane, deadline, items)
        except Unanswered as refusal:
            self._observer.dropped(lane.name, refusal.label)
            raise

    async def submit(self, to: Lane | str, item: Arrays, *, deadline: float) -> Answer:
        lane = self._lane(to)
        try:
            self._check(lane, deadline, 1)
            lane.check(item)
            assert isinstance(lane, Replicated)  # another is never ready, and was refused
            return await self._answered(lane, item, deadline)
        except Unanswered as reason:
            self._observer.dropped(lane.name, reason.label)
            if isinstance(reason, ItemFailed) and self._doubt is not None:
                self._doubt(lane)
            raise
        except asyncio.CancelledError:
            self._observer.dropped(lane.name, "disconnect")
            raise

    def leave(self) -> None:
        self._leaving = True

    def close(self) -> None:
        self._closed = True

    async def stop(self, grace_s: float) -> None:
        if self._over:
            return
        self._closed = True
        try:
            async with asyncio.timeout(grace_s):
                await self._idle.wait()
        except TimeoutError:
            pass
        self._over = True
        for wait in list(self._waits):
            wait.reschedule(0.0)
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        self._ended.set()
        await self._in_thread(self._fleet.close)
        self._thread.shutdown(wait=False)

    def _lane(self, which: Lane | str) -> Lane:
        """A name means the newest lane of that name; raises `NotServing` where there is none."""
        if isinstance(which, Lane):
            return which
        for lane in reversed(self._lanes):
            if lane.name == which:
                return lane
        raise NotServing("unloaded", f"{which} is not loaded")

    def _check(self, lane: Lane, deadline: float, items: int) -> None:
        """By what is known here: the items that were sent, the replicas, and what runs took of late. A replica's own
        batcher has the last word."""
        now = self._clock()
        if self._ended.is_set():
            raise DeviceDied("the cluster is gone") if self._lost else Stopping("the service stops")
        if lane.state != "ready" or not isinstance(lane, Replicated):
            raise NotServing(lane.state, lane.reason)
        if deadline <= now:
            raise Expired("the deadline had passed before the item came")
        ahead = len(lane.sent)
        if ahead + items > self._settings.queue_limit + lane.running * lane.largest:
            raise QueueFull(self._seconds_for(lane, ahead) or RETRY_UNKNOWN_S, f"{ahead} items wait already")
        if ahead == 0 and now - lane.service.measured_at >= TRUSTED_S:
            return  # else an estimate from a slow moment could refuse for ever: refused items measure nothing
        needed = self._seconds_for(lane, ahead + items)
        if now + needed > deadline:
            detail = f"an answer takes about {needed:.2f} s now, and the deadline is in {deadline - now:.2f} s"
            raise QueueFull(self._seconds_for(lane, ahead) or needed, detail, "deadline")

    def _seconds_for(self, lane: Replicated, count: int) -> float:
        """Until so many items are answered, each replica taking its share of them."""
        return lane.seconds_for(math.ceil(count / max(1, lane.running)))

    async def _answered(self, lane: Replicated, item: Arrays, deadline: float) -> Answer:
        number, began = next(self._numbers), self._clock()
        lane.sent[number] = began
        self._observe(lane)
        self._idle.clear()
        left = deadline - began
        try:
            async with asyncio.timeout(left if math.isfinite(left) else None) as wait:
                self._waits.add(wait)
                reply = await self._replied(lane, item, deadline)
        except TimeoutError as error:
            if self._over:
                raise Stopping("the service stops, and its grace time is over") from None
            raise Expired("the deadline passed before there was an answer") from error
        finally:
            self._waits.discard(wait)
            del lane.sent[number]
            self._observe(lane)
            if not self._waits:
                self._idle.set()
        if reply.weights != lane.weights:  # a config is being changed, and this ingress is of the old one, or the new
            raise NotServing("loading", f"{lane.name} is being replaced")
        self._learn(lane, reply)
        if isinstance(reply.outcome, Refusal):
            raise reply.outcome.error()
        return self._told(reply, reply.outcome, began)

    async def _replied(self, lane: Replicated, item: Arrays, deadline: float) -> Reply:
        """What a replica says; where one dies over the item, or is gone already, another one is asked."""
        assert lane.ask is not None
        for left in reversed(range(TRIES)):
            response = lane.ask.remote(dict(item), deadline - self._clock())
            try:
                reply: Reply = await response
            except asyncio.CancelledError:
                response.cancel()
                raise
            except GONE as error:
                log.warning("%s: a replica is gone with an item: %s", lane.name, type(error).__name__)
                if not left:
                    raise DeviceDied(f"{lane.name}: replicas died over this item, or before it came") from error
            except Exception as error:
                failure = ItemFailed(f"{lane.name} failed on this item")
                failure.__cause__ = error
                raise failure from error
            else:
                return reply
        raise AssertionError("unreachable")

    def _told(self, reply: Reply, row: Row, began: float) -> Answer:
        """On the clock of this process: the way there and the way back take equally long."""
        came = began + max(0.0, self._clock() - began - reply.seconds) / 2
        batch = Batch(row.size, came + row.started, came + row.ended)
        batch = self._batches.setdefault((reply.replica, row.number), batch)
        return Answer(row.output, came + row.taken - began, came + row.taken, batch)

    def _learn(self, lane: Replicated, reply: Reply) -> None:
        for run in reply.runs:
            lane.service.measure(run.padded, run.seconds, self._clock())
            if lane.counted:
                self._observer.batch(lane.name, run.size, run.padded, run.seconds)

    def _observe(self, lane: Replicated) -> None:
        """Items over what the replicas' batches hold wait for certain."""
        lanes = [one for one in self._lanes if one.name == lane.name]
        waiting = sum(max(0, len(one.sent) - one.running * one.largest) for one in lanes)
        self._observer.depth(lane.name, waiting)

    async def _watch(self) -> None:
        """Connects, then sees again and again how the replicas are."""
        try:
            await self._in_thread(self._fleet.connect)
            failed = 0
            while failed < LOST_POLLS:
                try:
                    await self._look(await self._in_thread(self._fleet.conditions))
                    failed = 0
                except Exception as error:
                    failed += 1
                    log.warning("Ray does not tell how the replicas are: %s: %s", type(error).__name__, error)
                await asyncio.sleep(POLL_S)
        except Exception:
            log.exception("Ray cannot be used")
        log.critical("the Ray cluster is gone")
        self._lost = True
        self._ended.set()

    async def _look(self, conditions: Mapping[str, Condition]) -> None:
        for lane in list(self._lanes):
            if lane.application is None or lane.state == "failed":
                continue
            condition = conditions.get(lane.application, Condition())
            if condition.failure and not lane.settled.is_set():
                self._fail(lane, condition.failure)
                continue
            lane.see(condition)
            if condition.running and not lane.settled.is_set():
                lane.predictor.card = await self._fleet.handle(lane.application).card.remote()
                lane.settled.set()

    async def _deploy(self, lane: Replicated, order: Order) -> None:
        try:
            lane.application = await self._in_thread(self._fleet.deploy, order)
            lane.ask = self._fleet.handle(lane.application).ask
        except Exception as error:
            log.error("%s is not deployed", lane.name, exc_info=error)
            self._fail(lane, f"{type(error).__name__}: {error}")

    def _fail(self, lane: Replicated, reason: str) -> None:
        lane.reason, lane.state = f"{lane.name}: {reason}", "failed"
        lane.settled.set()

    def _drop(self, application: str | None) -> None:
        """From whatever thread let go of the lane last."""
        if application is not None and not self._over:
            self._thread.submit(self._fleet.drop, application)

    def _spawn(self, work: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task

    async def _in_thread(self, work: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        return await asyncio.get_running_loop().run_in_executor(self._thread, lambda: work(*args, **kwargs))
