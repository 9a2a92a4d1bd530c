"""Traces: a span a request and a step, at the times when they were, and no harm from whoever collects them."""

import asyncio
import json
import subprocess
import sys
import threading
from collections.abc import Iterator, Sequence
from typing import Any

import pytest
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor, SimpleSpanProcessor, SpanExporter, SpanExportResult
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.sdk.trace.sampling import ALWAYS_OFF
from opentelemetry.trace import SpanKind, StatusCode

from app import traces
from app.main import create_app
from app.settings import Settings
from app.traces import Traces
from tests.fakes import Brightness, Finder, photo, reader
from tests.gateway import JPEG, application, reached, running, until

pytestmark = pytest.mark.anyio

CALLERS = "0af7651916cd43dd8448eb211c80319c"
PARENT = f"00-{CALLERS}-b7ad6b7169203331-01"


@pytest.fixture
def exporter(monkeypatch: pytest.MonkeyPatch) -> InMemorySpanExporter:
    """What every gateway of the test exports."""
    made = InMemorySpanExporter()

    def start() -> Traces:
        provider = TracerProvider(shutdown_on_exit=False)
        provider.add_span_processor(SimpleSpanProcessor(made))
        return Traces(provider)

    monkeypatch.setattr(traces, "start", start)
    return made


def by_name(spans: Sequence[ReadableSpan], predictor: str | None = None) -> dict[str, ReadableSpan]:
    return {one.name: one for one in spans if (one.attributes or {}).get("carlens.predictor") in (predictor, None)}


async def test_the_steps_of_a_claim_s_photos_are_numbered(exporter: InMemorySpanExporter) -> None:
    async with running(application(Brightness(), traces=True)) as client:
        exporter.clear()
        await client.post("/v1/inspect/claim", files=[("file", ("a.jpg", photo()))] * 2)
    steps = [(one.name, (one.attributes or {}).get("carlens.photo")) for one in exporter.get_finished_spans()]
    assert {(name, number) for name in ("receive", "decode", "finish") for number in (0, 1)} <= set(steps)
    assert ("POST /v1/inspect/claim", None) in steps


async def test_a_request_is_a_span_and_each_step_one_below_it(exporter: InMemorySpanExporter) -> None:
    async with running(application(reader(), Finder((0, 0, 16, 16)), traces=True)) as client:
        exporter.clear()
        headers = {**JPEG, "traceparent": PARENT, "X-Request-ID": "mine"}
        answer = await client.post("/v1/brightness", content=photo(), headers=headers)
    spans = exporter.get_finished_spans()
    found = by_name(spans, "brightness")
    request = found.pop("POST /v1/brightness")
    assert set(found) == {"receive", "decode", "locate", "prepare", "queue", "device", "finish"}
    assert set(by_name(spans, "vehicles")) >= {"prepare", "queue", "device", "finish"}
    assert request.kind is SpanKind.SERVER
    assert request.parent
    assert request.context
    assert format(request.parent.span_id, "016x") == "b7ad6b7169203331"
    assert {format(one.context.trace_id, "032x") for one in spans if one.context} == {CALLERS}
    assert request.attributes == {
        "http.request.method": "POST",
        "http.route": "/v1/brightness",
        "http.response.status_code": 200,
        "http.request.body.size": len(photo()),
        "http.response.body.size": len(answer.content),
        "carlens.request_id": "mine",
    }
    assert request.status.status_code is StatusCode.UNSET
    for one in spans:
        if one is not request:
            assert one.parent
            assert one.parent.span_id == request.context.span_id
            assert set(one.attributes or {}) <= {"carlens.predictor"}


async def test_the_times_are_those_of_the_answer_and_in_order(exporter: InMemorySpanExporter) -> None:
    async with running(application(Brightness(), traces=True)) as client:
        exporter.clear()
        answer = await client.post("/v1/brightness", content=photo(), headers=JPEG)
    found = by_name(exporter.get_finished_spans(), "brightness")

    def times(name: str) -> tuple[int, int]:
        span = found[name]
        assert span.start_time
        assert span.end_time
        return span.start_time, span.end_time

    whole, steps = times("POST /v1/brightness"), ("receive", "decode", "prepare", "queue", "device", "finish")
    for name in steps:
        began, ended = times(name)
        assert whole[0] <= began <= ended <= whole[1]
        assert abs((ended - began) / 1e6 - answer.json()["timings_ms"][name]) < 0.01 or name == "decode"
    starts = [times(name)[0] for name in steps]
    assert starts == sorted(starts)


async def test_a_failure_is_a_failed_span_that_says_no_more_than_the_answer(exporter: InMemorySpanExporter) -> None:
    predictor = Brightness()
    async with running(application(predictor, traces=True)) as client:
        predictor.fail_finish = RuntimeError("secret of the inside")
        exporter.clear()
        await client.post("/v1/brightness", content=photo(), headers=JPEG)
        await client.post("/v1/brightness", content=b"no photo, pa55word", headers={**JPEG, "Cookie": "pa55word"})
    first, second = (one for one in exporter.get_finished_spans() if one.kind is SpanKind.SERVER)
    assert first.status.status_code is StatusCode.ERROR
    assert dict(first.attributes or {})["error.type"] == "prediction_failed"
    assert second.status.status_code is StatusCode.UNSET
    told = "".join(one.to_json() for one in exporter.get_finished_spans())
    assert "secret" not in told
    assert "pa55word" not in told


