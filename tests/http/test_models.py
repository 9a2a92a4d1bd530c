"""`GET /v1/models` and `GET /v1/models/NAME`."""

import pytest

from models.predictor import Arrays
from models.registry import RegistryError
from tests.fakes import Brightness
from tests.gateway import problem, serving

pytestmark = pytest.mark.anyio


async def test_what_is_served_is_told() -> None:
    broken = Brightness("broken")
    broken.fail_load = ValueError("no weights")
    async with serving(Brightness("one"), broken) as client:
        models = (await client.get("/v1/models")).json()["models"]
        one = (await client.get("/v1/models/one")).json()
    assert [model["name"] for model in models] == ["one", "broken"]
    assert [model["state"] for model in models] == ["ready", "failed"]
    assert (
        models[0]
        == one
        == {
            "name": "one",
            "summary": "How bright a photo is",
            "version": "1.0.0",
            "architecture": "mean",
            "labels": {"label": ["dark", "bright"]},
            "thresholds": {},
            "input": {"width": 8, "height": 8},
            "figures": {"accuracy": 1.0},
            "licence": {"weights": "Apache-2.0", "why": "there are none"},
            "weights": "sha256:000000000000",
            "backend": "numpy",
            "device": "cpu",
            "batch_sizes": [1, 2, 4],
            "state": "ready",
            "versions": ["1.0.0"],
        }
    )


@pytest.mark.parametrize("name", ["two", "ONE", "%00", "é", "x" * 5000])
async def test_an_unknown_model_is_a_problem_that_names_the_served(name: str) -> None:
    async with serving(Brightness("one")) as client:
        response = await client.get(f"/v1/models/{name}")
    assert problem(response) == (404, "unknown_model")
    assert response.json()["detail"].endswith("Served are: one.")
    assert len(response.json()["detail"]) < 300


async def test_only_what_is_wanted_is_served() -> None:
    async with serving(Brightness("one"), Brightness("two"), predictors=["two"]) as client:
        assert [model["name"] for model in (await client.get("/v1/models")).json()["models"]] == ["two"]
        assert (await client.get("/v1/models/one")).status_code == 404
        assert (await client.post("/v1/one")).status_code == 404


async def test_a_wanted_predictor_that_is_not_there_is_refused() -> None:
    with pytest.raises(RegistryError, match="no predictor three, four: installed are one, two"):
        async with serving(Brightness("one"), Brightness("two"), predictors=["two", "three", "four"]):
            pass


async def test_only_the_sizes_of_its_device_are_warmed_and_told() -> None:
    warmed: list[int] = []

    class Warmed(Brightness):
        def run(self, batch: Arrays) -> Arrays:
            warmed.append(len(batch["pixels"]))
            return super().run(batch)

    async with serving(Warmed("one", batch_sizes=(1, 2, 4), cpu_batch=2)) as client:
        assert (await client.get("/v1/models/one")).json()["batch_sizes"] == [1, 2]
    assert sorted(set(warmed)) == [1, 2]
