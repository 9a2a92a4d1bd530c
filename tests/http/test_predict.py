"""`POST /v1/NAME`: the envelope, the path behind it, and every way it can fail."""

import asyncio
import base64
import logging
import math
import threading
from typing import Any

import numpy as np
import pytest
from fastapi import FastAPI
from PIL import Image

from app.metrics import Metrics
from app.schemas import envelope_model
from models.predictor import Options
from tests.fakes import Brightness, encoded, halves, photo
from tests.gateway import JPEG, application, problem, reached, running, serving, until

pytestmark = pytest.mark.anyio


async def test_the_envelope_has_what_was_agreed() -> None:
    async with serving(Brightness()) as client:
        response = await client.post("/v1/brightness", content=photo(64, 48), headers={**JPEG, "X-Request-ID": "abc-1"})
    assert response.status_code == 200
    assert response.headers["content-type"] == "application/json"
    body = response.json()
    assert list(body) == ["request_id", "model", "image", "result", "timings_ms"]
    assert body["request_id"] == "abc-1" == response.headers["x-request-id"]
    assert body["model"] == {
        "name": "brightness",
        "version": "1.0.0",
        "architecture": "mean",
        "weights": "sha256:000000000000",
        "backend": "numpy",
        "device": "cpu",
    }
    assert body["image"] == {"width": 64, "height": 48, "format": "JPEG", "exif_orientation": 1}
    steps = ["receive", "decode", "prepare", "queue", "device", "finish", "total"]
    assert list(body["timings_ms"]) == steps
    assert sum(body["timings_ms"][step] for step in steps[:-1]) <= body["timings_ms"]["total"] + 0.1
    assert [part.split(";")[0] for part in response.headers["server-timing"].split(", ")] == steps
    assert body["result"]["channels"] == pytest.approx([200, 40, 90], abs=3)


async def test_the_body_is_what_openapi_says() -> None:
    predictor = Brightness()
    async with serving(predictor) as client:
        body = (await client.post("/v1/brightness", content=photo(), headers=JPEG)).content
    model: Any = envelope_model(predictor.specification)
    assert model.__name__ == "BrightnessEnvelope"
    assert model.model_validate_json(body, strict=True).result.mean > 0


async def test_all_three_forms_give_one_answer() -> None:
    data = photo()
    async with serving(Brightness()) as client:
        answers = [
            await client.post("/v1/brightness", content=data, headers={"Content-Type": "application/octet-stream"}),
            await client.post("/v1/brightness", files={"file": ("car.jpg", data)}),
            await client.post("/v1/brightness", json={"image": base64.b64encode(data).decode()}),
        ]
    assert [answer.status_code for answer in answers] == [200, 200, 200]
    assert all(answer.json()["result"] == answers[0].json()["result"] for answer in answers)


async def test_a_box_is_the_region_that_is_read() -> None:
    async with serving(Brightness()) as client:
        whole = (await client.post("/v1/brightness", content=halves(64, 48), headers=JPEG)).json()["result"]
        right = (await client.post("/v1/brightness?box=40,-9,900,48", content=halves(64, 48), headers=JPEG)).json()
    everything = {"x1": 0, "y1": 0, "x2": 64, "y2": 48, "source": "whole", "score": None, "fallback": False}
    assert whole["region"] == everything
    assert whole["mean"] == pytest.approx(127.5, abs=2)
    assert right["result"]["region"] == {**everything, "x1": 40, "source": "box"}
    assert right["result"]["mean"] == 255


async def test_coordinates_are_those_after_exif_orientation() -> None:
    turned = photo_turned(64, 48)
    async with serving(Brightness()) as client:
        body = (await client.post("/v1/brightness?box=0,50,48,64", content=turned, headers=JPEG)).json()
    assert body["image"] == {"width": 48, "height": 64, "format": "JPEG", "exif_orientation": 6}
    assert body["result"]["region"]["y2"] == 64


def photo_turned(width: int, height: int) -> bytes:
    exif = Image.Exif()
    exif[0x0112] = 6
    return encoded(np.full((height, width, 3), 99, np.uint8), exif=exif)


