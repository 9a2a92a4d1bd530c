"""Who may ask what: keys and rate limits, settled from the head of a request before a byte of its body is read."""

import logging
from typing import Literal

from starlette.datastructures import Headers, MutableHeaders
from starlette.requests import Request
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from app import keys, limits
from app.errors import Forbidden, Problem, RateLimited, Unauthenticated, respond

Wanted = keys.Scope | Literal["open", "health"]
"""What a call needs: a key with that scope, or none; `health` is not even limited."""

EXACTLY: dict[str, Wanted] = {
    "/": "open",
    "/docs": "open",
    "/redoc": "open",
    "/openapi.json": "open",
    "/metrics": "metrics",
}
BELOW: dict[str, Wanted] = {
    "/docs/assets/": "open",
    "/page/assets/": "open",
    "/health/": "health",
    "/v2/health/": "health",
}
CHANGED = ("/v1/models", "/v2/repository")
"""What decides which models are served; whatever does not only read there changes it."""

READING = frozenset({"GET", "HEAD", "OPTIONS"})
CHALLENGE = 'Bearer realm="carlens"'

log = logging.getLogger("carlens")


def wanted(method: str, path: str) -> Wanted:
    """What a call needs. One that is not named needs `predict`, so a route that somebody adds is closed."""
    if path in EXACTLY:
        return EXACTLY[path]
    for prefix, what in BELOW.items():
        if path.startswith(prefix):
            return what
    changes = method not in READING and any(f"{path}/".startswith(f"{place}/") for place in CHANGED)
    return "admin" if changes else "predict"


def presented(headers: Headers) -> str | None:
    """The token that a request brings as `Authorization: Bearer …`, else as `X-API-Key`."""
    scheme, _, token = headers.get("authorization", "").partition(" ")
    return (token.strip() if scheme.lower() == "bearer" else headers.get("x-api-key")) or None


class Access:
    """Lets a request on to `app`, or answers 401, 403 or 429 itself. Never receives, so no body is read before.

    Without `ring` there are no keys: all is open but what needs `admin`, which nobody may then. The address is the one
    that the server names: behind a trusted proxy, that of its client.
    """

    def __init__(self, app: ASGIApp, ring: keys.Keys | None, limiter: limits.Limits) -> None:
        self.app = app
        self.ring = ring
        self.limiter = limiter

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        what: Wanted = wanted(scope["method"], scope["path"]) if scope["type"] == "http" else "health"
        if what == "health":
            await self.app(scope, receive, send)
            return
        verdicts: list[limits.Verdict] = []

        async def send_with_limits(message: Message) -> None:
            if message["type"] == "http.response.start":
                MutableHeaders(scope=message).update(limits.headers(verdicts))
            await send(message)

        try:
            await self._check(scope, what, verdicts)
        except Problem as problem:
            refusal = respond(Request(scope, receive), problem)
            assert refusal  # only one who has gone gets none
            await refusal(scope, receive, send_with_limits)
        else:
            await self.app(scope, receive, send_with_limits)

    async def _check(self, scope: Scope, what: Wanted, verdicts: list[limits.Verdict]) -> None:
        """Raises the `Problem` of one who may not go on; `verdicts` get what each limit says."""
        address = limits.network(scope["client"][0] if scope.get("client") else "")
        if self.limiter.per_address:
            verdicts.append(await self.limiter.hit("address", self.limiter.per_address, address))
            _refuse_beyond(verdicts[-1], "from your address")
        if what == "open":
            return
        if self.ring is None:
            if what == "admin":
                raise Forbidden(
                    "Models are changed with a key of the scope admin, and this service has no keys. Make one with "
                    "`carlens key NAME --scope admin`, and name its file in CARLENS_KEYS_FILE.",
                    extra={"scope": what},
                )
            return
        key = await self._key(self.ring, scope, address)
        if self.limiter.per_key:
            verdicts.append(await self.limiter.hit("key", self.limiter.per_key, key.name))
            _refuse_beyond(verdicts[-1], "with this key")
        if what not in key.scopes:
            raise Forbidden(
                f"The key {key.name} lacks the scope {what}. Ask the operator for one that has it.",
                extra={"scope": what},
                headers={"WWW-Authenticate": f'{CHALLENGE}, error="insufficient_scope", scope="{what}"'},
            )

    async def _key(self, ring: keys.Keys, scope: Scope, address: str) -> keys.Key:
        token = presented(Headers(scope=scope))
        if token is None:
            raise Unauthenticated(Unauthenticated.example, headers={"WWW-Authenticate": CHALLENGE})
        if key := ring.find(token):
            return key
        # A right key is let through even now: else whoever guesses would lock out all behind the same address.
        _refuse_beyond(await self.limiter.hit("guesses", limits.GUESSES, address), "with wrong keys from your address")
        log.warning("request %s: a wrong key from %s", scope["state"]["request_id"], address)
        raise Unauthenticated(
            "The key is not one of this service's. Check that it is whole, or ask the operator for a new one.",
            headers={"WWW-Authenticate": f'{CHALLENGE}, error="invalid_token"'},
        )


def _refuse_beyond(verdict: limits.Verdict, whose: str) -> None:
    if verdict.allowed:
        return
    raise RateLimited(
        f"More than {verdict.item.amount} requests {whose} within {verdict.item.get_expiry()} s. Try again after the "
        "seconds in Retry-After.",
        headers={"Retry-After": str(verdict.reset_s)},  # exactly, where a window may be a day
    )
