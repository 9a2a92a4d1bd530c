"""A worker's process as its supervisor holds it: started anew rather than forked, heard and spoken to by threads."""

import contextlib
import multiprocessing
import signal
import sys
import threading
from collections.abc import Callable, Iterator
from multiprocessing import resource_tracker
from multiprocessing.connection import Connection
from queue import SimpleQueue
from typing import Any

from app.link import Order, Said

SPAWN = multiprocessing.get_context("spawn")
"""A fork would take over the locks, and not the threads, of what is imported here."""


@contextlib.contextmanager
def _interrupts_later() -> Iterator[None]:
    """A terminal's Ctrl-C reaches every process. A worker is born with it blocked, until it ignores it
    (`ignore_interrupts`); here it is only put off."""
    if sys.platform == "win32":
        yield
        return
    resource_tracker.ensure_running()  # what `start` would do first, and unblock by it
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGINT})


def ignore_interrupts() -> None:
    """In a worker, until it serves: its supervisor's word is enough. So it is for hang-ups, always."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    if sys.platform != "win32":
        signal.signal(signal.SIGHUP, signal.SIG_IGN)
        signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGINT})


class Child:
    """Runs `target(…, pipe, …)`; `hear` gets what the worker says and, last, its exit code, each in a thread of this
    worker's own. So a worker that hangs holds up nobody else."""

    def __init__(
        self,
        name: str,
        target: Callable[..., None],
        given: Callable[[Any], tuple[Any, ...]],
        hear: Callable[[Said | int], None],
    ) -> None:
        self._hear = hear
        self._orders: SimpleQueue[Order | None] = SimpleQueue()
        self._pipe: Connection[Order, Said]
        self._pipe, theirs = SPAWN.Pipe()
        self._process = SPAWN.Process(target=target, args=given(theirs), name=name)
        with _interrupts_later():
            self._process.start()
        theirs.close()  # else the pipe would not end with the worker
        for body in (self._listen, self._speak):
            threading.Thread(target=body, name=f"{name}-{body.__name__}", daemon=True).start()

    @property
    def pid(self) -> int | None:
        return self._process.pid

    def send(self, order: Order) -> None:
        self._orders.put(order)

    def kill(self) -> None:
        self._process.kill()

    def _listen(self) -> None:
        try:
            while True:
                self._hear(self._pipe.recv())
        except (EOFError, OSError):
            self._process.join()
        self._pipe.close()
        self._orders.put(None)
        self._hear(self._process.exitcode or 0)

    def _speak(self) -> None:
        with contextlib.suppress(OSError):  # it has ended: `_listen` tells
            while (order := self._orders.get()) is not None:
                self._pipe.send(order)
