"""The test's end of the probe: hears of every load and run in the service's process, and orders what comes of it."""

import json
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

PATIENCE_S = 60.0
"""For what happens in milliseconds on a machine that has nothing else to do."""

GO = "go"


@dataclass(frozen=True, slots=True)
class Told:
    """What the probe is about to do: `load`, or `run` with the rounded means of its photos, and rows with padding."""

    what: str
    pid: int
    numbers: list[int] = field(default_factory=list)
    rows: int = 0


Policy = Callable[[Told], str]


class Control:
    """`policy` gives the orders, from a thread of each probe's; while `hold` lasts runs wait for its end."""

    def __init__(self) -> None:
        self.policy: Policy = lambda told: GO
        self.told: list[Told] = []
        self._changed = threading.Condition()
        self._open = threading.Event()
        self._open.set()
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._connections: list[socket.socket] = []
        threading.Thread(target=self._accept, daemon=True).start()

    @property
    def address(self) -> str:
        return f"127.0.0.1:{self._listener.getsockname()[1]}"

    @property
    def runs(self) -> list[list[int]]:
        """The photos of every run so far, warming not among them."""
        return [told.numbers for told in list(self.told) if told.numbers]

    @property
    def computed(self) -> list[int]:
        """The photos that reached the model, in order."""
        return [number for run in self.runs for number in run]

    @property
    def proofs(self) -> int:
        """Runs that hold no photo of a test: of the service's own, or warming."""
        return sum(told.what == "run" and not told.numbers for told in list(self.told))

    @property
    def loads(self) -> int:
        return sum(told.what == "load" for told in list(self.told))

    def forget(self) -> None:
        """A test counts from here, and all goes well again."""
        self.policy = lambda told: GO
        self.told.clear()

    def until(self, met: Callable[[], bool], what: str) -> None:
        """Waits for something the probe tells."""
        with self._changed:
            assert self._changed.wait_for(met, PATIENCE_S), f"{what}: not within {PATIENCE_S:g} s, told was {self.told}"

    @contextmanager
    def hold(self) -> Iterator[None]:
        """Runs and loads wait on the device until the end."""
        self._open.clear()
        try:
            yield
        finally:
            self.release()

    def release(self) -> None:
        self._open.set()

    def close(self) -> None:
        self._open.set()
        self._listener.close()
        for connection in self._connections:
            connection.close()

    def _accept(self) -> None:
        while True:
            try:
                connection, _ = self._listener.accept()
            except OSError:
                return  # closed
            self._connections.append(connection)
            threading.Thread(target=self._serve, args=(connection,), daemon=True).start()

    def _serve(self, connection: socket.socket) -> None:
        try:
            with connection.makefile("rwb") as lines:
                for line in lines:
                    lines.write(self._order(json.loads(line)).encode() + b"\n")
                    lines.flush()
        except (OSError, ValueError):
            pass  # the process has ended, or the test has

    def _order(self, message: dict[str, Any]) -> str:
        told = Told(**message)
        with self._changed:
            self.told.append(told)
            self._changed.notify_all()
        order = self.policy(told)
        if told.what == "run" and not told.numbers and order == GO:
            return order  # warming is not held
        self._open.wait()
        return order
