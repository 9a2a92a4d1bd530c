"""How the server stops: readiness ends first, then balancers have their time, then the door closes."""

import asyncio
import signal
from typing import Any, cast

import pytest
import uvicorn

from app.batcher import Batcher
from app.server import Server
from app.settings import Settings
from app.shelf import Shelf

PATIENCE_S = 60.0


class Readiness:
    """What of a batcher and a shelf the server asks."""

    def __init__(self, ready: bool) -> None:
        self.ready = ready

    def leave(self) -> None:
        self.ready = False


@pytest.fixture
def done(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """What was done, in order; uvicorn's own stop is only noted."""
    steps: list[str] = []

    async def shutdown(*_: Any) -> None:
        steps.append("close")

    monkeypatch.setattr(uvicorn.Server, "shutdown", shutdown)
    return steps


def server(done: list[str], ready: bool) -> Server:
    async def stop() -> None:
        done.append("stop")

    both = Readiness(ready)
    settings = Settings(drain_delay_s=3000)
    return Server(uvicorn.Config(lambda: None), settings, cast(Batcher, both), cast(Shelf, both), stop, lambda: None)


def test_nothing_closes_until_the_delay_is_over_or_is_asked_for_again(done: list[str]) -> None:
    async def stopped() -> None:
        one = server(done, ready=True)
        one.handle_exit(signal.SIGTERM, None)
        stopping = asyncio.create_task(one.shutdown())
        while one.shelf.ready:  # noqa: ASYNC110 - nothing announces it
            await asyncio.sleep(0)
        assert done == []
        one.handle_exit(signal.SIGTERM, None)
        async with asyncio.timeout(PATIENCE_S):
            await stopping

    asyncio.run(stopped())
    assert sorted(done) == ["close", "stop"]


def test_who_was_never_ready_waits_for_no_balancer(done: list[str]) -> None:
    async def stopped() -> None:
        async with asyncio.timeout(PATIENCE_S):
            await server(done, ready=False).shutdown()

    asyncio.run(stopped())
    assert sorted(done) == ["close", "stop"]
