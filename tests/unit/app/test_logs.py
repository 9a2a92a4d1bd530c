"""Lines of the log: an object each, or one for people; nobody outside writes a line of his own."""

import json
import logging
import sys
from typing import Any

import pytest

from app import logs
from app.lane import Batch
from app.settings import Settings
from app.trail import Ended, Trail


def record(message: str = "hello %s", *given: object, fields: dict[str, Any] | None = None) -> logging.LogRecord:
    made = logging.LogRecord("carlens.test", logging.WARNING, "file.py", 1, message, given, None)
    made.created = 1_795_000_000.25
    if fields is not None:
        made.fields = fields
    return made


def ended(**changes: Any) -> Ended:
    trail = Trail(received_bytes=1234)
    trail.add("decode", 1.0, 1.004)
    trail.add("device", 2.0, 2.1, "damage", Batch(1, 2.0, 2.1))
    given = {"request_id": "r-1", "method": "POST", "route": "/v1/damage", "status": 200, "code": None}
    return Ended(**{**given, "began": 1.0, "ended": 3.5, "sent_bytes": 99, "trail": trail, **changes})


def test_a_line_is_an_object_with_time_level_logger_and_message() -> None:
    line = json.loads(logs.JsonLines("worker 1").format(record("hello %s", "you")))
    assert line == {
        "time": "2026-11-18T11:06:40.250Z",
        "level": "warning",
        "logger": "carlens.test",
        "process": "worker 1",
        "message": "hello you",
    }


def test_a_line_for_people_has_the_same() -> None:
    line = logs.TextLines("worker 1").format(record("hello %s", "you", fields={"status": 200, "models": ["a", "b"]}))
    assert line == "2026-11-18T11:06:40.250Z worker 1 WARNING carlens.test: hello you status=200 models=a,b"


BREAKS = "a\nb\r\nc\x1b[31m\x0b\x0c\x85\u2028\u2029d\x00"


@pytest.mark.parametrize("form", [logs.JsonLines(), logs.TextLines()])
def test_a_record_is_one_line_whatever_is_in_it(form: logging.Formatter) -> None:
    for made in (record(BREAKS), record("%s", BREAKS), record("x", fields={"request_id": BREAKS, "more": {BREAKS: 1}})):
        line = form.format(made)
        assert len(line.splitlines()) == 1
        assert line.isprintable()


def test_an_exception_is_told_within_its_line_or_after_a_tab() -> None:
    made = record("it broke")
    try:
        raise ValueError("secret\n2026-11-18T00:00:00.000Z INFO carlens: all is well")
    except ValueError:
        made.exc_info = sys.exc_info()
    line = json.loads(logs.JsonLines().format(made))
    assert line["message"] == "it broke"
    assert line["exception"].startswith("Traceback")
    head, *rest = logs.TextLines().format(made).split("\n")
    assert head.endswith("it broke")
    assert len(rest) > 3
    assert all(line.startswith("\t") for line in rest)


def test_what_others_hang_on_a_record_is_not_told() -> None:
    made = record("x")
    made.color_message = "photo"
    made.fields = "photo"
    assert "photo" not in logs.JsonLines().format(made) + logs.TextLines().format(made)


def test_a_requests_fields() -> None:
    assert logs.fields(ended(), "abc") == {
        "request_id": "r-1",
        "method": "POST",
        "route": "/v1/damage",
        "status": 200,
        "duration_ms": 2500.0,
        "stages_ms": {"decode": 4.0, "damage.device": 100.0},
        "bytes_in": 1234,
        "bytes_out": 99,
        "models": ["damage"],
        "trace_id": "abc",
    }
    refused = logs.fields(ended(status=503, code="overloaded", trail=Trail(), sent_bytes=0), None)
    assert refused["code"] == "overloaded"
    assert refused["bytes_out"] == 0
    assert not {"stages_ms", "models", "bytes_in", "trace_id"} & set(refused)


class Tracer:
    def __init__(self) -> None:
        self.told: list[Ended] = []

    def tell(self, scope: object, ended: Ended) -> str:
        self.told.append(ended)
        return "of-the-trace"


@pytest.mark.parametrize("wanted", [True, False])
def test_requests_are_logged_where_that_is_wanted_and_traced_in_any_case(
    caplog: pytest.LogCaptureFixture, wanted: bool
) -> None:
    tracer = Tracer()
    with caplog.at_level(logging.INFO, "carlens.request"):
        logs.RequestLog(wanted, tracer)({}, ended())
    assert [one.route for one in tracer.told] == ["/v1/damage"]
    assert [one.getMessage() for one in caplog.records] == (["POST /v1/damage 200"] if wanted else [])
    assert all(getattr(one, "fields", {})["trace_id"] == "of-the-trace" for one in caplog.records)


def test_warnings_and_servers_lines_come_in_the_form_that_is_set(monkeypatch: pytest.MonkeyPatch) -> None:
    set_up: dict[str, Any] = {}
    monkeypatch.setattr(logging, "basicConfig", lambda **given: set_up.update(given))
    captured: list[bool] = []
    monkeypatch.setattr(logging, "captureWarnings", captured.append)
    logs.start(Settings(log_format="text", log_level="warning"))
    assert isinstance(set_up["handlers"][0].formatter, logs.TextLines)
    assert set_up["level"] == "WARNING"
    logs.start(Settings())
    assert isinstance(set_up["handlers"][0].formatter, logs.JsonLines)
    assert captured == [True, True]
