"""A gateway over fake predictors in this process, and a client of it."""

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import httpx
from fastapi import FastAPI

from app.keys import SCOPES
from app.main import create_app
from app.schemas import AnyPredictor
from app.settings import Settings
from app.shelf import Make
from models.join import Join
from tests.keyed import bearer, key

JPEG = {"Content-Type": "image/jpeg"}


def application(
    *predictors: AnyPredictor, joins: Sequence[Join] | None = None, make: Make | None = None, **settings: Any
) -> FastAPI:
    served = {one.specification.name: one for one in predictors}
    return create_app(Settings(device="cpu", **settings), served, joins, make=make)


@asynccontextmanager
async def running(app: FastAPI, *, settled: bool = True, token: str = "") -> AsyncIterator[httpx.AsyncClient]:
    """A client while the app lives, with the key `token`; `settled` waits until no predictor is loading any more."""
    transport, headers = httpx.ASGITransport(app=app), bearer(token) if token else {}
    async with (
        app.router.lifespan_context(app),
        httpx.AsyncClient(transport=transport, base_url="http://carlens", timeout=30, headers=headers) as client,
    ):
        if settled:
            await until(lambda: bool(app.state.shelf.settled))
            for entry in app.state.shelf.entries:
                forget = getattr(entry.made, "forget", None)
                if forget is not None:
                    forget()
        yield client


async def until(met: Callable[[], bool], seconds: float = 30) -> None:
    """Waits for what another thread or process brings about and nothing announces."""
    async with asyncio.timeout(seconds):
        while not met():  # noqa: ASYNC110 - nothing announces it
            await asyncio.sleep(0.001)


@asynccontextmanager
async def serving(*predictors: AnyPredictor, **settings: Any) -> AsyncIterator[httpx.AsyncClient]:
    async with running(application(*predictors, **settings)) as client:
        yield client


@asynccontextmanager
async def administered(*predictors: AnyPredictor, **settings: Any) -> AsyncIterator[httpx.AsyncClient]:
    """The same with keys, and a client whose key may do everything."""
    with TemporaryDirectory() as folder:
        path = Path(folder) / "keys.toml"
        token = key(path, "everything", *SCOPES)
        async with running(application(*predictors, keys_file=path, **settings), token=token) as client:
            yield client


async def reached(event: Any) -> None:
    """Waits for a `threading.Event` without holding the event loop."""
    assert await asyncio.to_thread(event.wait, 30), "it was never reached"


def problem(response: httpx.Response) -> tuple[int, str]:
    """Status and code of a problem, once its form was checked."""
    assert response.headers["content-type"] == "application/problem+json"
    body = response.json()
    assert set(body) >= {"type", "title", "status", "detail", "code", "request_id"}
    assert body["status"] == response.status_code
    assert body["request_id"] == response.headers["x-request-id"]
    assert (response.status_code in (429, 503)) == ("retry-after" in response.headers)
    return response.status_code, body["code"]
