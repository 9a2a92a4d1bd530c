"""Giving memory back to the system: what the C library keeps of freed weights for later is a lot, and rarely used."""

import ctypes
import sys
from collections.abc import Callable
from functools import cache


@cache
def _trim() -> Callable[[int], int] | None:
    """glibc's own; other C libraries have none, and keep less."""
    if sys.platform != "linux":
        return None
    try:
        trim: Callable[[int], int] = ctypes.CDLL(None).malloc_trim
    except (AttributeError, OSError):
        return None
    return trim


def give_back() -> None:
    """Whatever was freed, in all threads' arenas. It takes milliseconds, with the interpreter's lock released."""
    trim = _trim()
    if trim is not None:
        trim(0)
