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
from models.registry import AnyPredictor

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
        self._leaving = False
        self._closed = False

    def add(
        self,
        name: str,
        load: Callable[[str], None],
        run: Callable[[Arrays], Arrays],
        inputs: Mapping[str, Tensor],
        batch_sizes: Sequence[int],
    ) -> Lane:
        """A lane of its own, also beside others of that name; its `settled` tells when it was loaded and warmed, or
        failed. `load` is called once, by a thread that loads one after another; `run` by the device's thread alone."""
        lane = Lane(name, load, run, inputs, batch_sizes)
        self._device.add(lane)
        return lane

    def bring(self, predictor: AnyPredictor, version: str | None) -> Lane:
        """`add` as the predictor's specification says for this device; it has read the files of `version` already."""
        what = predictor.specification
        return self.add(what.name, predictor.load, predictor.run, what.inputs, what.sizes_on(self.device))

    def retire(self, lane: Lane) -> None:
        """From now on the lane is only for those who were given it before: what they submit is answered, and when the
        last of them is gone, so is the lane."""
        self._device.retire(lane)

    def on_doubt(self, call: Callable[[Lane], None]) -> None:
        """`call` is told, on the event loop, of every lane on which an item failed alone: is it the item, or more?"""
        self._device.doubt = call

    async def start(self) -> None:
        """Returns at once; `state` tells how far loading and warming is."""
        if self._device.thread is not None or self._device.stopping:
            raise RuntimeError("a batcher starts once")
        self._device.start(asyncio.get_running_loop())

    def state(self, name: str) -> State:
        return self._lane(name).state

    def reason(self, name: str) -> str | None:
        """Why `name` failed; it names the predictor."""
        return self._lane(name).reason

    def _lane(self, which: Lane | str) -> Lane:
        """A name means the newest lane of that name; raises `NotServing` where there is none."""
        if isinstance(which, Lane):
            return which
        for lane in reversed(self._device.lanes):
            if lane.name == which:
                return lane
        raise NotServing("unloaded", f"{which} is not loaded")

    @property
    def device(self) -> str:
        return self._device.name

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
    def leaving(self) -> bool:
        """Whether the service is about to stop, or stops: it is ready no more."""
        return self._leaving or self._closed

    @property
    def taking(self) -> bool:
        """Whether the device runs, and who has a choice should send photos here."""
        return self.alive and not self.stuck and not self.leaving and not self._device.stopping

    @property
    def ready(self) -> bool:
        """Whether every lane is loaded and warmed, and items are taken."""
        return self.taking and all(lane.state == "ready" for lane in self._device.lanes)

    @property
    def oldest_s(self) -> float:
        """How long the oldest item has been waiting, or the batch on the device been running, in seconds."""
        return self._device.oldest_s()

    def admit(self, to: Lane | str, deadline: float, items: int = 1) -> None:
        """At the door: raises at once what `submit` of that many items would raise now (QueueFull, Expired, Stopping,
        NotServing, DeviceStuck, DeviceDied). It reserves nothing."""
        lane = self._lane(to)
        try:
            if self._closed:
                raise Stopping("the service stops")
            with self._device.lock:
                self._check(lane, deadline, items)
        except Unanswered as refusal:
            self._observer.dropped(lane.name, refusal.label)
            raise

    async def submit(self, to: Lane | str, item: Arrays, *, deadline: float) -> Answer:
        """One item, without batch axis, answered by its row of a batch. Raises what `admit` does, and ItemFailed.
        Cancelling the waiting task drops the item."""
        lane = self._lane(to)
        try:
            outcome = await self._wait(lane, self._enqueue(lane, item, deadline))
            if isinstance(outcome, Unanswered):
                raise outcome
        except Unanswered as reason:
            self._observer.dropped(lane.name, reason.label)
            raise
        except asyncio.CancelledError:
            self._observer.dropped(lane.name, "disconnect")
            raise
        return outcome

    def leave(self) -> None:
        """From now on `ready` is false; items are taken as before, until `close`."""
        self._leaving = True

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
        others = (other for other in self._device.lanes if other is not lane)
        return rest + own + sum(min(own, other.seconds_for(len(other.waiting))) for other in others)
