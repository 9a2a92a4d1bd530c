"""`POST /v1/inspect`: one decode, many answers, and a problem for each that fails."""

from typing import Any

import pytest
from pydantic import Field

from app.main import create_app
from app.schemas import inspect_model
from app.settings import Settings
from models.predictor import Options
from tests.fakes import Brightness, photo
from tests.gateway import JPEG, problem, serving

pytestmark = pytest.mark.anyio


class Other(Options):
    """Shares `min_score` with the fakes' own options, by another default."""

    min_score: float = Field(default=0.9, ge=0, le=1, description="Another text.")
    whole: bool = Field(default=False, description="An option of its own.")


async def test_all_tasks_from_one_decode(decoded: list[float]) -> None:
    async with serving(Brightness("one"), Brightness("two", reads=(200, 20))) as client:
        response = await client.post("/v1/inspect", content=photo(800, 640), headers=JPEG)
    body = response.json()
    assert response.status_code == 200
    assert list(body) == ["request_id", "models", "image", "results", "problems", "left_out", "timings_ms"]
    assert body["problems"] == {}
    assert body["results"]["one"]["mean"] == body["results"]["two"]["mean"]
    assert {name: model["name"] for name, model in body["models"].items()} == {"one": "one", "two": "two"}
    assert list(body["timings_ms"]) == ["receive", "decode", "join", "total", "tasks"]
    for task in ("one", "two"):
        assert list(body["timings_ms"]["tasks"][task]) == ["prepare", "queue", "device", "finish"]
    assert "one.device;dur=" in response.headers["server-timing"]
    assert decoded == [0.25]  # the finer of the two


@pytest.mark.parametrize("step", ["fail_prepare", "fail_run", "fail_finish"])
async def test_one_failure_does_not_take_the_others_along(step: str, caplog: pytest.LogCaptureFixture) -> None:
    one, two = Brightness("one"), Brightness("two")
    async with serving(one, two) as client:
        setattr(one, step, ValueError("secret"))
        response = await client.post("/v1/inspect", content=photo(), headers=JPEG)
    body = response.json()
    assert response.status_code == 200
    assert body["results"]["one"] is None
    assert body["results"]["two"]["mean"] > 0
    assert list(body["problems"]) == ["one"]
    told = body["problems"]["one"]
    assert (told["status"], told["code"]) == (500, "prediction_failed")
    assert told["request_id"] == body["request_id"]
    assert "secret" not in response.text
    assert body["request_id"] in caplog.text
    assert "secret" in caplog.text
    assert list(body["timings_ms"]["tasks"]) == ["two"]
    assert list(body["models"]) == ["one", "two"]
    model: Any = inspect_model([one.specification, two.specification])
    assert model.model_validate_json(response.content, strict=True).results.two.mean > 0


async def test_where_none_answers_the_first_problem_is_the_answer() -> None:
    one, two = Brightness("one"), Brightness("two")
    two.fail_load = ValueError("no weights")
    async with serving(one, two) as client:
        one.fail_run = ValueError("x")
        first = await client.post("/v1/inspect?tasks=one,two", content=photo(), headers=JPEG)
        assert problem(first) == (500, "prediction_failed")
        second = await client.post("/v1/inspect?tasks=two,one", content=photo(), headers=JPEG)
        assert problem(second) == (503, "not_ready")
        alone = await client.post("/v1/inspect?tasks=two", content=b"never read", headers=JPEG)
        assert problem(alone) == (503, "not_ready")


async def test_a_task_that_is_not_ready_is_one_problem() -> None:
    one, two = Brightness("one"), Brightness("two")
    two.fail_load = ValueError("no weights")
    async with serving(one, two) as client:
        response = await client.post("/v1/inspect", content=photo(), headers=JPEG)
    body = response.json()
    assert response.status_code == 200
    assert body["problems"]["two"]["code"] == "not_ready"
    assert body["results"] == {"one": body["results"]["one"], "two": None}
    assert body["results"]["one"]["mean"] > 0


@pytest.mark.parametrize(
    ("tasks", "asked"),
    [("two", ["two"]), ("two,one", ["two", "one"]), ("one,one, one", ["one"]), (" two ", ["two"])],
)
async def test_tasks_choose(tasks: str, asked: list[str]) -> None:
    async with serving(Brightness("one"), Brightness("two")) as client:
        body = (await client.post("/v1/inspect", params={"tasks": tasks}, content=photo(), headers=JPEG)).json()
    assert list(body["results"]) == list(body["models"]) == asked


@pytest.mark.parametrize("tasks", ["three", "", ",", "one,,two", "ONE", "one;two"])
async def test_tasks_that_do_not_exist_are_named(tasks: str) -> None:
    async with serving(Brightness("one"), Brightness("two")) as client:
        response = await client.post("/v1/inspect", params={"tasks": tasks}, content=photo(), headers=JPEG)
    assert problem(response) == (422, "invalid_option")
    assert "one, two" in response.json()["detail"]


async def test_an_option_holds_for_each_task_that_has_it() -> None:
    one, two = Brightness("one"), Brightness("two", options=Other, regions=("photo",))
    async with serving(one, two) as client:
        given = "min_score=0.25&top_k=1&whole=true&box=8,8,40,40"
        response = await client.post(f"/v1/inspect?{given}", content=photo(), headers=JPEG)
        assert response.status_code == 200
        assert one.options is not None
        assert two.options is not None
        assert one.options.model_dump() == {"min_score": 0.25, "top_k": 1, "box": "8,8,40,40"}
        assert two.options.model_dump() == {"min_score": 0.25, "whole": True}
        regions = {name: result["region"]["source"] for name, result in response.json()["results"].items()}
        assert regions == {"one": "box", "two": "whole"}
        await client.post("/v1/inspect", content=photo(), headers=JPEG)
        assert one.options.model_dump() == {"min_score": 0.5, "top_k": 3, "box": None}
        assert two.options.model_dump() == {"min_score": 0.9, "whole": False}


@pytest.mark.parametrize("query", ["min_score=2", "box=1,2,3", "box=900,900,950,950", "nothing=1", "top_k=1&top_k=1"])
async def test_a_wrong_option_is_the_whole_call_s_problem(query: str) -> None:
    async with serving(Brightness("one"), Brightness("two")) as client:
        response = await client.post(f"/v1/inspect?{query}", content=photo(), headers=JPEG)
    assert problem(response) == (422, "invalid_option")


async def test_a_bad_photo_is_the_whole_call_s_problem() -> None:
    async with serving(Brightness("one"), Brightness("two")) as client:
        response = await client.post("/v1/inspect", content=b"GIF89a", headers=JPEG)
        assert problem(response) == (422, "undecodable_image")


def test_two_predictors_may_not_mean_different_things_by_one_option() -> None:
    class Conflicting(Options):
        min_score: int = Field(default=1, ge=0, le=100)

    predictors = {"one": Brightness("one"), "two": Brightness("two", options=Conflicting)}
    with pytest.raises(ValueError, match="one and two both have an option `min_score`"):
        create_app(Settings(device="cpu"), predictors)
