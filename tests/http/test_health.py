"""`GET /health/live` and `GET /health/ready`, from the first second to the last."""

import threading

import pytest

from tests.fakes import Brightness, photo
from tests.gateway import JPEG, application, problem, running, serving, until

pytestmark = pytest.mark.anyio


async def test_live_at_once_and_ready_when_all_are_loaded() -> None:
    one, two = Brightness("one"), Brightness("two")
    two.wait_load = threading.Event()
    app = application(one, two)
    async with running(app, settled=False) as client:
        assert (await client.get("/health/live")).json() == {"live": True}
        waiting = await client.get("/health/ready")
        assert problem(waiting) == (503, "not_ready")
        assert waiting.json()["ready"] is False
        assert waiting.json()["predictors"]["two"] == "loading"
        assert "two (loading)" in waiting.json()["detail"]
        two.wait_load.set()
        await until(lambda: bool(app.state.shelf.ready))
        assert (await client.get("/health/ready")).json() == {
            "ready": True,
            "predictors": {"one": "ready", "two": "ready"},
        }


async def test_one_that_fails_to_load_keeps_it_not_ready_but_live() -> None:
    broken = Brightness("broken")
    broken.fail_load = RuntimeError("secret path")
    async with serving(Brightness("one"), broken) as client:
        response = await client.get("/health/ready")
        assert problem(response) == (503, "not_ready")
        assert response.json()["predictors"] == {"one": "ready", "broken": "failed"}
        assert "secret" not in response.text
        assert (await client.get("/health/live")).status_code == 200


async def test_not_ready_once_it_stops() -> None:
    app = application(Brightness("one"))
    async with running(app) as client:
        await app.state.batcher.stop(1.0)
        assert (await client.get("/health/ready")).status_code == 503
        assert (await client.get("/health/live")).status_code == 200


async def test_copies_that_are_missing_are_named_while_the_others_answer() -> None:
    app = application(Brightness("one"), Brightness("two"))
    async with running(app) as client:
        app.state.shelf.loaded("two").lane.missing = "1 of 2 replicas run"
        waiting = await client.get("/health/ready")
        assert problem(waiting) == (503, "not_ready")
        assert waiting.json()["detail"] == "Not ready: two (1 of 2 replicas run)."
        assert waiting.json()["predictors"] == {"one": "ready", "two": "loading"}
        assert (await client.get("/v1/models/two")).json()["state"] == "ready"
        assert (await client.post("/v1/two", content=photo(), headers=JPEG)).status_code == 200
