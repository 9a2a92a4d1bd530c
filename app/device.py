"""The one thread that drives a device: it warms what another one loads, and runs what waits, in turns."""

import asyncio
import logging
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from math import inf
from queue import SimpleQueue
from typing import Protocol

from app.lane import Answer, Batch, DeviceDied, Expired, Item, ItemFailed, Lane, Unanswered

logger = logging.getLogger(__name__)


class Observer(Protocol):
    """Told what happens, from the event loop and from the device's thread alike; what it raises is logged once."""

    def batch(self, name: str, size: int, padded: int, seconds: float) -> None:
        """One run on the device, failed ones too: items, rows with padding, seconds."""

    def dropped(self, name: str, reason: str) -> None:
        """One item, or one question at the door, that got no answer; `reason` is an `Unanswered.label`, or
        `disconnect` where the caller has gone."""

    def depth(self, name: str, n: int) -> None:
        """How many items wait now."""


class Guarded:
    """An observer whose exceptions harm nobody."""

    def __init__(self, observer: Observer | None) -> None:
        self._observer = observer
        self._complained = False

    def batch(self, name: str, size: int, padded: int, seconds: float) -> None:
        if self._observer:
            self._tell(self._observer.batch, name, size, padded, seconds)

    def dropped(self, name: str, reason: str) -> None:
        if self._observer:
            self._tell(self._observer.dropped, name, reason)

    def depth(self, name: str, n: int) -> None:
        if self._observer:
            self._tell(self._observer.depth, name, n)

    def _tell(self, call: Callable[..., None], *what: object) -> None:
        try:
            call(*what)
        except Exception:
            if not self._complained:
                self._complained = True
                logger.exception("the batcher's observer raised; further ones are not logged")


@dataclass(frozen=True, slots=True)
class Run:
    """What is on the device now."""

    lane: Lane
    size: int
    started: float


