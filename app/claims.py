"""The photos of one claim on the straight path: each as soon as it has come, a few at a time, all by one deadline."""

import asyncio
from collections.abc import Awaitable, Callable

from starlette.requests import Request

from app.album import Album, Arrived, receive
from app.ask import Call
from app.door import Door, Visit, give_up
from app.errors import DeadlineExceeded
from app.places import Places
from app.settings import Settings

WINDOW = 4
"""Photos of one claim that are worked on at a time. With the one that is arriving these are all of which bytes are
held, so a claim takes at most 5 times `max_body_bytes`; and who asks about one photo meanwhile waits behind 4."""

Look = Callable[[Arrived, Call], Awaitable[None]]
"""Inspects one photo, and tells what came of it itself. It raises nothing but a cancellation."""


class Claiming:
    """One claim. `run` ends when all photos were looked at, or time is over."""

    def __init__(
        self, request: Request, settings: Settings, door: Door, places: Places, visit: Visit, album: Album
    ) -> None:
        self.album = album
        self.whole = asyncio.Event()
        """Set when the body has come to its end."""
        self.receive_s = 0.0
        self._request = request
        self._settings = settings
        self._door = door
        self._places = places
        self._visit = visit
        self._free = asyncio.Semaphore(WINDOW)
        self._looking: set[asyncio.Task[None]] = set()

    async def run(self, look: Look) -> bool:
        """Whether there was time for all of it. Raises what ends the whole claim: `Overloaded` before anything of it is
        read, what is wrong with its form, and `ClientGone` or `ClientDisconnect` where nobody waits for it."""
        place = self._places.take()
        try:
            await self._door.wait(self._request, self._visit, self._work(look), self.whole)
        except DeadlineExceeded:
            return False
        finally:
            self._visit.call.trail.photos = len(self.album.names)
            for task in self._looking:
                give_up(task)
            place.leave(after=list(self._looking))
        return True

    async def _work(self, look: Look) -> None:
        clock = self._door.pipeline.clock
        began = clock()

        async def take(arrived: Arrived) -> None:
            await self._free.acquire()
            looking = self._door.begin(self._look(look, arrived))
            self._looking.add(looking)
            looking.add_done_callback(self._looking.discard)

        received = await receive(self._request, self._settings, self.album, take)
        self._visit.call.trail.received_bytes = received
        self.receive_s = clock() - began
        self.whole.set()
        if self._looking:
            await asyncio.wait(self._looking)

    async def _look(self, look: Look, arrived: Arrived) -> None:
        call = self._visit.call
        numbered = Call(f"{call.request_id}#{arrived.index}", call.deadline, call.trail.of(arrived.index))
        try:
            self._door.received(numbered, arrived.began, arrived.ended)
            await look(arrived, numbered)
        finally:
            self._free.release()
