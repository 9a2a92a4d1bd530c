"""What every photo call does around the path: deadline, admission, the body, and giving up when the client does."""

import asyncio
from collections.abc import Coroutine, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

from starlette.requests import Request

from app import intake
from app.ask import Ask, Call
from app.errors import ClientGone, DeadlineExceeded, Problem
from app.metrics import Metrics
from app.pipeline import Pipeline
from app.settings import Settings
from app.shelf import Shelf
from app.trail import Trail

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
        started = self.pipeline.clock()
        seconds = intake.deadline(request, self._settings)
        state = request.scope["state"]
        trail: Trail = state["trail"]
        call = Call(state["request_id"], started + seconds, trail)
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
        try:
            async with asyncio.timeout(call.deadline - self.pipeline.clock()):
                upload = await intake.receive(request, self._settings)
        except TimeoutError as error:
            raise _late(seconds, headers={"Connection": "close"}) from error  # what still comes of the body is not read
        trail.received_bytes = len(upload.data)
        received_s = upload.receive_ms / 1000
        trail.add("receive", upload.started, upload.started + received_s)
        self._metrics.stage("receive", received_s)
        return Visit(call, admitted, refused, upload.data, round(upload.receive_ms, 2), started)

    async def wait(self, request: Request, visit: Visit, work: Coroutine[Any, Any, T]) -> T:
        """The result of `work`. Raises `DeadlineExceeded`, or `ClientGone` when the connection closes first.

        At the deadline the answer goes out at once; the work that is given up lives on until its thread is through,
        because until then its pixels are in use.
        """
        doing = asyncio.create_task(work)
        leaving = asyncio.create_task(_leaves(request))
        self._running.add(doing)
        doing.add_done_callback(self._running.discard)
        left = visit.call.deadline - self.pipeline.clock()
        try:
            await asyncio.wait({doing, leaving}, timeout=max(left, 0.0), return_when=asyncio.FIRST_COMPLETED)
            if doing.done():
                return doing.result()
            if leaving.done():
                raise ClientGone
            raise _late(visit.call.deadline - visit.started)
        finally:
            for task in (doing, leaving):
                task.cancel()
                task.add_done_callback(_look_away)

    def total_ms(self, visit: Visit) -> float:
        return round((self.pipeline.clock() - visit.started) * 1000, 2)

    async def drain(self, seconds: float | None = None) -> None:
        """Waits for the work under way, given up or not; at most `seconds`."""
        if self._running:
            await asyncio.wait(self._running, timeout=seconds)


async def _leaves(request: Request) -> None:
    """Ends when the client closes the connection; the body has been read before."""
    while (await request.receive())["type"] != "http.disconnect":
        pass


def _look_away(task: "asyncio.Task[Any]") -> None:
    """Takes note of given-up work's exception, which asyncio would otherwise report as never retrieved."""
    if not task.cancelled():
        task.exception()


def _late(seconds: float, headers: dict[str, str] | None = None) -> DeadlineExceeded:
    return DeadlineExceeded(
        f"No answer within {seconds * 1000:.0f} ms. Allow more time with the header X-Deadline-Ms, or try again later.",
        headers=headers,
    )
