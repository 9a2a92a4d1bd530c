"""One predictor completes another's answer: asked about each thing found, and nobody is worse off where it fails."""

import asyncio
import threading
from typing import Any

import httpx
import pytest

from models.predictor import MOST_REGIONS
from tests.fakes import Brightness, Finder, halves, photo, reader
from tests.gateway import JPEG, application, reached, running, serving

pytestmark = pytest.mark.anyio

RIGHT = (40.0, 0.0, 64.0, 48.0)
"""The white part of `halves`."""
LEFT = (0.0, 0.0, 20.0, 48.0)


def finder(*boxes: tuple[float, float, float, float], **changes: Any) -> Finder:
    return Finder(*boxes, completed_by=("grader",), **changes)


def grader(**changes: Any) -> Brightness:
    return Brightness("grader", **{"regions": ("vehicles", "photo"), **changes})


def said(response: httpx.Response) -> list[dict[str, float]]:
    body = response.json()
    return [one["said"] for one in (body.get("result") or body["results"]["vehicles"])["vehicles"]]


@pytest.mark.parametrize("path", ["/v1/vehicles", "/v1/inspect", "/v1/inspect?tasks=vehicles"])
async def test_each_thing_found_has_what_the_other_said_of_it(path: str) -> None:
    async with serving(finder(RIGHT, LEFT), grader()) as client:
        response = await client.post(path, content=halves(), headers=JPEG)
    assert said(response) == [{"grader": 255.0}, {"grader": 0.0}]


async def test_the_time_it_took_is_told() -> None:
    async with serving(finder(RIGHT), grader()) as client:
        one = await client.post("/v1/vehicles", content=halves(), headers=JPEG)
        several = await client.post("/v1/inspect", content=halves(), headers=JPEG)
    assert one.json()["timings_ms"]["complete"] > 0
    assert "complete;dur=" in one.headers["server-timing"]
    assert several.json()["timings_ms"]["tasks"]["vehicles"]["complete"] > 0


async def test_without_it_the_answer_is_plain() -> None:
    async with serving(finder(RIGHT)) as client:
        response = await client.post("/v1/vehicles", content=halves(), headers=JPEG)
    assert said(response) == [{}]
    assert "complete" not in response.json()["timings_ms"]


async def test_it_has_no_route_and_is_no_task_but_is_told_of() -> None:
    async with serving(finder(RIGHT), grader()) as client:
        assert (await client.post("/v1/grader", content=halves(), headers=JPEG)).status_code in (404, 405)
        assert (await client.post("/v1/inspect?tasks=grader", content=halves(), headers=JPEG)).status_code == 422
        body = (await client.post("/v1/inspect", content=halves(), headers=JPEG)).json()
        assert list(body["results"]) == ["vehicles"]
        assert [card["name"] for card in (await client.get("/v1/models")).json()["models"]] == ["vehicles", "grader"]
        assert set((await client.get("/health/ready")).json()["predictors"]) == {"vehicles", "grader"}
        assert "/v1/grader" not in (await client.get("/openapi.json")).json()["paths"]


async def test_nothing_found_is_nothing_asked() -> None:
    other = grader()
    async with serving(finder(), other) as client:
        response = await client.post("/v1/vehicles", content=halves(), headers=JPEG)
    assert response.status_code == 200
    assert said(response) == []
    assert other.rows == 0


async def test_of_a_crowd_the_first_ones_are_asked_about() -> None:
    boxes = [(float(n), 0.0, n + 30.0, 48.0) for n in range(MOST_REGIONS + 3)]
    async with serving(finder(*boxes), grader()) as client:
        found = said(await client.post("/v1/vehicles", content=halves(), headers=JPEG))
    assert [bool(one) for one in found] == [True] * MOST_REGIONS + [False] * 3


@pytest.mark.parametrize("step", ["fail_prepare", "fail_run", "fail_finish"])
async def test_where_it_fails_the_answer_stays_as_it_was(step: str, caplog: pytest.LogCaptureFixture) -> None:
    other = grader()
    async with serving(finder(RIGHT, LEFT), other) as client:
        setattr(other, step, RuntimeError("a broken grader"))
        response = await client.post("/v1/vehicles", content=halves(), headers=JPEG)
        assert response.status_code == 200
        assert said(response) == [{}, {}]
        assert "grader left vehicles as it was" in caplog.text
        setattr(other, step, None)
        assert said(await client.post("/v1/vehicles", content=halves(), headers=JPEG)) == [
            {"grader": 255.0},
            {"grader": 0.0},
        ]


async def test_a_bad_item_leaves_the_others_completed() -> None:
    other = grader()
    other.mean = lambda value: float("nan") if value == 0 else value  # which no JSON can hold
    async with serving(finder(RIGHT, LEFT), other) as client:
        response = await client.post("/v1/vehicles", content=halves(), headers=JPEG)
    assert said(response) == [{"grader": 255.0}, {}]


async def test_a_completion_that_fails_leaves_the_answer(caplog: pytest.LogCaptureFixture) -> None:
    found = finder(RIGHT)
    found.fail_complete = RuntimeError("cannot be laid together")
    async with serving(found, grader()) as client:
        response = await client.post("/v1/vehicles", content=halves(), headers=JPEG)
    assert response.status_code == 200
    assert said(response) == [{}]
    assert "vehicles could not be completed" in caplog.text


async def test_a_predictor_that_fails_has_its_problem_and_the_other_is_not_asked() -> None:
    found, other = finder(RIGHT), grader()
    async with serving(found, other) as client:
        found.fail_run = RuntimeError("no eyes")
        response = await client.post("/v1/vehicles", content=halves(), headers=JPEG)
    assert (response.status_code, response.json()["code"]) == (500, "prediction_failed")
    assert other.rows == 0


async def test_the_picture_has_the_completed_answer() -> None:
    found = finder(RIGHT)
    drawn: list[dict[str, float]] = []
    plain = found.shapes

    def shapes(answer: Any) -> Any:
        drawn.extend(one.said for one in answer.vehicles)
        return plain(answer)

    found.shapes = shapes  # type: ignore[method-assign]
    async with serving(found, grader()) as client:
        response = await client.post("/v1/vehicles/annotated", content=halves(), headers=JPEG)
    assert response.status_code == 200
    assert drawn == [{"grader": 255.0}]


async def test_who_reads_other_regions_does_not_wait_for_the_slow_one() -> None:
    """`brightness` reads what `vehicles` found; that `damages` is slow, and completed, is nothing to it."""
    slow = Finder(RIGHT, name="damages", completed_by=("grader",))
    other = grader(regions=("damages", "photo"))
    quick = reader()
    app = application(slow, other, Finder(LEFT), quick, decode_threads=2)  # on one core, too
    async with running(app) as client:
        slow.wait_finish = threading.Event()
        asked = asyncio.create_task(client.post("/v1/inspect", content=halves(), headers=JPEG))
        await reached(quick.preparing)
        assert not other.preparing.is_set()
        slow.wait_finish.set()
        body = (await asked).json()
    assert body["results"]["brightness"]["mean"] == 0
    assert body["results"]["damages"]["vehicles"][0]["said"] == {"grader": 255.0}
    assert body["results"]["vehicles"]["vehicles"][0]["said"] == {}


async def test_things_found_are_read_from_pixels_that_are_fine_enough() -> None:
    other = grader(reads=(64, 64))
    async with serving(finder((0.0, 0.0, 64.0, 48.0), reads=(8, 8)), other) as client:
        await client.post("/v1/vehicles", content=photo(512, 384), headers=JPEG)
    assert other.decoded == (512, 384)
