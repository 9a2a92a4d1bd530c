"""A client that speaks ASGI by hand: bodies in any chunks, or none, or without end, and a client that leaves."""

import asyncio
import json
from collections.abc import AsyncIterator, Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from starlette.types import ASGIApp, Message, Scope


@dataclass
class Answer:
    """What came back; `status` is None where no response was begun. `taken` counts the messages the app received."""

    status: int | None = None
    headers: dict[str, str] = field(default_factory=dict)
    body: bytes = b""
    complete: bool = False
    taken: int = 0

    def json(self) -> Any:
        return json.loads(self.body, parse_constant=_no_constant)


def _no_constant(name: str) -> None:
    raise ValueError(f"{name} is not JSON")


def chunked(*chunks: bytes) -> list[Message]:
    """A whole body in these chunks."""
    last = len(chunks) - 1
    return [{"type": "http.request", "body": c, "more_body": n < last} for n, c in enumerate(chunks)]


def unfinished(*chunks: bytes) -> list[Message]:
    """The begin of a body; what comes after it is for ever awaited."""
    return [{"type": "http.request", "body": c, "more_body": True} for c in chunks]


LEAVES: Message = {"type": "http.disconnect"}


async def talk(
    app: ASGIApp,
    messages: Iterable[Message] | AsyncIterator[Message],
    headers: Mapping[str, str] | None = None,
    *,
    path: str = "/photo",
    method: str = "POST",
    query: str = "",
    extensions: Mapping[str, object] | None = None,
    heard: Callable[[Message], None] = lambda message: None,
) -> Answer:
    """One request. Header names and values go as latin-1; nothing is added, not even a Content-Length. `heard` is told
    of every message that comes back, when it comes."""
    answer = Answer()
    supply = _supply(messages)

    async def receive() -> Message:
        async for message in supply:
            answer.taken += 1
            return message
        await asyncio.Event().wait()
        raise AssertionError

    async def send(message: Message) -> None:
        if message["type"] == "http.response.start":
            answer.status = message["status"]
            answer.headers = {n.decode("latin-1").lower(): v.decode("latin-1") for n, v in message["headers"]}
        else:
            answer.body += message.get("body", b"")
            answer.complete = not message.get("more_body", False)
        heard(message)

    scope: Scope = {
        "type": "http",
        "asgi": {"version": "3.0"},
        "http_version": "1.1",
        "method": method,
        "scheme": "http",
        "path": path,
        "raw_path": path.encode(),
        "root_path": "",
        "query_string": query.encode(),
        "headers": [(n.lower().encode("latin-1"), v.encode("latin-1")) for n, v in (headers or {}).items()],
        "client": ("127.0.0.1", 50000),
        "server": ("127.0.0.1", 8000),
        "extensions": dict(extensions or {}),
    }
    await app(scope, receive, send)
    return answer


async def _supply(messages: Iterable[Message] | AsyncIterator[Message]) -> AsyncIterator[Message]:
    if isinstance(messages, AsyncIterator):
        async for message in messages:
            yield message
    else:
        for message in messages:
            yield message


def form_body(*parts: tuple[str, bytes], boundary: str = "carBOUNDARY") -> bytes:
    """A multipart body of (Content-Disposition parameters, data) parts."""
    told = b"".join(
        f"--{boundary}\r\nContent-Disposition: form-data; {disposition}\r\n\r\n".encode() + data + b"\r\n"
        for disposition, data in parts
    )
    return told + f"--{boundary}--\r\n".encode()


FORM = {"content-type": "multipart/form-data; boundary=carBOUNDARY"}
FILE = 'name="file"; filename="car.jpg"'
