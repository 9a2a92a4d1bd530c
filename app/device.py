"""The one thread that drives a device: it loads and warms the predictors, then runs what waits, in turns."""

import asyncio
import logging
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

from app.lane import Answer, DeviceDied, Expired, Item, ItemFailed, Lane, Unanswered

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
    are observed with it held, or a late one could overwrite a newer one."""

    def __init__(self, name: str, clock: Callable[[], float], observer: Guarded) -> None:
        self.name = name
        self.lanes: dict[str, Lane] = {}
        self.lock = threading.Condition()
        self.running: Run | None = None
        self.stopping = False
        self.died: BaseException | None = None
        self.ended = asyncio.Event()
        self.thread: threading.Thread | None = None
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
        # a daemon: a run that never returns must not keep the process from ending
        self.thread = threading.Thread(target=self._main, name=f"carlens-{self.name}", daemon=True)
        self.thread.start()

    def put(self, lane: Lane, item: Item) -> None:
        """Called with the lock held."""
        if not lane.waiting:
            lane.used_s = max(lane.used_s, self._virtual_s)  # time spent idle is no credit
        lane.waiting.append(item)
        self._observer.depth(lane.name, len(lane.waiting))
        self.lock.notify()

    def withdraw(self, lane: Lane, item: Item) -> None:
        """Give the place of an item that nobody waits for to another."""
        with self.lock:
            if item in lane.waiting:
                lane.waiting.remove(item)
                self._observer.depth(lane.name, len(lane.waiting))

    def drain(self) -> None:
        """Let the thread end as soon as nothing waits."""
        with self.lock:
            self.stopping = True
            self.lock.notify()

    def forsake(self) -> list[Item]:
        """All that is waiting or running, taken out; whoever calls must settle it."""
        with self.lock:
            pending = [*self._taken, *(item for lane in self.lanes.values() for item in lane.waiting)]
            for lane in self.lanes.values():
                lane.waiting.clear()
                self._observer.depth(lane.name, 0)
        return pending

    def _main(self) -> None:
        try:
            for lane in self.lanes.values():
                self._load(lane)
                for _ in self.lanes:
                    self._turn(wait=False)
            while self._turn(wait=True):
                pass
        except BaseException as error:
            logger.exception("the thread of device %s died", self.name)
            self._die(error)
        finally:
            self._call(self.ended.set)

    def _die(self, error: BaseException) -> None:
        with self.lock:
            self.died = error
            for lane in self.lanes.values():
                lane.state = "failed"
                lane.reason = f"{lane.name}: the thread of device {self.name} died: {type(error).__name__}"
        self._deliver([(item, DeviceDied(f"the thread of device {self.name} died")) for item in self.forsake()])

    def _load(self, lane: Lane) -> None:
        """Ascending sizes: the first that the memory does not hold ends the list, and those before it serve."""
        if self.stopping:
            return
        try:
            lane.load(self.name)
            for size in lane.sizes:
                if self.stopping:
                    return
                try:
                    lane.run_padded([], size)
                except MemoryError:
                    if not lane.warmed:
                        raise
                    logger.warning("%s: a batch of %d is out of memory, %d is not", lane.name, size, lane.largest)
                    break
                lane.warmed.add(size)
                lane.largest = size
        except (Exception, SystemExit) as error:
            logger.exception("%s does not load", lane.name)
            with self.lock:
                lane.reason = f"{lane.name}: {type(error).__name__}: {error}"
                lane.state = "failed"
            return
        with self.lock:
            lane.state = "ready"

    def _turn(self, wait: bool) -> bool:
        """Run the next batch; False where there is none, which with `wait` means that the thread shall end."""
        with self.lock:
            while (lane := self._next_lane()) is None:
                if self.stopping or not wait:
                    return False
                self.lock.wait()
            self._virtual_s = lane.used_s
            batch, late = lane.take(self._clock())
            self._taken = [*batch, *late]
            self._observer.depth(lane.name, len(lane.waiting))
        self._deliver([(item, _expired()) for item in late])
        self._execute(lane, batch)
        with self.lock:
            self._taken = []
        return True

    def _next_lane(self) -> Lane | None:
        """The one with the least device time among those with work; among equals the one that waits longest."""
        busy = (lane for lane in self.lanes.values() if lane.waiting)
        return min(busy, key=lambda lane: (lane.used_s, lane.waiting[0].number), default=None)

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

    def _still_wanted(self, group: list[Item]) -> list[Item]:
        now = self._clock()
        self._deliver([(item, _expired()) for item in group if item.deadline <= now])
        return [item for item in group if item.deadline > now and not item.future.done()]

    def _run(self, lane: Lane, group: list[Item]) -> Exception | None:
        size = lane.padded(len(group))
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
            self._deliver(
                [
                    (item, Answer(row, (item.taken or started) - item.enqueued, seconds, len(group)))
                    for item, row in zip(group, rows, strict=True)
                ]
            )
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
