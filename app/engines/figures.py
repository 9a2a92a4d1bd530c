"""The figures of all ingress replicas as those of one service: `/metrics` asks any of them, and means all."""

import time
from collections.abc import Callable
from itertools import count

from app.sums import Families, Sums

SILENT_S = 60.0
"""A replica that tells nothing for so long has ended: Serve asks each every few seconds, and then it tells."""


class Figures:
    """Serve's deployment, one for all. What it holds dies with it: counters then begin anew, as after any restart."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._sums = Sums()
        self._numbers: dict[str, int] = {}
        self._heard: dict[str, float] = {}
        self._next = count()

    def told(self, replica: str, families: Families) -> None:
        """What the replica has counted since it began. One that had ended stays so: it was counted already."""
        if replica not in self._numbers:
            self._numbers[replica] = next(self._next)
        elif replica not in self._heard:
            return
        self._heard[replica] = self._clock()
        self._sums.told(self._numbers[replica], families)

    def text(self, replica: str, families: Families) -> bytes:
        """Everything in Prometheus's text format; the replica that asks tells its figures with the question."""
        self.told(replica, families)
        now = self._clock()
        for silent in [one for one, heard in self._heard.items() if now - heard > SILENT_S]:
            del self._heard[silent]
            self._sums.ended(self._numbers[silent])
        return self._sums.text()
