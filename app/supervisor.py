"""Keeps the workers of one service alive, gathers their figures, and stops them together."""

import logging
import math
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field, replace
from queue import Empty, SimpleQueue
from typing import Protocol

from prometheus_client import Metric
from prometheus_client.metrics_core import CounterMetricFamily, GaugeMetricFamily

from app.changes import Change
from app.link import Asks, Did, Figures, Order, Said, Settled, Stop, Sum, Tell, Wanted
from app.restarts import Restarts
from app.rounds import Rounds
from app.sums import Sums

logger = logging.getLogger(__name__)

GATHER_S = 1.0
"""No longer are figures waited for: those that a worker told last stand for those that it does not tell."""


class Worker(Protocol):
    """A running process; `app.child.Child` is the real one."""

    def send(self, order: Order) -> None: ...

    def kill(self) -> None: ...


@dataclass(slots=True)
class Slot:
    """One place for a worker. `due` is when the next one starts where there is none."""

    number: int
    worker: Worker | None = None
    due: float | None = None
    accepts: bool = False
    settled_at: float | None = None
    ready: bool = False
    owes: bool = False
    asks: bool = False
    restarts: Restarts = field(default_factory=Restarts)


Event = tuple[Slot, Said | int] | Change


class Supervisor:
    """`start(number, at_once, hear)` starts a worker that calls `hear` with what it says and, last, with its exit code,
    from any thread; `at_once` lets it accept before its predictors are loaded. `announce` is called once, when every
    worker is ready. Times in seconds of `clock`.

    The first worker starts alone: what it compiles into the cache, the others read; and what hinders all is told once.
    """

    def __init__(
        self,
        count: int,
        start: Callable[[int, bool, Callable[[Said | int], None]], Worker],
        announce: Callable[[], None],
        stop_s: float,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.slots = [Slot(number) for number in range(count)]
        self.code = 0
        self._start = start
        self._announce: Callable[[], None] | None = announce
        self._stop_s = stop_s
        self._clock = clock
        self._events: SimpleQueue[Event | None] = SimpleQueue()  # its `put` is safe in a signal's handler
        self._stopping_until: float | None = None
        self._sums = Sums()
        self._started_again = 0
        self._gathering_until: float | None = None
        self._asked: list[Slot] = []
        self._workers: dict[int, Worker] = {}
        self._rounds = Rounds(self._workers)

    def run(self) -> int:
        """Returns the exit code when every worker has ended."""
        self.slots[0].due = self._clock()
        try:
            while not self.over:
                self.tick()
                event: Event | None = None
                with suppress(Empty):
                    event = self._events.get(timeout=self.patience())
                    self.handle(event)
        finally:
            for slot in self._living():
                if slot.worker:
                    slot.worker.kill()
        return self.code

    @property
    def over(self) -> bool:
        return self._stopping_until is not None and not any(self._living())

    def stop(self, *_: object) -> None:
        """A signal's handler: let all workers answer what they took, and end; the second time, without delay."""
        self._events.put(None)

    def change(self, change: Change) -> None:
        """From a signal's handler: have the change made in every worker."""
        self._events.put(change)

    def patience(self) -> float | None:
        """Seconds until there is something to do that no event brings; None where there is nothing."""
        times = [self._gathering_until, self._stopping_until, self._rounds.until, *(slot.due for slot in self.slots)]
        first = min((when for when in times if when is not None), default=math.inf)
        return None if first == math.inf else max(0.0, first - self._clock())

    def tick(self) -> None:
        """What is due now."""
        now = self._clock()
        for slot in self.slots:
            if slot.due is not None and slot.due <= now:
                self._begin(slot)
        if self._gathering_until is not None and self._gathering_until <= now:
            self._answer()
        if self._rounds.until is not None and self._rounds.until <= now:
            self._rounds.overdue(now)
        if self._stopping_until is not None and self._stopping_until <= now:
            for slot in self._living():
                if slot.worker:
                    logger.warning("worker %d did not stop in time: it is killed", slot.number)
                    slot.worker.kill()
            self._stopping_until = math.inf

    def handle(self, event: Event | None) -> None:
        """What a worker said, a change that is wanted, or None to stop."""
        if event is None:
            self._end()
            return
        if isinstance(event, Change):
            self._rounds.ask(event, self._clock())
            return
        slot, said = event
        match said:
            case Settled(ready):
                self._settled(slot, ready)
            case Figures(families):
                slot.owes = False
                self._sums.told(slot.number, families)
            case Wanted():
                slot.asks = True
            case Asks(number, change):
                self._rounds.ask(change, self._clock(), (slot.number, number))
            case Did(number, outcome):
                told = replace(outcome, worker=slot.number)
                self._rounds.told(slot.number, number, told, self._clock())
            case int():
                self._ended(slot, said)
        self._gather()

    def _living(self) -> Iterator[Slot]:
        return (slot for slot in self.slots if slot.worker is not None)

    def _begin(self, slot: Slot) -> None:
        slot.due = None
        # Somebody must answer /health/live from the first second on; the others accept when they can serve.
        slot.accepts = not any(other.accepts for other in self._living())
        slot.worker = self._start(slot.number, slot.accepts, lambda said: self._events.put((slot, said)))
        self._workers[slot.number] = slot.worker
        self._rounds.began(slot.number)

    def _settled(self, slot: Slot, ready: bool) -> None:
        slot.accepts, slot.ready, slot.settled_at = True, ready, self._clock()
        if self._stopping_until is not None:
            return
        for other in self.slots:
            if other.worker is None and other.due is None:
                other.due = self._clock()
        if self._announce and all(other.ready for other in self.slots):
            self._announce()
            self._announce = None

    def _ended(self, slot: Slot, code: int) -> None:
        now = self._clock()
        served_s = None if slot.settled_at is None else now - slot.settled_at
        slot.worker, slot.settled_at = None, None
        slot.accepts = slot.ready = slot.owes = slot.asks = False
        self._sums.ended(slot.number)
        self._workers.pop(slot.number, None)
        self._rounds.ended(slot.number, now)
        if self._stopping_until is not None:
            return
        pause = slot.restarts.after(code, served_s)
        if pause is None:
            logger.error("worker %d cannot start (exit code %d): the service stops", slot.number, code)
            self.code = code
            self._end()
            return
        logger.warning("worker %d ended with exit code %d; it starts again in %g s", slot.number, code, pause)
        slot.due = now + pause
        self._started_again += 1

    def _end(self) -> None:
        again = self._stopping_until is not None
        if not again:
            self._stopping_until = self._clock() + self._stop_s
        for slot in self.slots:
            slot.due = None
            if slot.worker:
                slot.worker.send(Stop(at_once=again))

    def _gather(self) -> None:
        """Go on with the figures that were asked for. One who asks while others are answered waits for the next round:
        theirs may have been told before it asked."""
        if self._asked and not any(slot.owes for slot in self.slots):
            self._answer()
        if self._asked:
            return
        self._asked = [slot for slot in self.slots if slot.asks]
        if not self._asked:
            return
        self._gathering_until = self._clock() + GATHER_S
        for slot in self._living():
            slot.asks = False
            if slot.worker and slot.accepts and not slot.owes:  # one that loads has counted nothing yet
                slot.owes = True
                slot.worker.send(Tell())

    def text(self) -> bytes:
        """What all workers told last, and what is known of themselves, as Prometheus text."""
        return self._sums.text(self._own())

    def _answer(self) -> None:
        self._gathering_until = None
        text = self.text()
        for slot in self._asked:
            if slot.worker:
                slot.worker.send(Sum(text))
        self._asked = []

    def _own(self) -> list[Metric]:
        ready = sum(slot.ready for slot in self.slots)
        return [
            GaugeMetricFamily("carlens_workers_ready", "Workers whose predictors are all ready.", ready),
            CounterMetricFamily(
                "carlens_worker_restarts", "Workers that ended and are started again.", self._started_again
            ),
        ]
