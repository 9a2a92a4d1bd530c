"""The batcher's asyncio side: it admits items, hands them to the device's thread, waits for answers, and stops."""

import asyncio
import itertools
import math
import time
from collections.abc import Callable, Mapping, Sequence

from app.device import Device, Guarded, Observer
from app.lane import (
    TRUSTED_S,
    Answer,
    DeviceDied,
    DeviceStuck,
    Expired,
    Item,
    ItemFailed,
    Lane,
    NotServing,
    QueueFull,
    Stopping,
    Unanswered,
)
from models.predictor import Arrays, State, Tensor

__all__ = [
    "Answer",
    "Batcher",
    "DeviceDied",
    "DeviceStuck",
    "Expired",
    "ItemFailed",
    "NotServing",
    "Observer",
    "QueueFull",
    "Stopping",
    "Unanswered",
]

RETRY_UNKNOWN_S = 1.0
"""What a refused caller is told to wait, in seconds, before anything has been measured."""


class Batcher:
    """All predictors of one device, and the one thread that runs them.

    Work-conserving: a free device takes what waits at once, up to the largest batch; there is no timer. All methods
    are called on one event loop. Times and deadlines are in seconds of `clock`; `queue_limit` counts the items that
    may wait for one predictor. A run that takes over `stuck_s` seconds counts as stuck: until it is back nothing is
    taken, since nobody can say when it would be answered.
    """

    def __init__(
        self,
        device: str,
        *,
        queue_limit: int = 64,
        stuck_s: float = math.inf,
        clock: Callable[[], float] = time.monotonic,
        observer: Observer | None = None,
    ) -> None:
        self._queue_limit = queue_limit
        self._stuck_s = stuck_s
        self._clock = clock
        self._observer = Guarded(observer)
        self._device = Device(device, clock, self._observer)
        self._numbers = itertools.count()
        self._closed = False

    def add(
        self,
        name: str,
        load: Callable[[str], None],
        run: Callable[[Arrays], Arrays],
        inputs: Mapping[str, Tensor],
        batch_sizes: Sequence[int],
    ) -> None:
        """Before `start`. `load` and `run` are called by the device's thread alone, `load` once."""
        if name in self._device.lanes:
            raise ValueError(f"{name} was added already")
        if self._device.thread is not None:
            raise RuntimeError(f"{name} came too late: the batcher has started")
        self._device.lanes[name] = Lane(name, load, run, inputs, batch_sizes)

    async def start(self) -> None:
        """Returns at once; the thread loads and warms, and `state` tells how far it is."""
        if self._device.thread is not None or self._device.stopping:
            raise RuntimeError("a batcher starts once")
        self._device.start(asyncio.get_running_loop())

    def state(self, name: str) -> State:
        return self._device.lanes[name].state

    def reason(self, name: str) -> str | None:
        """Why `name` failed; it names the predictor."""
        return self._device.lanes[name].reason

    @property
    def alive(self) -> bool:
        """Whether the device's thread runs."""
        thread = self._device.thread
        return thread is not None and thread.is_alive() and self._device.died is None

    async def died(self) -> bool:
        """Returns when the device's thread has ended: whether it died, rather than was stopped."""
        await self._device.ended.wait()
        return self._device.died is not None

    @property
    def stuck(self) -> bool:
        """Whether what runs on the device has been there for too long."""
        return self._device.busy_s() > self._stuck_s

    @property
    def ready(self) -> bool:
        """Whether every predictor is loaded and warmed, and items are taken."""
        serving = all(lane.state == "ready" for lane in self._device.lanes.values())
        return self.alive and serving and not self.stuck and not self._closed and not self._device.stopping

    @property
    def settled(self) -> bool:
        """Whether no predictor is loading any more: each is ready or failed."""
        return all(lane.state != "loading" for lane in self._device.lanes.values())

    def admit(self, name: str, deadline: float, items: int = 1) -> None:
        """At the door: raises at once what `submit` of that many items would raise now (QueueFull, Expired, Stopping,
        NotServing, DeviceStuck, DeviceDied). It reserves nothing."""
        lane = self._device.lanes[name]
        try:
            if self._closed:
                raise Stopping("the service stops")
            with self._device.lock:
                self._check(lane, deadline, items)
        except Unanswered as refusal:
            self._observer.dropped(name, refusal.label)
            raise

    async def submit(self, name: str, item: Arrays, *, deadline: float) -> Answer:
        """One item, without batch axis, answered by its row of a batch. Raises what `admit` does, and ItemFailed.
        Cancelling the waiting task drops the item."""
        lane = self._device.lanes[name]
        try:
            outcome = await self._wait(lane, self._enqueue(lane, item, deadline))
            if isinstance(outcome, Unanswered):
                raise outcome
        except Unanswered as reason:
            self._observer.dropped(name, reason.label)
            raise
        except asyncio.CancelledError:
            self._observer.dropped(name, "disconnect")
            raise
        return outcome

    def close(self) -> None:
        """From now on `admit` refuses; what was admitted before may still be submitted, until `stop`."""
        self._closed = True

    async def stop(self, grace_s: float) -> None:
        """Stops taking, finishes what was taken within `grace_s` seconds, answers the rest with Stopping. A run that
        hangs is left behind in its daemon thread."""
        self._closed = True
        self._device.drain()
        try:
            if self._device.thread is not None:
                async with asyncio.timeout(grace_s):
                    await self._device.ended.wait()
        except TimeoutError:
            pass
        finally:
            for item in self._device.forsake():
                item.settle(Stopping("the service stops, and its grace time is over"))

    def _enqueue(self, lane: Lane, arrays: Arrays, deadline: float) -> Item:
        with self._device.lock:
            self._check(lane, deadline, 1)
            lane.check(arrays)
            future: asyncio.Future[Answer | Unanswered] = asyncio.get_running_loop().create_future()
            item = Item(arrays, deadline, next(self._numbers), self._clock(), future)
            self._device.put(lane, item)
        return item

    async def _wait(self, lane: Lane, item: Item) -> Answer | Unanswered:
        late = Expired("the deadline passed before there was an answer")
        timer = None
        if math.isfinite(item.deadline):
            timer = asyncio.get_running_loop().call_later(item.deadline - item.enqueued, item.settle, late)
        try:
            return await item.future
        finally:
            if timer is not None:
                timer.cancel()
            if item.taken is None:
                self._device.withdraw(lane, item)

    def _check(self, lane: Lane, deadline: float, items: int) -> None:
        """Called with the lock held."""
        now = self._clock()
        if self._device.died is not None:
            raise DeviceDied(f"the thread of device {self._device.name} died")
        if self._device.stopping:
            raise Stopping("the service stops")
        if lane.state != "ready":
            raise NotServing(lane.state, lane.reason)
        if self.stuck:
            raise DeviceStuck(f"device {self._device.name} has been busy for {self._device.busy_s():.0f} s")
        if deadline <= now:
            raise Expired("the deadline had passed before the item came")
        ahead = len(lane.waiting)
        if ahead + items > self._queue_limit:
            raise QueueFull(self._seconds_until(lane, ahead, now) or RETRY_UNKNOWN_S, f"{ahead} items wait already")
        idle = ahead == 0 and (self._device.running is None or self._device.running.lane is not lane)
        if idle and now - lane.service.measured_at >= TRUSTED_S:
            return  # else an estimate from a slow moment could refuse for ever: refused items measure nothing
        needed = self._seconds_until(lane, ahead + items, now)
        if now + needed > deadline:
            detail = f"an answer takes about {needed:.2f} s now, and the deadline is in {deadline - now:.2f} s"
            raise QueueFull(self._seconds_until(lane, ahead, now) or needed, detail, "deadline")

    def _seconds_until(self, lane: Lane, count: int, now: float) -> float:
        """Until the first `count` items of the lane are answered: the rest of what runs, their own runs, and the
        turns of the other lanes, none of which gets more time meanwhile than this one."""
        running = self._device.running
        rest = 0.0
        if running is not None:
            rest = max(0.0, running.lane.service.of(running.size) - (now - running.started))
        own = lane.seconds_for(count)
        others = (other for other in self._device.lanes.values() if other is not lane)
        return rest + own + sum(min(own, other.seconds_for(len(other.waiting))) for other in others)
