"""Moving windows of requests in this process's memory, which is bounded however many addresses ask."""

import time
from array import array
from bisect import bisect_right
from collections import OrderedDict
from collections.abc import Callable

from limits.aio.storage import MovingWindowSupport, Storage

MAX_KEYS = 100_000
MAX_HITS = 4_000_000
"""Some 30 MB each. Beyond either, whoever has been quiet longest is forgotten."""


class Windows(Storage, MovingWindowSupport):
    """A storage for the strategies of `limits`, in place of its own in memory: of those one never forgets a key whose
    window has passed, and the other walks over all keys at every request, in a thread for each.

    `clock` in seconds since 1970, because the strategies count in these.
    """

    STORAGE_SCHEME = None

    def __init__(
        self, clock: Callable[[], float] = time.time, max_keys: int = MAX_KEYS, max_hits: int = MAX_HITS
    ) -> None:
        super().__init__()
        self._clock = clock
        self._max_keys = max_keys
        self._max_hits = max_hits
        self._windows: OrderedDict[str, tuple[array[float], int]] = OrderedDict()  # the one that asked last at the end
        self._hits = 0

    @property
    def base_exceptions(self) -> type[Exception]:
        return ValueError

    async def acquire_entry(self, key: str, limit: int, expiry: int, amount: int = 1) -> bool:
        """Whether `amount` more fit into the window of `expiry` seconds; if so they are taken."""
        now = self._clock()
        times = self._current(key, expiry, now)
        fits = len(times) + amount <= limit
        if fits:
            times.extend([now] * amount)
            self._hits += amount
        if times:
            self._windows[key] = times, expiry
            self._windows.move_to_end(key)
        self._forget(now)
        return fits

    async def get_moving_window(self, key: str, limit: int, expiry: int) -> tuple[float, int]:
        """When the oldest hit in the window was, and how many there are."""
        now = self._clock()
        times = self._current(key, expiry, now)
        return (times[0], len(times)) if times else (now, 0)

    async def clear(self, key: str) -> None:
        times, _ = self._windows.pop(key, (array("d"), 0))
        self._hits -= len(times)

    async def reset(self) -> int:
        count = len(self._windows)
        self._windows.clear()
        self._hits = 0
        return count

    async def check(self) -> bool:
        return True

    def _current(self, key: str, expiry: int, now: float) -> "array[float]":
        times, _ = self._windows.get(key, (array("d"), expiry))
        gone = bisect_right(times, now - expiry)
        del times[:gone]
        self._hits -= gone
        if not times:
            self._windows.pop(key, None)
        return times

    def _forget(self, now: float) -> None:
        """Drops who asked longest ago: those whose window has passed, and those over the bounds."""
        while self._windows:
            key, (times, expiry) = next(iter(self._windows.items()))
            over = len(self._windows) > self._max_keys or self._hits > self._max_hits
            if not over and times[-1] > now - expiry:
                return
            del self._windows[key]
            self._hits -= len(times)

    # What only other strategies ask for.
    async def incr(self, key: str, expiry: int, amount: int = 1) -> int:
        raise NotImplementedError

    async def get(self, key: str) -> int:
        raise NotImplementedError

    async def get_expiry(self, key: str) -> float:
        raise NotImplementedError
