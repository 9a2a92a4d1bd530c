"""`GET /v2/…`: the Open Inference Protocol's health and metadata."""

from importlib import metadata

import pytest

from tests.fakes import Brightness
from tests.gateway import administered, problem, serving

pytestmark = pytest.mark.anyio


async def test_what_can_answer_is_told_in_the_protocol_s_form() -> None:
    async with serving(Brightness("one")) as client:
        told = {
            path: (await client.get(f"/v2{path}")).json()
            for path in ("", "/health/live", "/health/ready", "/models/one/ready")
        }
        model = (await client.get("/v2/models/one")).json()
    assert told == {
        "": {"name": "carlens", "version": metadata.version("carlens"), "extensions": []},
        "/health/live": {"live": True},
        "/health/ready": {"live": True, "ready": True},
        "/models/one/ready": {"name": "one", "ready": True},
    }
    assert model == {
        "name": "one",
        "versions": ["1.0.0"],
        "platform": "numpy",
        "inputs": [{"name": "pixels", "datatype": "UINT8", "shape": [-1, 8, 8, 3]}],
        "outputs": [{"name": "channels", "datatype": "FP64", "shape": [-1, 3]}],
    }


async def test_what_cannot_answer_is_503_with_the_reason_under_the_protocol_s_name() -> None:
    broken = Brightness("broken")
    broken.fail_load = ValueError("no weights")
    async with serving(Brightness("one"), broken) as client:
        for path in ("/health/ready", "/models/broken/ready"):
            response = await client.get(f"/v2{path}")
            assert problem(response) == (503, "not_ready")
            assert response.json()["error"] == response.json()["detail"]
        assert (await client.get("/v2/models/one/ready")).status_code == 200
        assert (await client.get("/v2/health/live")).status_code == 200
    async with administered(Brightness("one")) as client:
        await client.post("/v1/models/one/unload")
        assert (await client.get("/v2/models/one/ready")).status_code == 503
        assert (await client.get("/v2/models/one")).json()["versions"] == []


@pytest.mark.parametrize("path", ["two", "two/ready"])
async def test_what_there_is_not_is_404(path: str) -> None:
    async with serving(Brightness("one")) as client:
        response = await client.get(f"/v2/models/{path}")
    assert problem(response) == (404, "unknown_model")
    assert response.json()["error"] == response.json()["detail"]
