"""What an operator watches, as Prometheus text: requests, the stages a photo goes through, and what was refused."""

import platform
from collections.abc import Callable, Iterable, Mapping
from functools import partial
from importlib import metadata
from typing import Final, Literal, get_args

from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, Counter, Gauge, Histogram, Info, ProcessCollector
from prometheus_client.exposition import generate_latest

Reason = Literal["full", "deadline", "disconnect", "bad_input", "backend", "stopping"]
Refusal = Reason | Literal["auth", "rate"]
Stage = Literal["receive", "decode", "prepare", "queue", "device", "finish"]

SECONDS: Final = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0)
SIZES: Final = (1, 2, 4, 8, 16, 32, 64)
METHODS: Final = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})

REASONS: Final[Mapping[str, Refusal | None]] = {
    "missing_image": "bad_input",
    "empty_image": "bad_input",
    "malformed_request": "bad_input",
    "too_many_photos": "bad_input",
    "body_too_large": "bad_input",
    "image_too_large": "bad_input",
    "unsupported_media_type": "bad_input",
    "undecodable_image": "bad_input",
    "invalid_option": "bad_input",
    "unauthenticated": "auth",
    "forbidden": "auth",
    "rate_limited": "rate",
    "overloaded": "full",
    "prediction_failed": "backend",
    "load_failed": "backend",
    "not_ready": "backend",
    "shutting_down": "stopping",
    "deadline_exceeded": "deadline",
    "client_gone": "disconnect",
    "not_found": None,
    "unknown_model": None,
    "method_not_allowed": None,
}
"""Why a whole request was refused, by its problem's code; None where nothing was asked that there is."""

STAGES: Final[dict[Stage, str]] = {
    "receive": "Seconds from the start of a request to the last byte of its photo.",
    "decode": "Seconds to turn a photo's bytes into pixels, without the wait for a free decoder.",
    "prepare": "Seconds to turn pixels into a predictor's arrays.",
    "queue": "Seconds an item waited for its device.",
    "device": "Seconds one batch took on its device.",
    "finish": "Seconds to turn a predictor's arrays into its answer.",
}


def known_method(method: str) -> str:
    """The method, or `other` for one that a caller made up."""
    return method if method in METHODS else "other"


class Metrics:
    """The figures of one gateway, in a registry of its own, so that two gateways in a process do not mix.

    Serves the batcher as its observer. Labels are bounded: route templates, known methods, predictors' names and the
    reasons of `Reason`; nothing that a caller writes becomes one. All times are seconds. Safe to call from any thread.
    """

    content_type: Final = CONTENT_TYPE_LATEST

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        ProcessCollector(registry=self.registry)
        self._requests = Counter(
            "carlens_http_requests",
            "Requests by route, method and status; 499 where the client left before the answer.",
            ("route", "method", "status"),
            registry=self.registry,
        )
        self._in_flight = Gauge("carlens_http_in_flight", "Requests being worked on.", registry=self.registry)
        self._refused = Counter(
            "carlens_http_rejected",
            "Requests that were answered with a problem, or left by their client, by the reason why.",
            ("route", "reason"),
            registry=self.registry,
        )
        self._latency = self._histogram("http_request", "Seconds from a request to the end of its answer.", "route")
        self._stages = {
            stage: self._histogram(stage, text, *(() if stage in ("receive", "decode") else ("predictor",)))
            for stage, text in STAGES.items()
        }
        self._batch_size = Histogram(
            "carlens_batch_size",
            "Items in one batch, without its padding.",
            ("predictor",),
            buckets=SIZES,
            registry=self.registry,
        )
        self._padding = Counter(
            "carlens_padding", "Rows computed only to fill a batch.", ("predictor",), registry=self.registry
        )
        self._depth = Gauge(
            "carlens_queue_depth", "Items waiting for the device.", ("predictor",), registry=self.registry
        )
        self._limit = Gauge(
            "carlens_queue_limit", "Items that may wait for the device.", ("predictor",), registry=self.registry
        )
        self._ready = Gauge(
            "carlens_predictor_ready",
            "1 where the predictor is loaded and warmed; of several workers, how many have it so.",
            ("predictor",),
            registry=self.registry,
        )
        self._located = Counter(
            "carlens_located",
            "Photos in which this predictor looked for what others read: `found`, `none` or `failed`.",
            ("predictor", "outcome"),
            registry=self.registry,
        )
        self._rejected = Counter(
            "carlens_rejected",
            "Items refused or dropped, by the reason why.",
            ("predictor", "reason"),
            registry=self.registry,
        )

    def _histogram(self, name: str, text: str, *labels: str) -> Histogram:
        return Histogram(f"carlens_{name}_seconds", text, labels, buckets=SECONDS, registry=self.registry)

    def serves(self, predictors: Iterable[str], device: str, queue_limit: int, ready: Callable[[str], bool]) -> None:
        """At start: what runs here, and a line for each predictor from the first scrape on, so that what was never
        refused, or never waited, reads as 0."""
        build = Info("carlens_build", "What runs: versions, and the kind of device.", registry=self.registry)
        version, python = metadata.version("carlens"), platform.python_version()
        build.info({"version": version, "python": python, "device": device.partition(":")[0]})
        for name in predictors:
            self._depth.labels(name).set(0)
            self._stages["queue"].labels(name)
            self._limit.labels(name).set(queue_limit)
            self._ready.labels(name).set_function(partial(ready, name))
            for reason in get_args(Reason):
                self._rejected.labels(name, reason)

    def request_started(self) -> None:
        self._in_flight.inc()

    def request_finished(self, route: str, method: str, status: int, seconds: float) -> None:
        """Once for every `request_started`, however the request ended."""
        self._in_flight.dec()
        self._requests.labels(route, known_method(method), str(status)).inc()
        self._latency.labels(route).observe(seconds)

    def refused(self, route: str, code: str, reason: Reason | None = None) -> None:
        """A request that was not answered as it asked; `reason` where the problem's code leaves it open."""
        if counted := reason or REASONS.get(code, "backend"):
            self._refused.labels(route, counted).inc()

    def stage(self, stage: Stage, seconds: float, predictor: str | None = None) -> None:
        """One pass through a stage. `receive` and `decode` belong to the photo, the others need a predictor."""
        histogram = self._stages[stage]
        if stage in ("receive", "decode"):
            histogram.observe(seconds)
        elif predictor is None:
            raise ValueError(f"stage {stage} needs a predictor")
        else:
            histogram.labels(predictor).observe(seconds)

    def rejected(self, predictor: str, reason: Reason) -> None:
        self._rejected.labels(predictor, reason).inc()

    def located(self, predictor: str, outcome: Literal["found", "none", "failed"]) -> None:
        """Once a photo in which `predictor` looked for the regions that others read."""
        self._located.labels(predictor, outcome).inc()

    def batch(self, name: str, size: int, padded: int, seconds: float) -> None:
        """The batcher's observer: one batch of `size` items was run as `padded` rows."""
        self.stage("device", seconds, name)
        self._batch_size.labels(name).observe(size)
        self._padding.labels(name).inc(max(0, padded - size))

    def dropped(self, name: str, reason: str) -> None:
        """The batcher's observer: an item was refused or dropped. A reason it does not know counts as `backend`."""
        self._rejected.labels(name, reason if reason in get_args(Reason) else "backend").inc()

    def depth(self, name: str, n: int) -> None:
        """The batcher's observer: `n` items wait for the device."""
        self._depth.labels(name).set(n)

    def text(self) -> bytes:
        """Everything in Prometheus's text format, of `content_type`."""
        return generate_latest(self.registry)
