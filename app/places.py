"""How many claims are worked on at a time: each may hold several photos' bytes, so they are counted first."""

import asyncio
import time
from collections.abc import Callable, Collection
from typing import Any

from app.errors import Overloaded

FIRST_GUESS_S = 5.0
"""Seconds until a place is free, as long as no claim has ended that could tell: a few phone photos on two cores."""


class Places:
    """`most` places. One per app."""

    def __init__(self, most: int, clock: Callable[[], float] = time.monotonic) -> None:
        self.most = most
        self.taken = 0
        self._clock = clock
        self._lasted_s = FIRST_GUESS_S * most

    def take(self) -> "Place":
        """Raises `Overloaded` where none is free, with a guess of when one will be: claims end one after the other, and
        the next takes as long as the last."""
        if self.taken >= self.most:
            refused = Overloaded(
                f"As many claims as this service works on at a time, {self.most}, are under way. Try again after "
                "Retry-After.",
                retry_after_s=self._lasted_s / self.most,
            )
            refused.reason = "full"
            raise refused
        self.taken += 1
        return Place(self, self._clock())

    def _leave(self, since: float) -> None:
        self.taken -= 1
        self._lasted_s = self._clock() - since


class Place:
    """One claim's, until it has left."""

    def __init__(self, places: Places, since: float) -> None:
        self._places = places
        self._since = since

    def leave(self, after: Collection["asyncio.Task[Any]"] = ()) -> None:
        """To be called once. The place is free when the tasks are done: work that was given up holds its photo until
        its thread is through."""
        left = set(after)
        if not left:
            self._places._leave(self._since)

        def done(task: "asyncio.Task[Any]") -> None:
            left.discard(task)
            if not left:
                self._places._leave(self._since)

        for task in after:
            task.add_done_callback(done)