async def test_a_jpeg_is_decoded_no_finer_than_needed() -> None:
    predictor = Brightness()
    async with serving(predictor) as client:
        await client.post("/v1/brightness", content=photo(800, 640), headers=JPEG)
        assert predictor.decoded == (100, 80)
        await client.post("/v1/brightness?box=0,0,16,16", content=photo(800, 640), headers=JPEG)
        assert predictor.decoded == (400, 320)
        await client.post("/v1/brightness?box=0,0,8,8", content=photo(800, 640), headers=JPEG)
        assert predictor.decoded == (800, 640)


@pytest.mark.parametrize("step", ["fail_prepare", "fail_run", "fail_finish"])
async def test_a_failing_predictor_is_a_problem_that_leaks_nothing(step: str, caplog: pytest.LogCaptureFixture) -> None:
    predictor = Brightness()
    async with serving(predictor) as client:
        setattr(predictor, step, ValueError("secret path /etc/weights"))
        with caplog.at_level(logging.ERROR):
            response = await client.post("/v1/brightness", content=photo(), headers={**JPEG, "X-Request-ID": "r-77"})
        assert problem(response) == (500, "prediction_failed")
        assert "secret" not in response.text
        assert any("r-77" in record.getMessage() and record.exc_info for record in caplog.records)
        assert "secret path" in caplog.text
        setattr(predictor, step, None)
        assert (await client.post("/v1/brightness", content=photo(), headers=JPEG)).status_code == 200


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
async def test_what_json_cannot_say_is_a_problem(value: float) -> None:
    predictor = Brightness()
    async with serving(predictor) as client:
        predictor.mean = lambda _: value
        assert problem(await client.post("/v1/brightness", content=photo(), headers=JPEG)) == (500, "prediction_failed")


async def test_an_answer_of_another_type_is_found_before_anybody_asks() -> None:
    async with serving(Brightness(answer=Options)) as client:
        assert problem(await client.post("/v1/brightness", content=photo(), headers=JPEG)) == (503, "not_ready")


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        (b"not a photo", (415, "unsupported_media_type")),
        (b"", (400, "empty_image")),
        (photo()[:200], (422, "undecodable_image")),
        (photo(300, 20), (413, "image_too_large")),
    ],
)
async def test_a_photo_at_fault_is_told_so(data: bytes, expected: tuple[int, str]) -> None:
    async with serving(Brightness(), max_side=256) as client:
        response = await client.post("/v1/brightness", content=data, headers={**JPEG, "Content-Length": str(len(data))})
        assert problem(response) == expected
        assert (await client.post("/v1/brightness", content=photo(), headers=JPEG)).status_code == 200


async def test_a_full_queue_refuses_at_the_door() -> None:
    predictor = Brightness(batch_sizes=(1,))
    app = application(predictor, queue_limit=1)
    async with running(app) as client:
        release = predictor.wait_run = threading.Event()
        predictor.running.clear()
        first = asyncio.create_task(client.post("/v1/brightness", content=photo(), headers=JPEG))
        await reached(predictor.running)
        predictor.preparing.clear()
        second = asyncio.create_task(client.post("/v1/brightness", content=photo(), headers=JPEG))
        await reached(predictor.preparing)
        await until(lambda: waiting(app) == 1)
        predictor.preparing.clear()
        refused = await client.post("/v1/brightness", content=b"not even looked at", headers=JPEG)
        assert problem(refused) == (503, "overloaded")
        assert int(refused.headers["retry-after"]) >= 1
        assert not predictor.preparing.is_set()
        release.set()
        assert [(await first).status_code, (await second).status_code] == [200, 200]


def waiting(app: FastAPI) -> float | None:
    metrics: Metrics = app.state.metrics
    return metrics.registry.get_sample_value("carlens_queue_depth", {"predictor": "brightness"})


async def test_photos_on_their_way_to_the_queue_count_at_the_door() -> None:
    predictor = Brightness()
    async with serving(predictor, queue_limit=1) as client:
        release = predictor.wait_prepare = threading.Event()
        first = asyncio.create_task(client.post("/v1/brightness", content=photo(), headers=JPEG))
        await reached(predictor.preparing)
        refused = await client.post("/v1/brightness", content=photo(), headers=JPEG)
        release.set()
        assert problem(refused) == (503, "overloaded")
        assert (await first).status_code == 200


