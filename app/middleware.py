"""Around every request, in pure ASGI so that a client's disconnect stays visible: id, metrics, last resort."""

import re
import secrets
import time
from collections.abc import Callable

from starlette.datastructures import Headers, MutableHeaders
from starlette.requests import Request
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from app.errors import CLIENT_GONE_STATUS, respond, route_template
from app.metrics import Metrics

SANE_ID = re.compile(r"[A-Za-z0-9._-]{1,64}")


def request_id_for(sent: str | None) -> str:
    """The id a caller sent where it is safe to log and to echo, else a fresh one of 16 hex digits."""
    return sent if sent is not None and SANE_ID.fullmatch(sent) else secrets.token_hex(8)


class RequestContext:
    """Gives each request its id (`scope["state"]["request_id"]`, `X-Request-ID`), counts it, and answers what nobody
    else caught. Add it after all that may refuse or break."""

    def __init__(self, app: ASGIApp, metrics: Metrics, clock: Callable[[], float] = time.perf_counter) -> None:
        self.app = app
        self.metrics = metrics
        self.clock = clock

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        request_id = request_id_for(Headers(scope=scope).get("x-request-id"))
        scope.setdefault("state", {})["request_id"] = request_id
        status: int | None = None

        async def send_with_id(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = int(message["status"])
                MutableHeaders(scope=message)["X-Request-ID"] = request_id
            await send(message)

        started = self.clock()
        self.metrics.request_started()
        try:
            try:
                await self.app(scope, receive, send_with_id)
            except Exception as error:
                if status is not None:
                    raise  # half an answer is out: only the server can cut the connection
                response = respond(Request(scope, receive), error)
                if response is not None:
                    await response(scope, receive, send_with_id)
        finally:
            # No answer was begun: the client has gone, or the server cancelled the request.
            final = CLIENT_GONE_STATUS if status is None else status
            self.metrics.request_finished(route_template(scope), scope["method"], final, self.clock() - started)
