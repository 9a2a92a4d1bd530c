"""What an operator sees of a request: a line of the log, figures by reason, and nothing that a caller can make grow."""

import asyncio
import logging
import threading
from typing import Any

import httpx
import pytest
from prometheus_client.parser import text_string_to_metric_families

from app.errors import PROBLEMS
from app.metrics import REASONS
from tests.asgi import LEAVES, chunked, talk
from tests.fakes import Brightness, Finder, photo, reader
from tests.gateway import JPEG, application, problem, reached, running, serving, until

pytestmark = pytest.mark.anyio

NASTY = "pa55word-no-such-thing"


async def samples(client: httpx.AsyncClient) -> dict[tuple[str, ...], float]:
    """Name and label values in the order of the labels' names, to value."""
    text = (await client.get("/metrics")).text
    return {
        (one.name, *(one.labels[label] for label in sorted(one.labels))): one.value
        for family in text_string_to_metric_families(text)
        for one in family.samples
    }


def lines(caplog: pytest.LogCaptureFixture) -> list[dict[str, Any]]:
    return [one.__dict__["fields"] for one in caplog.records if one.name == "carlens.request"]


async def test_a_line_tells_of_an_answered_photo(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, "carlens.request")
    sent = photo()
    async with serving(reader(), Finder((0, 0, 16, 16))) as client:
        caplog.clear()
        answer = await client.post("/v1/brightness", content=sent, headers={**JPEG, "X-Request-ID": "mine"})
    (line,) = lines(caplog)
    times = answer.json()["timings_ms"]
    assert line | {"duration_ms": 0, "stages_ms": {}} == {
        "request_id": "mine",
        "method": "POST",
        "route": "/v1/brightness",
        "status": 200,
        "duration_ms": 0,
        "stages_ms": {},
        "bytes_in": len(sent),
        "bytes_out": len(answer.content),
        "models": ["vehicles", "brightness"],
    }
    assert line["stages_ms"]["receive"] == times["receive"]
    for stage in ("locate", "prepare", "queue", "device", "finish"):
        assert line["stages_ms"][f"brightness.{stage}"] == times[stage]
    assert set(line["stages_ms"]) >= {"decode", "vehicles.device"}
    assert line["duration_ms"] >= line["stages_ms"]["brightness.device"]


