"""What a worker and its supervisor say to each other, and the worker's end of the pipe between them."""

import asyncio
import contextlib
import os
import threading
from collections.abc import Callable
from dataclasses import dataclass
from multiprocessing.connection import Connection

from prometheus_client import CollectorRegistry

from app.sums import Families

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


Said = Settled | Figures | Wanted
Order = Tell | Sum | Stop


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

    def start(self) -> None:
        threading.Thread(target=self._hear, name="carlens-link", daemon=True).start()

    def serve(self, registry: CollectorRegistry, stop: Callable[[bool], None]) -> None:
        """From now on these figures are told, and `stop` is called, from the link's thread, when it shall end, with
        whether at once; before, nothing was taken yet, and it ends at once."""
        self._registry, self._stop = registry, stop

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
                    case Stop(at_once):
                        self._stop(at_once)
        except (EOFError, OSError):
            self._stop(True)

    def _settle(self, text: bytes) -> None:
        answer = self._answer
        if answer is not None:
            with contextlib.suppress(RuntimeError):  # the event loop is closed
                answer.get_loop().call_soon_threadsafe(_give, answer, text)


def _give(answer: asyncio.Future[bytes], text: bytes) -> None:
    if not answer.done():
        answer.set_result(text)


def _leave(_: bool) -> None:
    os._exit(0)  # the main thread is still importing and building
