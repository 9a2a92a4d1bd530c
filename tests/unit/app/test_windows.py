"""Moving windows in memory: exact at their edges, and bounded whoever asks."""

import tracemalloc

import pytest
from limits import parse
from limits.aio.strategies import MovingWindowRateLimiter

from app.windows import Windows

pytestmark = pytest.mark.anyio


class Clock:
    def __init__(self) -> None:
        self.now = 1_000_000.0

    def __call__(self) -> float:
        return self.now


async def test_as_many_as_the_limit_within_any_window() -> None:
    clock = Clock()
    limiter, item = MovingWindowRateLimiter(Windows(clock)), parse("3/minute")
    taken = []
    for _ in range(20):
        taken.append(await limiter.hit(item, "a"))
        clock.now += 10
    # At 0, 10 and 20 s; the first leaves the window at 60 s, and so on.
    assert taken == [True] * 3 + [False] * 3 + [True] * 3 + [False] * 3 + [True] * 3 + [False] * 3 + [True] * 2


async def test_the_window_tells_what_is_left_and_until_when() -> None:
    clock = Clock()
    limiter, item = MovingWindowRateLimiter(Windows(clock)), parse("3/minute")
    assert await limiter.get_window_stats(item, "a") == (clock.now + 60, 3)
    first = clock.now
    for _ in range(2):
        await limiter.hit(item, "a")
        clock.now += 10
    assert await limiter.get_window_stats(item, "a") == (first + 60, 1)
    assert await limiter.test(item, "a")
    clock.now = first + 61
    assert await limiter.get_window_stats(item, "a") == (first + 70, 2)


async def test_one_does_not_count_for_another() -> None:
    limiter, item = MovingWindowRateLimiter(Windows(Clock())), parse("1/minute")
    assert [await limiter.hit(item, who) for who in ("a", "b", "a", "b")] == [True, True, False, False]
    await limiter.clear(item, "a")
    assert [await limiter.hit(item, who) for who in ("a", "b")] == [True, False]


async def test_those_whose_window_has_passed_are_forgotten() -> None:
    clock, item = Clock(), parse("5/minute")
    windows = Windows(clock)
    limiter = MovingWindowRateLimiter(windows)
    for number in range(1000):
        await limiter.hit(item, str(number))
    clock.now += 61
    await limiter.hit(item, "late")
    assert await windows.reset() == 1


async def test_beyond_the_bound_the_one_that_was_quiet_longest_is_forgotten() -> None:
    item = parse("1/minute")
    limiter = MovingWindowRateLimiter(Windows(Clock(), max_keys=3))
    for who in "abc":
        assert await limiter.hit(item, who)
    assert not await limiter.hit(item, "a")  # asks again, and so is not the quietest
    assert await limiter.hit(item, "d")
    assert [await limiter.hit(item, who) for who in "acd"] == [False, False, False]
    assert await limiter.hit(item, "b")


async def test_the_hits_of_all_are_bounded_too() -> None:
    item, windows = parse("10/minute"), Windows(Clock(), max_hits=25)
    limiter = MovingWindowRateLimiter(windows)
    for who in "abc":
        for _ in range(10):
            assert await limiter.hit(item, who)
    assert await windows.reset() == 2


async def test_addresses_without_end_take_bounded_memory() -> None:
    windows, item = Windows(Clock(), max_keys=1000), parse("600/minute")
    tracemalloc.start()
    try:
        for number in range(20_000):
            await windows.acquire_entry(f"address/{number}", item.amount, item.get_expiry())
        assert tracemalloc.get_traced_memory()[1] < 1000 * 1000  # a kilobyte for each that is kept
    finally:
        tracemalloc.stop()
    assert await windows.reset() == 1000
