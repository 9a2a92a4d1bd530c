"""The service's log: one line a record, as JSON or for people, into which nobody outside can write lines of his own."""

import json
import logging
import re
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any, Protocol

from starlette.types import Scope

from app.settings import LogFormat, Settings
from app.trail import Ended

CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029]")
"""What ends a line, or moves a terminal's cursor."""

requests = logging.getLogger("carlens.request")


class Tracer(Protocol):
    """`app.traces.Traces`, where traces are wanted."""

    def tell(self, scope: Scope, ended: Ended) -> str | None:
        """Traces the request; the trace's id."""


class RequestLog:
    """Tells of each request at its end: to the tracer, and in one line. Of the request's headers the line has the id
    alone, of its path the route's template, of the photo the size in bytes."""

    def __init__(self, wanted: bool, tracer: Tracer | None = None) -> None:
        self._wanted = wanted
        self._tracer = tracer

    def __call__(self, scope: Scope, ended: Ended) -> None:
        trace_id = self._tracer.tell(scope, ended) if self._tracer else None
        if self._wanted and requests.isEnabledFor(logging.INFO):
            message = f"{ended.method} {ended.route} {ended.status}"
            requests.info(message, extra={"fields": fields(ended, trace_id)})


def fields(ended: Ended, trace_id: str | None) -> dict[str, Any]:
    """What a request's line tells; what there is not is left out. Times in milliseconds."""
    told = {
        "request_id": ended.request_id,
        "method": ended.method,
        "route": ended.route,
        "status": ended.status,
        "code": ended.code,
        "duration_ms": round((ended.ended - ended.began) * 1000, 2),
        "stages_ms": ended.trail.milliseconds,
        "bytes_in": ended.trail.received_bytes,
        "bytes_out": ended.sent_bytes,
        "models": ended.trail.predictors,
        "photos": ended.trail.photos,
        "trace_id": trace_id,
    }
    return {name: value for name, value in told.items() if value not in (None, {}, [])}


class JsonLines(logging.Formatter):
    """An object a line; `who` tells the processes of one service apart."""

    def __init__(self, who: str = "") -> None:
        super().__init__()
        self._own = {"process": who} if who else {}

    def format(self, record: logging.LogRecord) -> str:
        line = {
            "time": _time(record),
            "level": record.levelname.lower(),
            "logger": record.name,
            **self._own,
            "message": record.getMessage(),
            **_fields(record),
        }
        if record.exc_info:
            line["exception"] = self.formatException(record.exc_info)
        return json.dumps(line, default=str)


class TextLines(logging.Formatter):
    """A line for people; the traceback of an exception follows it, each line of it after a tab."""

    def __init__(self, who: str = "") -> None:
        super().__init__()
        self._who = f"{who} " if who else ""

    def format(self, record: logging.LogRecord) -> str:
        more = "".join(f" {name}={_plain(value)}" for name, value in _fields(record).items())
        head = f"{_time(record)} {self._who}{record.levelname} {record.name}: "
        lines = [head + _escaped(record.getMessage() + more)]
        if record.exc_info:
            lines += [_escaped(line) for line in self.formatException(record.exc_info).splitlines()]
        return "\n\t".join(lines)


FORMS: Mapping[LogFormat, type[JsonLines] | type[TextLines]] = {"json": JsonLines, "text": TextLines}


def start(settings: Settings, who: str = "") -> None:
    """Everything that this process logs, warnings and uvicorn's lines among it, in one form on stderr."""
    handler = logging.StreamHandler()
    handler.setFormatter(FORMS[settings.log_format](who))
    logging.basicConfig(level=settings.log_level.upper(), handlers=[handler])
    logging.captureWarnings(True)
    logging.getLogger("PIL").setLevel(logging.INFO)  # below that it writes out EXIF: who took a photo, and where


def _fields(record: logging.LogRecord) -> dict[str, Any]:
    found = getattr(record, "fields", None)
    return found if isinstance(found, dict) else {}


def _time(record: logging.LogRecord) -> str:
    return datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _plain(value: object) -> str:
    if isinstance(value, dict):
        return ",".join(f"{name}:{one}" for name, one in value.items())
    return ",".join(map(str, value)) if isinstance(value, list) else str(value)


def _escaped(text: str) -> str:
    return CONTROL.sub(lambda found: found[0].encode("unicode_escape").decode(), text)
