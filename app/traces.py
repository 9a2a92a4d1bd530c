"""Requests as OpenTelemetry's spans, made from their trails when they are over, so that nothing waits for it. Imported
only where traces are wanted."""

import logging
import os
import threading
from importlib import metadata
from weakref import WeakKeyDictionary

from opentelemetry import propagate, trace
from opentelemetry.context import Context
from opentelemetry.sdk.resources import OTELResourceDetector, Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor, SpanExporter
from opentelemetry.trace import Link, SpanContext, SpanKind, Status, StatusCode, format_trace_id
from opentelemetry.util.types import AttributeValue
from starlette.datastructures import Headers
from starlette.types import Scope

from app.lane import Batch
from app.trail import Ended, Step, Trail

PREDICTOR = "carlens.predictor"
PHOTO = "carlens.photo"
EXPORTERS = "opentelemetry_traces_exporter"
PROTOCOLS = {"http/protobuf": "otlp_proto_http", "grpc": "otlp_proto_grpc"}

CLOSE_S = 3.0
"""How long the last spans may take at the end of the process: what a collector does not take by then is lost."""

log = logging.getLogger("carlens.traces")


def start() -> "Traces":
    """Traces to where the `OTEL_` variables say. Raises `ValueError` where the exporter that they name is not there."""
    own = Resource.create({"service.name": "carlens", "service.version": metadata.version("carlens")})
    # the variables may name the service otherwise
    provider = TracerProvider(resource=own.merge(OTELResourceDetector().detect()), shutdown_on_exit=False)
    exporter = _exporter()
    if exporter is not None:
        provider.add_span_processor(BatchSpanProcessor(exporter))
    return Traces(provider)


class Traces:
    """One server span a request, below it one for each step of its photo, with the times when they were. Steps on the
    device that were part of a larger batch link to its span, which is told once, with the first request of it."""

    def __init__(self, provider: TracerProvider) -> None:
        self._provider = provider
        self._tracer = provider.get_tracer("carlens", metadata.version("carlens"))
        self._batches: WeakKeyDictionary[Batch, SpanContext] = WeakKeyDictionary()
        self._propagated = propagate.get_global_textmap().fields
        self._complained = False

    def tell(self, scope: Scope, ended: Ended) -> str | None:
        """The id of the request's trace, its caller's where there is one. What goes wrong is logged once."""
        try:
            return self._tell(scope, ended)
        except Exception:
            if not self._complained:
                self._complained = True
                log.exception("a request could not be traced; further ones are not logged")
            return None

    def close(self) -> None:
        """Sends what there is, for `CLOSE_S` at most."""
        closing = threading.Thread(target=self._provider.shutdown, name="carlens-traces", daemon=True)
        closing.start()
        closing.join(CLOSE_S)

    def _tell(self, scope: Scope, ended: Ended) -> str | None:
        headers = Headers(scope=scope)
        trail, carrier = ended.trail, {name: headers[name] for name in self._propagated if name in headers}
        span = self._tracer.start_span(
            f"{ended.method} {ended.route}",
            propagate.extract(carrier),
            SpanKind.SERVER,
            _attributes(ended),
            start_time=trail.wall_ns(ended.began),
        )
        if span.is_recording():
            within = trace.set_span_in_context(span)
            for step in trail.steps:
                self._step(step, trail, within)
            if ended.status >= 500:
                span.set_status(Status(StatusCode.ERROR))
        span.end(trail.wall_ns(ended.ended))
        identity = span.get_span_context()
        return format_trace_id(identity.trace_id) if identity.is_valid else None

    def _step(self, step: Step, trail: Trail, within: Context) -> None:
        attributes: dict[str, AttributeValue] = {} if step.predictor is None else {PREDICTOR: step.predictor}
        if step.photo is not None:
            attributes[PHOTO] = step.photo
        links: list[Link] = []
        if step.batch is not None and step.batch.size > 1:
            links = [Link(self._batch(step.batch, step, trail, within))]
        began, ended = trail.wall_ns(step.began), trail.wall_ns(step.ended)
        self._tracer.start_span(step.stage, within, attributes=attributes, links=links, start_time=began).end(ended)

    def _batch(self, batch: Batch, step: Step, trail: Trail, within: Context) -> SpanContext:
        if batch not in self._batches:
            attributes: dict[str, AttributeValue] = {PREDICTOR: step.predictor or "", "carlens.batch.size": batch.size}
            began = trail.wall_ns(batch.started)
            span = self._tracer.start_span("batch", within, attributes=attributes, start_time=began)
            span.end(trail.wall_ns(batch.ended))
            self._batches[batch] = span.get_span_context()
        return self._batches[batch]


def _attributes(ended: Ended) -> dict[str, str | int]:
    told: dict[str, str | int | None] = {
        "http.request.method": ended.method,
        "http.route": ended.route,
        "http.response.status_code": ended.status,
        "http.request.body.size": ended.trail.received_bytes,
        "http.response.body.size": ended.sent_bytes,
        "carlens.request_id": ended.request_id,
        "error.type": ended.code,
    }
    return {name: value for name, value in told.items() if value is not None}


def _exporter() -> SpanExporter | None:
    """What `OTEL_TRACES_EXPORTER` and the protocol of OTLP name, among the exporters that are installed."""
    name = os.environ.get("OTEL_TRACES_EXPORTER") or "otlp"
    if name == "none":
        return None
    if name == "otlp":
        generic = os.environ.get("OTEL_EXPORTER_OTLP_PROTOCOL") or "http/protobuf"
        protocol = os.environ.get("OTEL_EXPORTER_OTLP_TRACES_PROTOCOL") or generic
        name = PROTOCOLS.get(protocol, protocol)
    points = metadata.entry_points(group=EXPORTERS)
    if name not in points.names:
        raise ValueError(f"no exporter {name!r} of traces: installed are {', '.join(sorted(points.names))}, none")
    made = points[name].load()()
    if not isinstance(made, SpanExporter):
        raise ValueError(f"the exporter of traces {name!r} is none")
    return made