@pytest.mark.parametrize("where", ["wait_prepare", "wait_run"])
async def test_the_deadline_holds_wherever_the_photo_is(where: str) -> None:
    predictor = Brightness()
    async with serving(predictor) as client:
        release = threading.Event()
        setattr(predictor, where, release)
        response = await client.post("/v1/brightness", content=photo(), headers={**JPEG, "X-Deadline-Ms": "50"})
        assert problem(response) == (504, "deadline_exceeded")
        setattr(predictor, where, None)
        release.set()
        assert (await client.post("/v1/brightness", content=photo(), headers=JPEG)).status_code == 200


@pytest.mark.parametrize("value", ["49", "60001", "-1", "x", "1e3", "100.5", ""])
async def test_a_deadline_out_of_bounds_is_refused(value: str) -> None:
    async with serving(Brightness()) as client:
        response = await client.post("/v1/brightness", content=photo(), headers={**JPEG, "X-Deadline-Ms": value})
    assert problem(response) == (422, "invalid_option")


async def test_not_ready_while_loading_and_after_a_failed_load() -> None:
    slow, broken = Brightness("slow"), Brightness("broken")
    slow.wait_load = threading.Event()
    broken.fail_load = RuntimeError("no weights")
    app = application(broken, slow)
    async with running(app, settled=False) as client:
        assert problem(await client.post("/v1/slow", content=photo(), headers=JPEG)) == (503, "not_ready")
        slow.wait_load.set()
        await until(lambda: app.state.shelf.states()["slow"] != "loading")
        assert (await client.post("/v1/slow", content=photo(), headers=JPEG)).status_code == 200
        response = await client.post("/v1/broken", content=photo(), headers=JPEG)
        assert problem(response) == (503, "not_ready")
        assert response.json()["predictors"] == {"broken": "failed"}


async def test_a_service_that_stops_takes_nothing_more() -> None:
    app = application(Brightness())
    async with running(app) as client:
        await app.state.batcher.stop(1.0)
        assert problem(await client.post("/v1/brightness", content=photo(), headers=JPEG)) == (503, "shutting_down")


async def test_a_client_that_leaves_is_not_computed_for() -> None:
    predictor = Brightness(batch_sizes=(1,))
    app = application(predictor)
    async with running(app) as client:
        release = predictor.wait_run = threading.Event()
        predictor.running.clear()
        first = asyncio.create_task(client.post("/v1/brightness", content=photo(), headers=JPEG))
        await reached(predictor.running)
        predictor.preparing.clear()
        gone = asyncio.Event()
        leaver = asyncio.create_task(call(app, photo(), gone))
        await reached(predictor.preparing)
        gone.set()
        assert await leaver == []
        release.set()
        assert (await first).status_code == 200
        assert (await client.post("/v1/brightness", content=photo(), headers=JPEG)).status_code == 200
        text = (await client.get("/metrics")).text
    assert predictor.rows == 2
    assert 'carlens_http_requests_total{method="POST",route="/v1/brightness",status="499"} 1.0' in text


async def call(app: Any, body: bytes, gone: asyncio.Event) -> list[Any]:
    """One request by hand, whose client leaves when `gone` is set; what was sent to it."""
    parts = [{"type": "http.request", "body": body, "more_body": False}]
    sent: list[Any] = []

    async def receive() -> Any:
        if parts:
            return parts.pop()
        await gone.wait()
        return {"type": "http.disconnect"}

    async def send(message: Any) -> None:
        sent.append(message)

    scope = {
        "type": "http",
        "method": "POST",
        "path": "/v1/brightness",
        "raw_path": b"/v1/brightness",
        "root_path": "",
        "query_string": b"",
        "headers": [(b"content-type", b"image/jpeg")],
        "http_version": "1.1",
        "scheme": "http",
        "server": ("carlens", 80),
        "client": ("127.0.0.1", 1),
    }
    await app(scope, receive, send)
    return sent
