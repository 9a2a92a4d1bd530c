"""What every photo call does around the path: deadline, admission, the body, and giving up when the client does."""

import asyncio
from collections.abc import Coroutine, Sequence
from dataclasses import dataclass, replace
from typing import Any, TypeVar

from starlette.requests import Request

from app import intake
from app.ask import Ask, Call
from app.connection import GONE
from app.errors import ClientGone, DeadlineExceeded, Problem
from app.metrics import Metrics
from app.pipeline import Pipeline
from app.settings import Settings
from app.shelf import Shelf

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Visit:
    """A request let in. `refused` are the tasks that cannot be asked now; `started` is on the pipeline's clock."""

    call: Call
    asks: list[Ask]
    refused: dict[str, Problem]
    data: bytes
    receive_ms: float
    started: float


class Door:
    """Lets requests in and waits with them, never longer than their deadline."""

    def __init__(self, settings: Settings, pipeline: Pipeline, metrics: Metrics, shelf: Shelf) -> None:
        self.pipeline = pipeline
        self.shelf = shelf
        self._settings = settings
        self._metrics = metrics
        self._running: set[asyncio.Task[Any]] = set()

    async def enter(self, request: Request, asks: Sequence[Ask], version: str | None = None) -> Visit:
        """The photo's bytes, once somebody can answer; that is the `version`, or the one that serves now, whatever is
        served when it answers. Raises the first task's `Problem` where nobody can."""
        settings = self._settings
        seconds = intake.deadline(request, settings.default_deadline_ms, settings.max_deadline_ms)
        visit = await self.let_in(request, asks, seconds, version)
        call = visit.call
        try:
            async with asyncio.timeout(call.deadline - self.pipeline.clock()):
                upload = await intake.receive(request, settings)
        except TimeoutError as error:
            raise late(seconds, body_open=True) from error
        call.trail.received_bytes = len(upload.data)
        self.received(call, upload.started, upload.started + upload.receive_ms / 1000)
        return replace(visit, data=upload.data, receive_ms=round(upload.receive_ms, 2))

    async def let_in(self, request: Request, asks: Sequence[Ask], seconds: float, version: str | None = None) -> Visit:
        """The same before anything of the body is read, for an answer within `seconds`."""
        started = self.pipeline.clock()
        state = request.scope["state"]
        call = Call(state["request_id"], started + seconds, state["trail"])
        refused: dict[str, Problem] = {}
        taken: list[Ask] = []
        for ask in asks:
            try:
                taken.append(await self.shelf.take(ask, version, call.deadline - self.pipeline.clock()))
            except Problem as problem:
                refused[ask.name] = problem
        refused |= self.pipeline.admit(taken, call)
        admitted = [ask for ask in taken if ask.name not in refused]
        if not admitted:
            raise refused[asks[0].name]
        return Visit(call, admitted, refused, b"", 0.0, started)

    def received(self, call: Call, began: float, ended: float) -> None:
        """Takes note of how long a photo took to come."""
        call.trail.add("receive", began, ended)
        self._metrics.stage("receive", ended - began)

    async def wait(
        self, request: Request, visit: Visit, work: Coroutine[Any, Any, T], whole: asyncio.Event | None = None
    ) -> T:
        """The result of `work`. Raises `DeadlineExceeded`, or `ClientGone` when the connection closes first. Where the
        work reads the body itself, `whole` is set once it has.

        At the deadline the answer goes out at once; the work that is given up lives on until its thread is through,
        because until then its pixels are in use.
        """
        doing = self.begin(work)
        leaving = asyncio.create_task(_leaves(request, whole))
        left = visit.call.deadline - self.pipeline.clock()
        try:
            await asyncio.wait({doing, leaving}, timeout=max(left, 0.0), return_when=asyncio.FIRST_COMPLETED)
            if doing.done():
                return doing.result()
            if leaving.done():
                raise ClientGone
            raise late(visit.call.deadline - visit.started, body_open=whole is not None and not whole.is_set())
        finally:
            for task in (doing, leaving):
                give_up(task)

    def begin(self, work: Coroutine[Any, Any, T]) -> "asyncio.Task[T]":
        """Work that `drain` waits for."""
        doing = asyncio.create_task(work)
        self._running.add(doing)
        doing.add_done_callback(self._running.discard)
        return doing

    def total_ms(self, visit: Visit) -> float:
        return round((self.pipeline.clock() - visit.started) * 1000, 2)

    async def drain(self, seconds: float | None = None) -> None:
        """Waits for the work under way, given up or not; at most `seconds`."""
        if self._running:
            await asyncio.wait(self._running, timeout=seconds)


async def _leaves(request: Request, whole: asyncio.Event | None) -> None:
    """Ends when the client closes the connection. While others read the body, until `whole` is set, our own server
    alone tells of that."""
    if whole is not None:
        gone: asyncio.Event = request.scope.get("extensions", {}).get(GONE) or asyncio.Event()
        await _either(whole, gone)
        if gone.is_set():
            return
    while (await request.receive())["type"] != "http.disconnect":
        pass


async def _either(*events: asyncio.Event) -> None:
    """Waits for the first of them."""
    waiting = [asyncio.ensure_future(event.wait()) for event in events]
    try:
        await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for one in waiting:
            one.cancel()


def give_up(task: "asyncio.Task[Any]") -> None:
    """Cancels work that nobody waits for any more."""
    task.cancel()
    task.add_done_callback(_look_away)


def _look_away(task: "asyncio.Task[Any]") -> None:
    """Takes note of given-up work's exception, which asyncio would otherwise report as never retrieved."""
    if not task.cancelled():
        task.exception()


def late(seconds: float, body_open: bool = False) -> DeadlineExceeded:
    """`body_open`: some of the body has not come. What still comes of it is not read."""
    return DeadlineExceeded(
        f"No answer within {seconds * 1000:.0f} ms. Allow more time with the header X-Deadline-Ms, or try again later.",
        headers={"Connection": "close"} if body_open else None,
    )