async def test_no_line_holds_what_a_caller_wrote(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    app = application(Brightness())
    async with running(app) as client:
        caplog.clear()
        injected = f"x\n{NASTY}"
        given = {"X-Request-ID": injected, "User-Agent": NASTY, "Authorization": NASTY, "Cookie": NASTY}
        for path in (f"/{NASTY}", f"/v1/{NASTY}%0a", f"/v1/models/{NASTY}", f"/v1/models/{NASTY}\r\n{NASTY}"):
            await talk(app, chunked(b""), given, path=path, method="GET")
        await talk(app, chunked(b""), given, path="/v1/brightness", method=NASTY)
        await talk(app, chunked(photo()), {**given, **JPEG}, path="/v1/brightness", query=f"{NASTY}={NASTY}")
        await client.post("/v1/brightness", files={"file": (NASTY, photo(), NASTY)})
    told = [(one.getMessage(), one.__dict__.get("fields")) for one in caplog.records if one.name.startswith("carlens")]
    assert len(told) == 7
    assert NASTY not in repr(told)
    assert {line["method"] for line in lines(caplog)} == {"GET", "POST", "other"}


async def test_no_path_model_option_or_method_becomes_a_label() -> None:
    app = application(Brightness())
    async with running(app) as client:
        before = len(await samples(client))
        for n in range(20):
            nasty = f"{NASTY}-{n}"
            for path in (f"/{nasty}", f"/v1/{nasty}", f"/v1/models/{nasty}", f"/v1/{nasty}/annotated"):
                await client.get(path)
                await client.post(path, content=photo(), headers=JPEG)
            await client.post("/v1/inspect", params={"tasks": nasty}, content=photo(), headers=JPEG)
            await client.post("/v1/brightness", params={nasty: nasty}, content=photo(), headers=JPEG)
            await talk(app, chunked(b""), path="/v1/brightness", method=nasty)
        after = await samples(client)
    assert not [labels for labels in after if NASTY in repr(labels)]
    # a bounded number of routes, methods and statuses, whatever was asked 20 times
    assert len(after) - before < 20 * 7


async def test_every_refusal_is_counted_by_its_reason() -> None:
    predictor = Brightness()
    async with serving(predictor, queue_limit=1) as client:
        await client.post("/v1/brightness", content=b"GIF89a", headers=JPEG)
        await client.post("/v1/brightness", params={"min_score": 7}, content=photo(), headers=JPEG)
        await client.get("/v1/models/nothing")
        release = predictor.wait_run = threading.Event()
        predictor.running.clear()
        first = asyncio.create_task(client.post("/v1/brightness", content=photo(), headers=JPEG))
        await reached(predictor.running)
        late = await client.post("/v1/brightness", content=photo(), headers={**JPEG, "X-Deadline-Ms": "50"})
        assert problem(late) in {(504, "deadline_exceeded"), (503, "overloaded")}
        release.set()
        await first
        predictor.wait_run, predictor.fail_run = None, RuntimeError("it breaks")
        assert problem(await client.post("/v1/brightness", content=photo(), headers=JPEG)) == (500, "prediction_failed")
        found = await samples(client)
    assert found["carlens_http_rejected_total", "bad_input", "/v1/brightness"] == 2
    assert found["carlens_http_rejected_total", "deadline", "/v1/brightness"] == 1
    assert found["carlens_http_rejected_total", "backend", "/v1/brightness"] == 1
    assert not [labels for labels in found if labels[0] == "carlens_http_rejected_total" and "/v1/models" in labels[-1]]


async def test_a_full_queue_and_a_client_that_leaves_are_reasons_too() -> None:
    predictor = Brightness()
    app = application(predictor, queue_limit=1)
    async with running(app) as client:
        release = predictor.wait_run = threading.Event()
        predictor.running.clear()
        held = [asyncio.create_task(client.post("/v1/brightness", content=photo(), headers=JPEG))]
        await reached(predictor.running)
        held.append(asyncio.create_task(client.post("/v1/brightness", content=photo(), headers=JPEG)))
        registry, asked = app.state.metrics.registry, {"predictor": "brightness"}
        await until(lambda: registry.get_sample_value("carlens_queue_depth", asked) == 1)
        assert problem(await client.post("/v1/brightness", content=photo(), headers=JPEG)) == (503, "overloaded")
        release.set()
        assert [(await one).status_code for one in held] == [200, 200]
        release = predictor.wait_run = threading.Event()
        gone = await talk(app, [*chunked(photo()), LEAVES], {"Content-Type": "image/jpeg"}, path="/v1/brightness")
        assert gone.status is None
        found = await samples(client)
        release.set()
    assert found["carlens_http_rejected_total", "full", "/v1/brightness"] == 1
    assert found["carlens_http_rejected_total", "disconnect", "/v1/brightness"] == 1


def test_every_problem_has_its_reason() -> None:
    """A problem that is added must say here what it counts as; those of access are there before their code is."""
    access = {"unauthenticated", "forbidden", "rate_limited"}
    assert {one.code for one in PROBLEMS} | access | {"client_gone"} == set(REASONS)


async def test_what_never_happened_reads_as_zero_from_the_first_scrape_on() -> None:
    broken = Brightness("broken")
    broken.fail_load = RuntimeError("no weights")
    async with serving(Brightness("one"), broken, queue_limit=7) as client:
        found = await samples(client)
    for reason in ("full", "deadline", "disconnect", "bad_input", "backend"):
        assert found["carlens_rejected_total", "one", reason] == 0
    assert found["carlens_queue_depth", "one"] == 0
    assert found["carlens_queue_limit", "one"] == 7
    assert (found["carlens_predictor_ready", "one"], found["carlens_predictor_ready", "broken"]) == (1, 0)
    (build,) = [labels for labels in found if labels[0] == "carlens_build_info"]
    assert build[1] == "cpu"
    assert {("process_resident_memory_bytes",), ("process_start_time_seconds",)} <= set(found)
