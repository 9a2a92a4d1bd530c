"""What stands around every request: its id, its count, and an answer when something breaks."""

import asyncio
import re
import time
from typing import Annotated, Any

import pytest
from fastapi import APIRouter, FastAPI, Query, Request
from pydantic import BaseModel, ConfigDict
from starlette.responses import PlainTextResponse, StreamingResponse
from starlette.staticfiles import StaticFiles
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from app import errors
from app.errors import ClientGone
from app.metrics import Metrics
from app.middleware import RequestContext
from tests.asgi import LEAVES, Answer, chunked, talk


class Options(BaseModel):
    model_config = ConfigDict(extra="forbid")

    top_k: int = 5


class Breaking:
    """A middleware of somebody's that fails."""

    def __init__(self, app: ASGIApp, error: Exception) -> None:
        self.error = error

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        raise self.error


def gateway(metrics: Metrics, *, broken_by: Exception | None = None, ticks: list[float] | None = None) -> FastAPI:
    app = FastAPI()
    errors.install(app)
    router = APIRouter(prefix="/v1")

    @router.post("/models/{name}")
    async def model(name: str, request: Request, options: Annotated[Options, Query()]) -> dict[str, Any]:
        in_flight = metrics.registry.get_sample_value("carlens_http_in_flight")
        return {"name": name, "id": request.state.request_id, "in_flight": in_flight, "top_k": options.top_k}

    @router.post("/raise/{kind}")
    async def fail(kind: str) -> None:
        raise {"gone": ClientGone(), "problem": errors.Overloaded("later"), "bug": RuntimeError("secret")}[kind]

    @router.post("/half")
    async def half() -> StreamingResponse:
        async def pieces() -> Any:
            yield b"first"
            raise RuntimeError("secret")

        return StreamingResponse(pieces())

    @router.post("/wait")
    async def wait(request: Request) -> str:
        while (await request.receive())["type"] != "http.disconnect":
            pass
        raise ClientGone

    @router.post("/forever")
    async def forever() -> None:
        app.state.entered.set()
        await asyncio.Event().wait()

    app.include_router(router, prefix="/outer")
    app.add_route("/plain", lambda _: PlainTextResponse("plain"), methods=["POST"])
    app.mount("/files", StaticFiles(directory=".", check_dir=False))
    if broken_by is not None:
        app.add_middleware(Breaking, error=broken_by)
    clock = iter(ticks or [])
    app.add_middleware(RequestContext, metrics=metrics, clock=(lambda: next(clock)) if ticks else time.monotonic)
    return app


def ask(path: str, metrics: Metrics | None = None, *, headers: dict[str, str] | None = None, **more: Any) -> Answer:
    return asyncio.run(talk(gateway(metrics or Metrics(), **more), chunked(b""), headers, path=path))


def counted(metrics: Metrics) -> dict[tuple[str, str, str], float]:
    return {
        (sample.labels["route"], sample.labels["method"], sample.labels["status"]): sample.value
        for family in metrics.registry.collect()
        for sample in family.samples
        if sample.name == "carlens_http_requests_total"
    }


def idle(metrics: Metrics) -> bool:
    return metrics.registry.get_sample_value("carlens_http_in_flight") == 0


@pytest.mark.parametrize("sent", ["abc-123", "A.b_c-9", "x" * 64])
def test_a_sane_id_is_kept(sent: str) -> None:
    answer = ask("/outer/v1/models/a", headers={"X-Request-ID": sent})
    assert answer.headers["x-request-id"] == answer.json()["id"] == sent


@pytest.mark.parametrize("sent", [None, "", " ", "x" * 65, "a b", "a\nb", "a;b", "é", "<script>", "abc\n"])
def test_any_other_is_replaced_by_a_fresh_one(sent: str | None) -> None:
    headers = {} if sent is None else {"X-Request-ID": sent}
    ids = {ask("/outer/v1/models/a", headers=headers).headers["x-request-id"] for _ in range(2)}
    assert len(ids) == 2
    assert all(re.fullmatch("[0-9a-f]{16}", made) for made in ids)


@pytest.mark.parametrize("path", ["/outer/v1/raise/problem", "/outer/v1/raise/bug", "/nowhere", "/outer/v1/models/a"])
def test_every_answer_carries_the_id(path: str) -> None:
    answer = ask(path, headers={"X-Request-ID": "mine"})
    assert answer.headers["x-request-id"] == "mine"
    assert answer.json().get("request_id", "mine") == "mine"


def test_a_request_is_counted_by_the_template_of_its_route() -> None:
    metrics = Metrics()
    for name in ("a", "b", "c"):
        assert ask(f"/outer/v1/models/{name}", metrics).json()["in_flight"] == 1
    assert counted(metrics) == {("/outer/v1/models/{name}", "POST", "200"): 3}
    assert idle(metrics)


