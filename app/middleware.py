"""Around every request, in pure ASGI so that a client's disconnect stays visible: id, metrics, log, last resort."""

import re
import secrets
import time
from collections.abc import Callable

from starlette.datastructures import Headers, MutableHeaders
from starlette.requests import Request
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from app.errors import CLIENT_GONE_STATUS, Problem, respond, route_template
from app.metrics import Metrics, known_method
from app.trail import Ended, Trail

SANE_ID = re.compile(r"[A-Za-z0-9._-]{1,64}")

Told = Callable[[Scope, Ended], None]
"""Hears of a request when it is over. It must not raise: its answer is out."""


def request_id_for(sent: str | None) -> str:
    """The id a caller sent where it is safe to log and to echo, else a fresh one of 16 hex digits."""
    return sent if sent is not None and SANE_ID.fullmatch(sent) else secrets.token_hex(8)


class RequestContext:
    """Gives each request its id (`scope["state"]["request_id"]`, `X-Request-ID`) and its trail, counts it, answers what
    nobody else caught, and tells of it at its end. Add it after all that may refuse or break."""

    def __init__(
        self,
        app: ASGIApp,
        metrics: Metrics,
        clock: Callable[[], float] = time.monotonic,
        tell: Told = lambda scope, ended: None,
    ) -> None:
        self.app = app
        self.metrics = metrics
        self.clock = clock
        self.tell = tell

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        request_id = request_id_for(Headers(scope=scope).get("x-request-id"))
        trail = Trail()
        scope.setdefault("state", {}).update(request_id=request_id, trail=trail)
        status: int | None = None
        sent = 0

        async def send_with_id(message: Message) -> None:
            nonlocal status, sent
            if message["type"] == "http.response.start":
                status = int(message["status"])
                MutableHeaders(scope=message)["X-Request-ID"] = request_id
            elif message["type"] == "http.response.body":
                sent += len(message.get("body", b""))
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
            ended = self._ended(scope, status, started, sent, trail)
            self.metrics.request_finished(ended.route, ended.method, ended.status, ended.ended - ended.began)
            self.tell(scope, ended)

    def _ended(self, scope: Scope, status: int | None, began: float, sent: int, trail: Trail) -> Ended:
        route, problem = route_template(scope), scope["state"].get("problem")
        code, reason = (problem.code, problem.reason) if isinstance(problem, Problem) else (None, None)
        if status is None or scope["state"].get("left"):
            # No answer was begun, or not ended: the client has gone, or the server cancelled the request.
            status, code, reason = CLIENT_GONE_STATUS, "client_gone", None
        if code is not None:
            self.metrics.refused(route, code, reason)
        method = known_method(scope["method"])
        return Ended(scope["state"]["request_id"], method, route, status, code, began, self.clock(), sent, trail)
