"""Rate limits by key and by address: moving windows of the library `limits`, and the headers that tell of them."""

import asyncio
import ipaddress
import logging
import math
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass

from limits import RateLimitItem, parse
from limits.aio.storage import MovingWindowSupport
from limits.aio.strategies import MovingWindowRateLimiter
from limits.errors import ConfigurationError
from limits.storage import storage_from_string

from app.settings import Settings
from app.windows import Windows

GUESSES = parse("20/minute")
"""Wrong keys that an address may send. One who mistyped a key has time to mend it; a log is not flooded."""

PATIENCE_S = 1.0
"""A storage that does not answer within it counts as gone."""

AWAY_S = 10.0
"""So long it is not asked again then, so that not every request waits for it."""

log = logging.getLogger("carlens")


@dataclass(frozen=True, slots=True)
class Verdict:
    """What one limit says: whether one more may come, how many may, and seconds until it is one more."""

    name: str
    item: RateLimitItem
    allowed: bool
    remaining: int
    reset_s: int


class Limits:
    """The limits of the settings. `clock` in seconds since 1970.

    Raises `ValueError` where the storage of the settings is none, or lacks its library.
    """

    def __init__(self, settings: Settings, clock: Callable[[], float] = time.time) -> None:
        self.per_key = parse(settings.rate_per_key) if settings.rate_per_key else None
        self.per_address = parse(settings.rate_per_address) if settings.rate_per_address else None
        self._clock = clock
        self._near = MovingWindowRateLimiter(Windows(clock))
        self._far = _strategy(settings.rate_storage)
        self._away_until = -math.inf

    async def hit(self, name: str, item: RateLimitItem, who: str) -> Verdict:
        """Counts one request of `who`, where it is let in."""
        if self._far is not None and self._clock() >= self._away_until:
            try:
                async with asyncio.timeout(PATIENCE_S):
                    return await self._ask(self._far, name, item, who)
            except Exception as error:  # whatever a storage's library raises
                self._lost(error)
        return await self._ask(self._near, name, item, who)

    async def _ask(self, limiter: MovingWindowRateLimiter, name: str, item: RateLimitItem, who: str) -> Verdict:
        allowed = await limiter.hit(item, name, who)
        stats = await limiter.get_window_stats(item, name, who)
        reset = max(1, math.ceil(stats.reset_time - self._clock()))
        return Verdict(name, item, allowed, max(0, stats.remaining), reset)

    def _lost(self, error: Exception) -> None:
        """Better each process counts alone for a while than that nobody is served, or everybody."""
        self._away_until = self._clock() + AWAY_S
        log.error(
            "the storage of rate limits fails (%s): for %g s each worker counts alone", type(error).__name__, AWAY_S
        )


def headers(verdicts: Iterable[Verdict]) -> dict[str, str]:
    """`RateLimit-Policy` and `RateLimit` as draft-ietf-httpapi-ratelimit-headers has them: q requests in w seconds,
    r left, more of them in t seconds."""
    found = list(verdicts)
    if not found:
        return {}
    return {
        "RateLimit-Policy": ", ".join(f'"{one.name}";q={one.item.amount};w={one.item.get_expiry()}' for one in found),
        "RateLimit": ", ".join(f'"{one.name}";r={one.remaining};t={one.reset_s}' for one in found),
    }


def network(address: str) -> str:
    """Who an address stands for: itself, or of IPv6 the network of 64 bits that one household has whole."""
    try:
        found = ipaddress.ip_address(address.partition("%")[0])
    except ValueError:
        return address[:64]  # a proxy may send a name
    if isinstance(found, ipaddress.IPv6Address):
        return str(found.ipv4_mapped or ipaddress.ip_network((found, 64), strict=False))
    return str(found)


def _strategy(uri: str) -> MovingWindowRateLimiter | None:
    """The strategy over a storage that processes share; None for the memory of this one."""
    scheme = uri.partition("://")[0]
    if scheme == "memory":
        return None
    try:
        storage = storage_from_string(f"async+{uri}")
    except ConfigurationError as error:
        reason = str(error) if "prerequisite" in str(error) else "unknown. Use memory://, redis:// or mongodb://"
        raise ValueError(f"CARLENS_RATE_STORAGE: {scheme}:// cannot be used: {reason}") from error
    if not isinstance(storage, MovingWindowSupport):
        raise ValueError(f"CARLENS_RATE_STORAGE: {scheme}:// has no moving windows. Use redis:// or mongodb://")
    return MovingWindowRateLimiter(storage)
