"""`POST /v1/models/NAME/reload`, `/load`, `/unload`, and what every route says of a model that is not loaded."""

import asyncio
import threading

import pytest

from app.schemas import AnyPredictor
from tests.fakes import Brightness, Finder, halves, photo, reader
from tests.gateway import JPEG, administered, problem, reached, until

pytestmark = pytest.mark.anyio


async def test_put_away_and_brought_back() -> None:
    async with administered(Brightness("one"), Brightness("two")) as client:
        away = await client.post("/v1/models/one/unload")
        assert away.json() == {
            "name": "one",
            "workers": [{"worker": 0, "state": "unloaded", "version": "1.0.0", "versions": [], "failure": None}],
        }
        assert (await client.get("/health/ready")).json() == {"ready": True, "predictors": {"two": "ready"}}
        card = (await client.get("/v1/models/one")).json()
        assert (card["state"], card["versions"]) == ("unloaded", [])
        refused = await client.post("/v1/one", content=photo(), headers=JPEG)
        assert problem(refused) == (503, "not_ready")
        assert refused.json()["predictors"] == {"one": "unloaded"}
        assert "/v1/models/one/load" in refused.json()["detail"]
        everything = (await client.post("/v1/inspect", content=photo(), headers=JPEG)).json()
        assert list(everything["results"]) == ["two"]
        named = (await client.post("/v1/inspect?tasks=one,two", content=photo(), headers=JPEG)).json()
        assert named["problems"]["one"]["code"] == "not_ready"
        assert (await client.post("/v1/models/one/load")).json()["workers"][0]["state"] == "ready"
        assert (await client.post("/v1/one", content=photo(), headers=JPEG)).status_code == 200


async def test_where_all_are_put_away_that_is_the_answer() -> None:
    async with administered(Brightness("one")) as client:
        await client.post("/v1/models/one/unload")
        assert problem(await client.post("/v1/inspect", content=photo(), headers=JPEG)) == (503, "not_ready")
        assert (await client.get("/health/ready")).status_code == 200


@pytest.mark.parametrize("action", ["reload", "load", "unload"])
async def test_an_unknown_model_is_a_problem(action: str) -> None:
    async with administered(Brightness("one")) as client:
        refused = await client.post(f"/v1/models/two/{action}")
    assert problem(refused) == (404, "unknown_model")


async def test_a_failed_reload_is_told_and_harms_nobody() -> None:
    one = Brightness("one")
    async with administered(one) as client:
        one.fail_load = ValueError("weights.safetensors is broken")
        refused = await client.post("/v1/models/one/reload")
        assert problem(refused) == (409, "load_failed")
        assert "weights.safetensors is broken" in refused.json()["detail"]
        assert refused.json()["workers"][0]["state"] == "ready"
        assert (await client.post("/v1/one", content=photo(), headers=JPEG)).status_code == 200
        assert (await client.get("/health/ready")).status_code == 200


async def test_an_unknown_version_is_a_problem_and_the_one_that_serves_is_none() -> None:
    async with administered(Brightness("one")) as client:
        for path in ("/v1/one", "/v1/one/annotated"):
            unknown = await client.post(f"{path}?version=2", content=photo(), headers=JPEG)
            assert problem(unknown) == (404, "unknown_model")
            assert (await client.post(f"{path}?version=1.0.0", content=photo(), headers=JPEG)).status_code == 200


async def test_who_finds_regions_for_others_may_be_swapped_and_put_away() -> None:
    made: list[Finder] = []
    one = reader()

    def make(name: str, version: str | None) -> AnyPredictor:
        if name != "vehicles":
            return one
        made.append(Finder((40.0, 0.0, 64.0, 48.0)))
        return made[-1]

    async with administered(Finder(), one, make=make) as client:
        release = made[0].wait_finish = threading.Event()
        asked = made[0].runs
        asking = asyncio.create_task(client.post("/v1/brightness", content=halves(), headers=JPEG))
        await until(lambda: made[0].runs > asked)
        assert (await client.post("/v1/models/vehicles/reload")).status_code == 200
        assert len(made) == 2
        release.set()
        assert (await asking).json()["result"]["region"]["source"] == "vehicle"
        again = (await client.post("/v1/brightness", content=halves(), headers=JPEG)).json()
        assert again["result"]["region"]["source"] == "vehicle"
        assert made[1].runs == 2
        await client.post("/v1/models/vehicles/unload")
        whole = (await client.post("/v1/brightness", content=halves(), headers=JPEG)).json()["result"]["region"]
        assert (whole["source"], whole["fallback"]) == ("whole", False)


async def test_what_is_on_its_way_when_its_model_is_put_away_is_answered() -> None:
    one = Brightness("one")
    async with administered(one) as client:
        release = one.wait_prepare = threading.Event()
        asking = asyncio.create_task(client.post("/v1/one", content=photo(), headers=JPEG))
        await reached(one.preparing)
        await client.post("/v1/models/one/unload")
        release.set()
        assert (await asking).status_code == 200


async def test_what_is_lazy_is_loaded_when_it_is_asked_first() -> None:
    one = Brightness("one")
    async with administered(one, Brightness("two"), lazy=["one"]) as client:
        assert (await client.get("/health/ready")).json() == {"ready": True, "predictors": {"two": "ready"}}
        assert (await client.get("/v1/models/one")).json()["state"] == "unloaded"
        assert (await client.post("/v1/one", content=photo(), headers=JPEG)).status_code == 200
        assert (await client.get("/v1/models/one")).json()["state"] == "ready"


async def test_a_lazy_one_that_fails_has_its_problem_and_the_others_answer() -> None:
    one = Brightness("one")
    one.fail_load = ValueError("no weights")
    async with administered(one, Brightness("two"), lazy=["one"]) as client:
        assert problem(await client.post("/v1/one", content=photo(), headers=JPEG)) == (503, "not_ready")
        body = (await client.post("/v1/inspect", content=photo(), headers=JPEG)).json()
        assert list(body["problems"]) == ["one"]
        assert (await client.get("/health/ready")).status_code == 200