async def test_requests_that_shared_a_batch_link_to_its_one_span(exporter: InMemorySpanExporter) -> None:
    predictor = Brightness()
    app = application(predictor, traces=True)
    async with running(app) as client:
        release = predictor.wait_run = threading.Event()
        predictor.running.clear()
        alone = asyncio.create_task(client.post("/v1/brightness", content=photo(), headers=JPEG))
        await reached(predictor.running)
        together = [asyncio.create_task(client.post("/v1/brightness", content=photo(), headers=JPEG)) for _ in range(2)]
        registry, asked = app.state.metrics.registry, {"predictor": "brightness"}
        await until(lambda: registry.get_sample_value("carlens_queue_depth", asked) == 2)
        exporter.clear()
        release.set()
        await asyncio.gather(alone, *together)
    spans = exporter.get_finished_spans()
    (batch,) = (one for one in spans if one.name == "batch")
    assert batch.attributes == {"carlens.predictor": "brightness", "carlens.batch.size": 2}
    linked = [[link.context for link in one.links] for one in spans if one.name == "device"]
    assert sorted(map(len, linked)) == [0, 1, 1]
    assert {one.span_id for some in linked for one in some} == {batch.context.span_id if batch.context else 0}
    device = next(one for one in spans if one.name == "device" and one.links)
    assert (batch.start_time, batch.end_time) == (device.start_time, device.end_time)


async def test_the_trace_is_named_in_the_log(exporter: InMemorySpanExporter, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("INFO", "carlens.request")
    async with running(application(Brightness(), traces=True)) as client:
        caplog.clear()
        await client.get("/health/live", headers={"traceparent": PARENT})
        await client.get("/health/live", headers={"traceparent": "00-nonsense\n-01"})
    (first, second) = (one.__dict__["fields"]["trace_id"] for one in caplog.records)
    assert first == CALLERS
    assert second != CALLERS
    assert len(second) == 32


class Stuck(SpanExporter):
    """A collector that never answers, then fails."""

    def __init__(self) -> None:
        self.entered = threading.Event()
        self.release = threading.Event()
        self.gave_up = threading.Event()

    def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:
        self.entered.set()
        self.release.wait(30)
        self.gave_up.set()
        raise ConnectionError("no collector")


@pytest.fixture
def stuck(monkeypatch: pytest.MonkeyPatch) -> Iterator[Stuck]:
    made = Stuck()

    def start() -> Traces:
        provider = TracerProvider(shutdown_on_exit=False)
        provider.add_span_processor(BatchSpanProcessor(made, max_queue_size=4, max_export_batch_size=1))
        return Traces(provider)

    monkeypatch.setattr(traces, "start", start)
    monkeypatch.setattr(traces, "CLOSE_S", 0.0)
    yield made
    made.release.set()


async def test_a_collector_that_hangs_holds_up_no_request_and_no_end(stuck: Stuck) -> None:
    async with running(application(Brightness(), traces=True)) as client:
        for _ in range(8):
            assert (await client.post("/v1/brightness", content=photo(), headers=JPEG)).status_code == 200
        await reached(stuck.entered)
        assert (await client.post("/v1/brightness", content=photo(), headers=JPEG)).status_code == 200
    assert not stuck.gave_up.is_set()


async def test_a_tracer_that_breaks_fails_no_request_and_complains_once(
    exporter: InMemorySpanExporter, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def broken(*given: Any) -> str:
        raise RuntimeError("broken")

    monkeypatch.setattr(Traces, "_tell", broken)
    async with running(application(Brightness(), traces=True)) as client:
        for _ in range(3):
            assert (await client.get("/health/live")).status_code == 200
    assert len([one for one in caplog.records if one.name == "carlens.traces"]) == 1


async def test_what_is_not_sampled_makes_no_span(
    monkeypatch: pytest.MonkeyPatch, exporter: InMemorySpanExporter
) -> None:
    def start() -> Traces:
        provider = TracerProvider(ALWAYS_OFF, shutdown_on_exit=False)
        provider.add_span_processor(SimpleSpanProcessor(exporter))
        return Traces(provider)

    monkeypatch.setattr(traces, "start", start)
    async with running(application(Brightness(), traces=True)) as client:
        assert (await client.post("/v1/brightness", content=photo(), headers=JPEG)).status_code == 200
    assert exporter.get_finished_spans() == ()


def test_the_variables_name_the_exporter(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OTEL_TRACES_EXPORTER", "none")
    traces.start().close()
    monkeypatch.setenv("OTEL_TRACES_EXPORTER", "zipkin")
    with pytest.raises(ValueError, match=r"no exporter 'zipkin' of traces: installed are .*otlp_proto_http"):
        traces.start()
    monkeypatch.delenv("OTEL_TRACES_EXPORTER")
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_PROTOCOL", "http/json")
    with pytest.raises(ValueError, match="no exporter 'http/json' of traces"):
        traces.start()


def test_without_the_extra_the_setting_says_how_to_get_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "app.traces", None)
    with pytest.raises(ValueError, match=r'CARLENS_TRACES needs .*: pip install "carlens\[traces\]"'):
        create_app(Settings(traces=True, device="cpu"), {"brightness": Brightness()})


def test_where_they_are_not_wanted_nothing_of_them_is_imported() -> None:
    script = (
        "import json, sys; from app.main import create_app; from app.settings import Settings;"
        "from tests.fakes import Brightness; create_app(Settings(device='cpu'), {'brightness': Brightness()});"
        "print(json.dumps([m for m in sys.modules if m == 'app.traces' or m.startswith('opentelemetry.sdk')]))"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True, timeout=120)
    assert json.loads(done.stdout) == []
