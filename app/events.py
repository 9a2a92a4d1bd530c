"""Answers that come as they are ready: `text/event-stream`, as the HTML standard has it."""

import asyncio
import json
import logging
from collections.abc import Awaitable, Callable, Mapping

from starlette.requests import Request
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from app.accept import weighted
from app.door import give_up
from app.errors import problem_for

MEDIA_TYPE = "text/event-stream"
HEADERS = {"Content-Type": MEDIA_TYPE, "Cache-Control": "no-store", "X-Accel-Buffering": "no"}
"""The last asks nginx, and what follows its example, to hold no event back."""

KEEP_ALIVE_S = 15.0
"""Seconds of silence after which a comment is sent: proxies give up on an answer of which nothing comes for 60 seconds
(nginx, and most balancers), some after 30; and a peer that has gone is noticed when it is written to."""

COMMENT = b": still at it\n\n"
"""What clients read over; the empty line keeps those happy that wait for the end of an event."""

Put = Callable[[str, bytes], None]
"""Takes an event's name, and its data: JSON without a line break."""

log = logging.getLogger("carlens")


def wanted(accept: str) -> bool:
    """Whether the header asks for events by name, and not for JSON more than for them."""
    asked = dict(weighted(accept))
    return asked.get(MEDIA_TYPE, 0.0) > 0 and asked[MEDIA_TYPE] >= asked.get("application/json", 0.0)


class EventStream(Response):
    """Sends what `work` puts, and a comment after every `KEEP_ALIVE_S` of silence. The answer begins with the first of
    these: what is raised before it is an answer like any other, what is raised later is the event `problem`. Events
    wait here while the client reads none, so that `work`, which may be reading the body of a client that sends all
    before it reads, never waits for them to be sent."""

    def __init__(
        self, request: Request, work: Callable[[Put], Awaitable[None]], headers: Mapping[str, str] | None = None
    ) -> None:
        super().__init__(headers={**HEADERS, **(headers or {})})
        del self.headers["content-length"]
        self._request = request
        self._work = work

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        events: asyncio.Queue[bytes | None] = asyncio.Queue()

        def put(name: str, data: bytes) -> None:
            events.put_nowait(b"event: %b\ndata: %b\n\n" % (name.encode(), data))

        async def whole() -> None:
            try:
                await self._work(put)
            finally:
                events.put_nowait(None)

        working = asyncio.create_task(whole())
        begun = False
        try:
            while (event := await _next(events)) is not None:
                if not begun:
                    await send({"type": "http.response.start", "status": 200, "headers": self.raw_headers})
                    begun = True
                await send({"type": "http.response.body", "body": event, "more_body": True})
            try:
                await working
            except Exception as error:
                if not begun:
                    raise
                last = self._told(error, scope)
                if last is None:
                    return
                await send({"type": "http.response.body", "body": last, "more_body": True})
            await send({"type": "http.response.body", "body": b""})
        finally:
            give_up(working)

    def _told(self, error: Exception, scope: Scope) -> bytes | None:
        """The event that tells of `error`; None where the client has gone."""
        problem = problem_for(self._request, error)
        state = scope["state"]
        if problem is None:
            state["left"] = True
            return None
        state["problem"] = problem
        if problem.status == 500:
            log.error("request %s: %s", state["request_id"], problem.code, exc_info=error)
        return b"event: problem\ndata: %b\n\n" % json.dumps(problem.body(state["request_id"])).encode()


async def _next(events: "asyncio.Queue[bytes | None]") -> bytes | None:
    """The next event, or a comment where none comes for so long."""
    silence = asyncio.get_running_loop().call_later(KEEP_ALIVE_S, events.put_nowait, COMMENT)
    try:
        return await events.get()
    finally:
        silence.cancel()
