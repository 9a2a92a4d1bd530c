"""What a worker and its supervisor say to each other, and the worker's end of the pipe between them."""

import asyncio
import contextlib
import itertools
import os
import threading
from collections.abc import Callable, Coroutine, Sequence
from concurrent.futures import Future
from dataclasses import dataclass
from multiprocessing.connection import Connection
from typing import Any, Protocol, TypeVar

from prometheus_client import CollectorRegistry

from app.changes import Change, Outcome
from app.sums import Families

T = TypeVar("T")

PATIENCE_S = 5.0
"""Within which the supervisor has the sums; it waits less than that for a worker that tells nothing."""


@dataclass(frozen=True, slots=True)
class Settled:
    """From a worker, once: no predictor is loading any more, and connections are accepted. Whether all are ready."""

    ready: bool


@dataclass(frozen=True, slots=True)
class Figures:
    """From a worker: its own figures."""

    families: Families


@dataclass(frozen=True, slots=True)
class Wanted:
    """From a worker: somebody asks it for the sums."""


@dataclass(frozen=True, slots=True)
class Asks:
    """From a worker: somebody asks it for a change of models; `number` is the question's."""

    number: int
    change: Change


@dataclass(frozen=True, slots=True)
class Did:
    """From a worker: what came in it of the change that `Do` told under that number."""

    number: int
    outcome: Outcome


@dataclass(frozen=True, slots=True)
class Do:
    """To a worker: make the change, and tell under that number what came of it."""

    number: int
    change: Change


@dataclass(frozen=True, slots=True)
class Told:
    """To a worker: what came of the change it asked for under that number, in every worker."""

    number: int
    outcomes: Sequence[Outcome]


@dataclass(frozen=True, slots=True)
class Tell:
    """To a worker: send your figures."""


@dataclass(frozen=True, slots=True)
class Sum:
    """To a worker: the figures of all, as Prometheus text."""

    text: bytes


@dataclass(frozen=True, slots=True)
class Stop:
    """To a worker: answer what you took, and end; `at_once`, without the delay before that."""

    at_once: bool = False


Said = Settled | Figures | Wanted | Asks | Did
Order = Tell | Sum | Stop | Do | Told


class Changes(Protocol):
    """Whom orders are sent to."""

    def send(self, order: Order) -> None: ...


class Link:
    """A worker's end. A thread of its own hears the supervisor, so that figures are told while the event loop is busy,
    and a supervisor that is gone is noticed at once: its end of the pipe closes with it."""

    def __init__(self, pipe: "Connection[Said, Order]") -> None:
        self._pipe = pipe
        self._sending = threading.Lock()
        self._asking = asyncio.Lock()
        self._answer: asyncio.Future[bytes] | None = None
        self._registry: CollectorRegistry | None = None
        self._stop: Callable[[bool], None] = _leave
        self._numbers = itertools.count()
        self._told: dict[int, asyncio.Future[Sequence[Outcome]]] = {}
        self._loop: asyncio.AbstractEventLoop | None = None
        self._make: Callable[[Change], Coroutine[Any, Any, Outcome]] | None = None
        self._early: list[Do] = []

    def start(self) -> None:
        threading.Thread(target=self._hear, name="carlens-link", daemon=True).start()

    def serve(self, registry: CollectorRegistry, stop: Callable[[bool], None]) -> None:
        """From now on these figures are told, and `stop` is called, from the link's thread, when it shall end, with
        whether at once; before, nothing was taken yet, and it ends at once."""
        self._registry, self._stop = registry, stop

    def changes(self, make: Callable[[Change], Coroutine[Any, Any, Outcome]]) -> None:
        """From now on `make` makes the changes that are ordered, on the running event loop; first those that were
        ordered before."""
        with self._sending:
            self._loop, self._make = asyncio.get_running_loop(), make
            early, self._early = self._early, []
        for order in early:
            self._do(order)

    async def spread(self, change: Change) -> Sequence[Outcome]:
        """Has the change made in every worker; what came of it in each, by number."""
        number = next(self._numbers)
        self._told[number] = asyncio.get_running_loop().create_future()
        try:
            self._say(Asks(number, change))
            return await self._told[number]
        finally:
            del self._told[number]

    def settled(self, ready: bool) -> None:
        self._say(Settled(ready))

    def tell(self) -> None:
        """The figures as they are now."""
        self._say(Figures(list(self._registry.collect()) if self._registry else []))

    async def sums(self) -> bytes:
        """The figures of all workers as Prometheus text; raises `TimeoutError` where there is no answer."""
        async with self._asking:
            self._answer = asyncio.get_running_loop().create_future()
            self._say(Wanted())
            async with asyncio.timeout(PATIENCE_S):
                return await self._answer

    def _say(self, what: Said) -> None:
        with self._sending, contextlib.suppress(OSError):  # without a supervisor, `_hear` ends the worker
            self._pipe.send(what)

    def _hear(self) -> None:
        try:
            while True:
                match self._pipe.recv():
                    case Tell():
                        self.tell()
                    case Sum(text):
                        self._settle(text)
                    case Do() as order:
                        self._do(order)
                    case Told(number, outcomes):
                        self._pass_on(number, outcomes)
                    case Stop(at_once):
                        self._stop(at_once)
        except (EOFError, OSError):
            self._stop(True)

    def _settle(self, text: bytes) -> None:
        answer = self._answer
        if answer is not None:
            with contextlib.suppress(RuntimeError):  # the event loop is closed
                answer.get_loop().call_soon_threadsafe(_give, answer, text)

    def _do(self, order: Do) -> None:
        with self._sending:
            loop, make = self._loop, self._make
            if loop is None or make is None:
                self._early.append(order)
                return
        making = make(order.change)
        try:
            done = asyncio.run_coroutine_threadsafe(making, loop)
        except RuntimeError:  # the event loop is closed: the worker ends
            making.close()
            return
        done.add_done_callback(lambda made: self._say(Did(order.number, _outcome(made))))

    def _pass_on(self, number: int, outcomes: Sequence[Outcome]) -> None:
        waiting = self._told.get(number)
        if waiting is not None:
            with contextlib.suppress(RuntimeError):  # the event loop is closed
                waiting.get_loop().call_soon_threadsafe(_give, waiting, outcomes)


def _outcome(made: "Future[Outcome]") -> Outcome:
    if made.cancelled():
        return Outcome("failed", failure="the worker stops")
    error = made.exception()
    return made.result() if error is None else Outcome("failed", failure=f"{type(error).__name__}: {error}")


def _give(answer: "asyncio.Future[T]", given: T) -> None:
    if not answer.done():
        answer.set_result(given)


def _leave(_: bool) -> None:
    os._exit(0)  # the main thread is still importing and building
