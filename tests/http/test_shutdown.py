"""Stopping: what was taken is answered, wherever on the path it is; the rest is refused, and readiness says so."""

import asyncio
import threading

import pytest

from tests.fakes import Brightness, photo
from tests.gateway import JPEG, application, problem, reached, running

pytestmark = pytest.mark.anyio


async def test_a_photo_that_is_still_being_prepared_is_answered() -> None:
    predictor = Brightness()
    app = application(predictor)
    async with running(app) as client:
        release = predictor.wait_prepare = threading.Event()
        taken = asyncio.create_task(client.post("/v1/brightness", content=photo(), headers=JPEG))
        await reached(predictor.preparing)
        stopping = asyncio.create_task(app.state.stop())
        await asyncio.sleep(0)  # lets it close the door
        late = await client.post("/v1/brightness", content=photo(), headers=JPEG)
        ready = await client.get("/health/ready")
        release.set()
        await stopping
        assert problem(late) == (503, "shutting_down")
        assert ready.status_code == 503
        assert (await taken).status_code == 200


async def test_what_outlasts_the_grace_time_gets_a_problem() -> None:
    predictor = Brightness()
    app = application(predictor, grace_s=0)
    async with running(app) as client:
        release = predictor.wait_run = threading.Event()
        taken = asyncio.create_task(client.post("/v1/brightness", content=photo(), headers=JPEG))
        await reached(predictor.running)
        await app.state.stop()
        assert problem(await taken) == (503, "shutting_down")
        release.set()
