"""Query options: typed, bounded, each known and given once; the same on every call that has them."""

import pytest
from pydantic import Field

from models.predictor import Options
from tests.fakes import Brightness, photo
from tests.gateway import JPEG, problem, serving

pytestmark = pytest.mark.anyio


class Loose(Options):
    """Options without bounds, as an outside predictor may have them."""

    weight: float = Field(default=1.0, description="Any number.")
    names: list[str] = Field(default=[], description="May be repeated.")


async def test_options_reach_the_predictor_typed() -> None:
    predictor = Brightness()
    async with serving(predictor) as client:
        response = await client.post("/v1/brightness?min_score=0.25&top_k=2", content=photo(), headers=JPEG)
    assert len(response.json()["result"]["channels"]) == 2
    assert predictor.options is not None
    assert predictor.options.model_dump() == {"min_score": 0.25, "top_k": 2, "box": None}


@pytest.mark.parametrize(
    "query",
    [
        "min_score=1.01",
        "min_score=-0.1",
        "min_score=",
        "min_score=nan",
        "min_score=NaN",
        "min_score=inf",
        "min_score=-Infinity",
        "min_score=0,5",
        "top_k=0",
        "top_k=2.5",
        "top_k=1e1",
        "top_k=99999999999999999999999999",
        "box=",
        "box=1,2,3",
        "box=1,2,3,4,5",
        "box=a,b,c,d",
        "box=nan,0,9,9",
        "box=0,0,inf,9",
        "box=0,0,1e999,9",
        "box=1_0,0,20,9",
        "box=9,0,9,9",
        "box=9,0,3,9",
        "box=0,9,9,0",
        "box=[0,0,9,9]",
        "box=64,0,90,48",
        "box=-20,-20,0,0",
        "box=0,0,5e-324,9",
        "box=" + "1" * 201,
    ],
)
async def test_a_value_out_of_bounds_is_refused_by_name(query: str) -> None:
    async with serving(Brightness()) as client:
        response = await client.post(f"/v1/brightness?{query}", content=photo(64, 48), headers=JPEG)
        assert problem(response) == (422, "invalid_option")
        assert query.partition("=")[0] in response.json()["detail"]
        assert (await client.post("/v1/brightness", content=photo(), headers=JPEG)).status_code == 200


@pytest.mark.parametrize("path", ["/v1/brightness", "/v1/brightness/annotated", "/v1/inspect"])
async def test_an_unknown_option_is_refused_and_the_known_are_named(path: str) -> None:
    async with serving(Brightness()) as client:
        response = await client.post(f"{path}?minscore=0.5", content=photo(), headers=JPEG)
    assert problem(response) == (422, "invalid_option")
    assert "minscore" in response.json()["detail"]
    assert "min_score" in response.json()["detail"]


@pytest.mark.parametrize("query", ["top_k=1&top_k=2", "box=0,0,9,9&box=0,0,9,9"])
async def test_an_option_given_twice_is_refused(query: str) -> None:
    async with serving(Brightness()) as client:
        response = await client.post(f"/v1/brightness?{query}", content=photo(), headers=JPEG)
    assert problem(response) == (422, "invalid_option")


@pytest.mark.parametrize("value", ["nan", "inf", "-Infinity", "1e999"])
async def test_no_option_is_infinite_even_without_bounds(value: str) -> None:
    async with serving(Brightness(options=Loose)) as client:
        response = await client.post(f"/v1/brightness?weight={value}", content=photo(), headers=JPEG)
        assert problem(response) == (422, "invalid_option")


async def test_a_list_may_be_repeated() -> None:
    predictor = Brightness(options=Loose)
    async with serving(predictor) as client:
        response = await client.post("/v1/brightness?names=a&names=b", content=photo(), headers=JPEG)
    assert response.status_code == 200
    assert predictor.options is not None
    assert predictor.options.model_dump()["names"] == ["a", "b"]


async def test_a_predictor_without_options_takes_none() -> None:
    async with serving(Brightness(options=Options, regions=("photo",))) as client:
        assert (await client.post("/v1/brightness", content=photo(), headers=JPEG)).status_code == 200
        response = await client.post("/v1/brightness?box=0,0,9,9", content=photo(), headers=JPEG)
        assert problem(response) == (422, "invalid_option")


async def test_options_are_documented_with_bounds_and_defaults() -> None:
    async with serving(Brightness()) as client:
        document = (await client.get("/openapi.json")).json()
    for path in ("/v1/brightness", "/v1/brightness/annotated", "/v1/inspect"):
        told = {parameter["name"]: parameter for parameter in document["paths"][path]["post"]["parameters"]}
        assert told["min_score"]["schema"] | {"title": ""} == {
            "type": "number",
            "minimum": 0,
            "maximum": 1,
            "default": 0.5,
            "description": "Least brightness that counts as bright.",
            "title": "",
        }
        assert told["box"]["description"]
        assert told["X-Deadline-Ms"]["schema"]["minimum"] == 50
        assert all(not parameter.get("required") for parameter in told.values())
