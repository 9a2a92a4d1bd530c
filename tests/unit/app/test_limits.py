"""Rate limits: what they say, whom an address stands for, and a storage that is not there."""

import asyncio
import logging
from typing import Any

import pytest
from limits import parse
from limits.aio.storage import MemoryStorage, Storage

from app import limits
from app.limits import Limits, Verdict, headers, network
from app.settings import Settings

pytestmark = pytest.mark.anyio

RATE = parse("2/minute")


class Clock:
    def __init__(self) -> None:
        self.now = 1_000_000.0

    def __call__(self) -> float:
        return self.now


async def test_a_verdict_tells_what_is_left_and_when_there_is_more() -> None:
    clock = Clock()
    limiter = Limits(Settings(), clock)
    told = []
    for _ in range(3):
        told.append(await limiter.hit("key", RATE, "a"))
        clock.now += 20.4
    assert [(one.allowed, one.remaining, one.reset_s) for one in told] == [
        (True, 1, 60),
        (True, 0, 40),
        (False, 0, 20),
    ]
    assert (await limiter.hit("key", RATE, "a")).allowed
    assert (await limiter.hit("address", RATE, "a")).remaining == 1  # another limit, though of the same name


def test_the_headers_are_those_of_the_draft() -> None:
    found = headers(
        [Verdict("address", parse("10/second"), True, 9, 1), Verdict("key", parse("5/2 hour"), False, 0, 7)]
    )
    assert found == {
        "RateLimit-Policy": '"address";q=10;w=1, "key";q=5;w=7200',
        "RateLimit": '"address";r=9;t=1, "key";r=0;t=7',
    }
    assert headers([]) == {}


@pytest.mark.parametrize(
    ("address", "stands_for"),
    [
        ("203.0.113.7", "203.0.113.7"),
        ("::ffff:203.0.113.7", "203.0.113.7"),
        ("2001:db8:1:2:3:4:5:6", "2001:db8:1:2::/64"),
        ("2001:db8:1:2:ffff::1", "2001:db8:1:2::/64"),
        ("fe80::1%eth0", "fe80::/64"),
        ("unknown", "unknown"),
        ("x" * 5000, "x" * 64),
        ("", ""),
    ],
)
def test_whom_an_address_stands_for(address: str, stands_for: str) -> None:
    assert network(address) == stands_for


class Gone:
    """A shared storage that fails, or never answers."""

    def __init__(self, error: Exception | None = None) -> None:
        self.error = error
        self.asked = 0

    async def hit(self, *_: Any) -> bool:
        self.asked += 1
        if self.error:
            raise self.error
        await asyncio.Event().wait()
        raise AssertionError


@pytest.mark.parametrize("gone", [Gone(ConnectionError("password=secret")), Gone()])
async def test_a_storage_that_is_gone_stops_nobody_and_lifts_no_limit(
    gone: Gone, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(limits, "_strategy", lambda _: gone)
    monkeypatch.setattr(limits, "PATIENCE_S", 0.01)
    clock = Clock()
    limiter = Limits(Settings(), clock)
    with caplog.at_level(logging.ERROR, "carlens"):
        assert [(await limiter.hit("key", RATE, "a")).allowed for _ in range(3)] == [True, True, False]
    assert gone.asked == 1  # not again for a while
    (record,) = caplog.records
    assert "each worker counts alone" in record.message
    assert "secret" not in caplog.text
    clock.now += limits.AWAY_S
    await limiter.hit("key", RATE, "a")
    assert gone.asked == 2


@pytest.mark.parametrize(
    ("uri", "told"),
    [
        ("nonsense://x", "nonsense:// cannot be used: unknown"),
        ("redis", "redis:// cannot be used: unknown"),
        ("redis://:secret@localhost", "redis:// cannot be used: .*coredis.*not available"),
    ],
)
def test_a_storage_that_cannot_be_used_is_refused_at_the_start(uri: str, told: str) -> None:
    with pytest.raises(ValueError, match=told) as caught:
        Limits(Settings(rate_storage=uri))
    assert "CARLENS_RATE_STORAGE" in str(caught.value)
    assert "secret" not in str(caught.value)


class Shared(MemoryStorage):
    """One of the library's own, for two workers at once."""

    STORAGE_SCHEME = ["async+shared"]  # noqa: RUF012 - as the library declares it
    only: "Shared | None" = None

    def __new__(cls, *_: Any, **__: Any) -> "Shared":
        cls.only = cls.only or super().__new__(cls)
        return cls.only

    def __init__(self, uri: str | None = None, **options: Any) -> None:
        if not hasattr(self, "events"):
            super().__init__(uri, **options)


async def test_workers_with_a_shared_storage_count_together() -> None:
    workers = [Limits(Settings(rate_storage="shared://anywhere")) for _ in range(2)]
    told = [await workers[n % 2].hit("key", RATE, "a") for n in range(3)]
    assert [one.allowed for one in told] == [True, True, False]
    assert told[2].remaining == 0
    alone = [Limits(Settings()) for _ in range(2)]
    assert all([(await alone[n % 2].hit("key", RATE, "a")).allowed for n in range(3)])


class Windowless(Storage):
    """One without moving windows, as memcached is."""

    STORAGE_SCHEME = ["async+windowless"]  # noqa: RUF012 - as the library declares it
    base_exceptions = ValueError
    incr = get = get_expiry = check = reset = clear = None  # type: ignore[assignment]


def test_a_storage_without_moving_windows_is_refused() -> None:
    with pytest.raises(ValueError, match="windowless:// has no moving windows"):
        Limits(Settings(rate_storage="windowless://"))