class Device:
    """`lock` guards the lanes and every attribute here; the thread waits on it, without a timeout, for work. Depths
    are observed with it held, or a late one could overwrite a newer one. `doubt` is called on the event loop with the
    lane on which an item failed alone."""

    def __init__(self, name: str, clock: Callable[[], float], observer: Guarded) -> None:
        self.name = name
        self.lanes: list[Lane] = []
        self.lock = threading.Condition()
        self.running: Run | None = None
        self.stopping = False
        self.died: BaseException | None = None
        self.ended = asyncio.Event()
        self.thread: threading.Thread | None = None
        self.doubt: Callable[[Lane], None] | None = None
        self._unloaded: SimpleQueue[Lane | None] = SimpleQueue()
        self._loop: asyncio.AbstractEventLoop
        self._clock = clock
        self._observer = observer
        self._taken: list[Item] = []
        self._virtual_s = 0.0

    def busy_s(self) -> float:
        """Seconds since what is on the device now began; 0 where nothing is."""
        running = self.running
        return 0.0 if running is None else self._clock() - running.started

    def start(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        # daemons: a run or a load that never returns must not keep the process from ending
        self.thread = threading.Thread(target=self._main, name=f"carlens-{self.name}", daemon=True)
        self.thread.start()
        threading.Thread(target=self._load_all, name=f"carlens-{self.name}-load", daemon=True).start()

    def add(self, lane: Lane) -> None:
        """Before or after the start; it is loaded after those that were added before it."""
        with self.lock:
            self.lanes.append(lane)
        self._unloaded.put(lane)

    def retire(self, lane: Lane) -> None:
        """Forget the lane as soon as nothing waits in it; an item that is put later brings it back for its turn."""
        with self.lock:
            lane.retired = True
            self._forget(lane)

    def oldest_s(self) -> float:
        """Seconds since the oldest waiting item came, or since the batch began that is on the device; 0 if idle."""
        with self.lock:
            times = [lane.waiting[0].enqueued for lane in self.lanes if lane.waiting]
            if self.running is not None:
                times.append(self.running.started)
        return self._clock() - min(times) if times else 0.0

    def put(self, lane: Lane, item: Item) -> None:
        """Called with the lock held."""
        if lane not in self.lanes:
            self.lanes.append(lane)
        if not lane.waiting:
            lane.used_s = max(lane.used_s, self._virtual_s)  # time spent idle is no credit
        lane.waiting.append(item)
        self._observe(lane)
        self.lock.notify()

    def withdraw(self, lane: Lane, item: Item) -> None:
        """Give the place of an item that nobody waits for to another."""
        with self.lock:
            if item in lane.waiting:
                lane.waiting.remove(item)
                self._observe(lane)
                self._forget(lane)

    def drain(self) -> None:
        """Let the thread end as soon as nothing waits."""
        with self.lock:
            self.stopping = True
            self.lock.notify()
        self._unloaded.put(None)

    def forsake(self) -> list[Item]:
        """All that is waiting or running, taken out; whoever calls must settle it."""
        with self.lock:
            pending = [*self._taken, *(item for lane in self.lanes for item in lane.waiting)]
            for lane in self.lanes:
                lane.waiting.clear()
                self._observe(lane)
        return pending

    def _observe(self, lane: Lane) -> None:
        """Versions of one predictor are counted together. Called with the lock held."""
        self._observer.depth(lane.name, sum(len(one.waiting) for one in self.lanes if one.name == lane.name))

    def _forget(self, lane: Lane) -> None:
        """Called with the lock held."""
        if lane.retired and not lane.waiting and lane in self.lanes:
            self.lanes.remove(lane)

    def _load_all(self) -> None:
        """The thread that loads, one after another, while the other one serves."""
        while (lane := self._unloaded.get()) is not None:
            if not (self.stopping or lane.retired):
                self._load(lane)
            del lane  # while this waits for the next one, it must not keep this one in memory

    def _load(self, lane: Lane) -> None:
        try:
            lane.load(self.name)
        except BaseException as error:
            self._fail(lane, error)
            return
        with self.lock:
            lane.used_s = self._virtual_s
            lane.cold.extend(lane.sizes)
            self.lock.notify()

    def _main(self) -> None:
        try:
            while self._turn():
                pass
        except BaseException as error:
            logger.exception("the thread of device %s died", self.name)
            self._die(error)
        finally:
            self._call(self.ended.set)

    def _die(self, error: BaseException) -> None:
        with self.lock:
            self.died = error
            for lane in self.lanes:
                lane.state = "failed"
                lane.reason = f"{lane.name}: the thread of device {self.name} died: {type(error).__name__}"
                self._call(lane.settled.set)
        self._deliver([(item, DeviceDied(f"the thread of device {self.name} died")) for item in self.forsake()])

    def _fail(self, lane: Lane, error: BaseException) -> None:
        logger.error("%s does not load", lane.name, exc_info=error)
        with self.lock:
            lane.cold.clear()
            lane.reason = f"{lane.name}: {type(error).__name__}: {error}"
            lane.state = "failed"
        self._call(lane.settled.set)

    def _warm(self, lane: Lane) -> None:
        """The next size, ascending: the first that the memory does not hold ends the list, those before it serve."""
        size = lane.cold[0]
        started = self._clock()
        with self.lock:
            self.running = Run(lane, size, started)
        try:
            lane.run_padded([], size)
        except MemoryError as error:
            if not lane.warmed:
                self._fail(lane, error)
                return
            logger.warning("%s: a batch of %d is out of memory, %d is not", lane.name, size, lane.largest)
            lane.cold.clear()
        except (Exception, SystemExit) as error:
            self._fail(lane, error)
            return
        else:
            lane.warmed.add(size)
            lane.largest = lane.cold.popleft()
        finally:
            with self.lock:
                self.running = None
                lane.used_s += self._clock() - started
        if not lane.cold:
            with self.lock:
                lane.state = "ready"
            self._call(lane.settled.set)

    def _turn(self) -> bool:
        """Warm the next size or run the next batch; False where there is neither, and the thread shall end."""
        with self.lock:
            while (lane := self._next_lane()) is None:
                if self.stopping:
                    return False
                self.lock.wait()
            self._virtual_s = lane.used_s
            batch, late = lane.take(self._clock())
            self._taken = [*batch, *late]
            self._observe(lane)
            self._forget(lane)
        if lane.cold:
            self._warm(lane)
            return True
        self._deliver([(item, _expired()) for item in late])
        self._execute(lane, batch)
        with self.lock:
            self._taken = []
        return True

    def _next_lane(self) -> Lane | None:
        """The one with the least device time among those with work; among equals the one that waits longest, and last
        one that is still to be warmed."""
        busy = (lane for lane in self.lanes if lane.waiting or (lane.cold and not self.stopping))
        return min(busy, key=lambda lane: (lane.used_s, lane.waiting[0].number if lane.waiting else inf), default=None)

    def _execute(self, lane: Lane, batch: list[Item]) -> None:
        """Run a batch; split what fails until the culprits are alone, and what is out of memory until it fits."""
        largest = lane.largest
        groups = [batch]
        while groups:
            group = self._still_wanted(groups.pop())
            if not group:
                continue
            failure = self._run(lane, group)
            if failure is None:
                continue
            if isinstance(failure, MemoryError):
                fits = self._shrink(lane, group, largest)
                parts = _chunks(group, lane.largest) if fits else []
            else:
                parts = _chunks(group, (len(group) + 1) // 2) if len(group) > 1 else []
            groups.extend(reversed(parts))
            if not parts:
                self._deliver([(item, _failed(lane, failure)) for item in group])
                if self.doubt is not None:
                    self._call(self.doubt, lane)

    def _still_wanted(self, group: list[Item]) -> list[Item]:
        now = self._clock()
        self._deliver([(item, _expired()) for item in group if item.deadline <= now])
        return [item for item in group if item.deadline > now and not item.future.done()]

    def _run(self, lane: Lane, group: list[Item]) -> Exception | None:
        size = lane.padded(len(group))
        counted = lane.counted  # before the answer is known: who is told of it may change this at once
        started = self._clock()
        with self.lock:
            self.running = Run(lane, size, started)
        failure: Exception | None = None
        try:
            if size not in lane.warmed:
                raise AssertionError(f"{lane.name}: a batch of {size} was never warmed")
            rows = lane.run_padded([item.arrays for item in group], size)
        except Exception as error:
            failure = error
            if len(group) > 1:  # a single item's failure is told to whoever waits for it
                logger.warning("%s failed on a batch of %d: %r", lane.name, len(group), error)
        seconds = self._clock() - started
        with self.lock:
            self.running = None
            lane.used_s += seconds
            if failure is None:
                lane.service.measure(size, seconds, started + seconds)
        if failure is None:
            batch = Batch(len(group), started, started + seconds)
            taken = [started if item.taken is None else item.taken for item in group]
            self._deliver(
                [
                    (item, Answer(row, at - item.enqueued, at, batch))
                    for item, row, at in zip(group, rows, taken, strict=True)
                ]
            )
        if counted:
            self._observer.batch(lane.name, len(group), size, seconds)
        return failure

    def _shrink(self, lane: Lane, group: list[Item], largest: int) -> bool:
        """Whether a smaller batch may fit. One item that is too much alone is to blame itself, not the size."""
        size = lane.padded(len(group))
        with self.lock:
            fits = lane.shrink(size)
            if not fits:
                lane.largest = largest
        if fits:
            logger.warning("%s: a batch of %d is out of memory; from now on at most %d", lane.name, size, lane.largest)
        return fits

    def _deliver(self, outcomes: Sequence[tuple[Item, Answer | Unanswered]]) -> None:
        if outcomes:
            self._call(_settle, outcomes)

    def _call(self, call: Callable[..., None], *what: object) -> None:
        try:
            self._loop.call_soon_threadsafe(call, *what)
        except RuntimeError:
            logger.debug("the event loop is closed: nobody waits for an answer any more")


def _settle(outcomes: Sequence[tuple[Item, Answer | Unanswered]]) -> None:
    for item, outcome in outcomes:
        item.settle(outcome)


def _chunks(group: list[Item], size: int) -> list[list[Item]]:
    return [group[start : start + size] for start in range(0, len(group), size)]


def _expired() -> Expired:
    return Expired("the deadline passed while the item waited for the device")


def _failed(lane: Lane, cause: Exception) -> ItemFailed:
    failure = ItemFailed(f"{lane.name} failed on this item")
    failure.__cause__ = cause
    return failure