@pytest.mark.parametrize(
    ("path", "route", "status"),
    [
        ("/plain", "/plain", 200),
        ("/nowhere", "unmatched", 404),
        ("/outer/v1/nowhere", "unmatched", 404),
        ("/../../etc/passwd", "unmatched", 404),
        ("/files/no-such-file", "/files/{path}", 405),
        ("/outer/v1/raise/problem", "/outer/v1/raise/{kind}", 503),
        ("/outer/v1/raise/bug", "/outer/v1/raise/{kind}", 500),
        ("/outer/v1/raise/gone", "/outer/v1/raise/{kind}", 499),
    ],
)
def test_routes_and_statuses_are_bounded(path: str, route: str, status: int) -> None:
    metrics = Metrics()
    ask(path, metrics)
    assert counted(metrics) == {(route, "POST", str(status)): 1}
    assert idle(metrics)


def test_a_thousand_unknown_paths_are_one_label() -> None:
    metrics = Metrics()
    app = gateway(metrics)

    async def scan() -> None:
        for n in range(200):
            await talk(app, chunked(b""), path=f"/scan/{n}")

    asyncio.run(scan())
    assert counted(metrics) == {("unmatched", "POST", "404"): 200}


def test_an_unknown_option_names_those_of_a_route_behind_prefixes() -> None:
    app = gateway(Metrics())
    answer = asyncio.run(talk(app, chunked(b""), path="/outer/v1/models/a", query="topk=1"))
    assert answer.json()["detail"] == "There is no query option 'topk'. Allowed are: top_k."


def test_the_time_is_that_of_the_clock() -> None:
    metrics = Metrics()
    ask("/plain", metrics, ticks=[100.0, 100.25])
    assert metrics.registry.get_sample_value("carlens_http_request_seconds_sum", {"route": "/plain"}) == 0.25


def test_an_unforeseen_error_is_answered_once_and_goes_no_further(caplog: pytest.LogCaptureFixture) -> None:
    answer = ask("/outer/v1/raise/bug")
    assert (answer.status, answer.json()["code"], answer.complete) == (500, "prediction_failed", True)
    assert b"secret" not in answer.body
    assert len([record for record in caplog.records if record.exc_info]) == 1


@pytest.mark.parametrize(
    ("error", "status", "code"),
    [
        (errors.ShuttingDown("soon"), 503, "shutting_down"),
        (errors.BodyTooLarge("big"), 413, "body_too_large"),
        (RuntimeError("secret"), 500, "prediction_failed"),
    ],
)
def test_an_error_in_another_middleware_is_a_problem_too(error: Exception, status: int, code: str) -> None:
    metrics = Metrics()
    answer = ask("/plain", metrics, broken_by=error)
    assert (answer.status, answer.json()["code"]) == (status, code)
    assert answer.headers["content-type"] == "application/problem+json"
    assert counted(metrics) == {("unmatched", "POST", str(status)): 1}


def test_half_an_answer_is_left_to_the_server_to_cut() -> None:
    metrics = Metrics()
    with pytest.raises(RuntimeError, match="secret"):
        ask("/outer/v1/half", metrics)
    assert counted(metrics) == {("/outer/v1/half", "POST", "200"): 1}
    assert idle(metrics)


def test_a_disconnect_reaches_the_handler_and_gets_no_answer() -> None:
    metrics = Metrics()
    app = gateway(metrics)
    answer = asyncio.run(talk(app, [*chunked(b""), LEAVES], path="/outer/v1/wait"))
    assert (answer.status, answer.body) == (None, b"")
    assert counted(metrics) == {("/outer/v1/wait", "POST", "499"): 1}
    assert idle(metrics)


def test_a_cancelled_request_is_in_flight_no_more() -> None:
    metrics = Metrics()

    async def cancel() -> None:
        app = gateway(metrics)
        app.state.entered = asyncio.Event()
        task = asyncio.create_task(talk(app, chunked(b""), path="/outer/v1/forever"))
        await app.state.entered.wait()
        assert not idle(metrics)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    asyncio.run(cancel())
    assert counted(metrics) == {("/outer/v1/forever", "POST", "499"): 1}
    assert idle(metrics)


def test_what_is_no_request_passes_untouched() -> None:
    seen: list[str] = []

    async def inner(scope: Scope, receive: Receive, send: Send) -> None:
        seen.append(scope["type"])

    async def nothing() -> Message:
        return {}

    async def nowhere(message: Message) -> None:
        raise AssertionError(message)

    metrics = Metrics()
    asyncio.run(RequestContext(inner, metrics)({"type": "lifespan"}, nothing, nowhere))
    assert seen == ["lifespan"]
    assert counted(metrics) == {}
