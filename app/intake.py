"""Takes the photo's bytes out of a request, in one of three forms, under limits that hold while the body arrives."""

import asyncio
import io
import math
import time
from collections.abc import Awaitable, Callable
from contextlib import aclosing
from dataclasses import dataclass
from typing import Any

from fastapi import FastAPI
from starlette.requests import Request

from app.errors import EmptyImage, InvalidOption, MalformedRequest, MissingImage, Problem, UnsupportedMediaType, shown
from app.forms import FIELD, FORM_OVERHEAD, PhotoForm, photo_from_json, too_large
from app.settings import Settings

MIN_DEADLINE_MS = 50
ACCEPTED = (
    f"Send the photo as multipart/form-data (field `{FIELD}`: curl -F {FIELD}=@car.jpg), as the raw body with an "
    'image/* or application/octet-stream Content-Type, or as application/json {"image": "<base64>"}.'
)
Take = Callable[[bytes], Awaitable[None] | None]
OFF_LOOP_BYTES = 64 * 1024
"""A JSON body over this is taken apart in a thread: base64 of 8 MiB holds the loop for some 30 ms."""


@dataclass(frozen=True, slots=True)
class Upload:
    """A photo as it came: its bytes, the milliseconds it took to arrive and to unpack, and when that began
    (`time.monotonic`, seconds)."""

    data: bytes
    receive_ms: float
    started: float


async def receive(request: Request, settings: Settings) -> Upload:
    """The request's photo, never empty and never over `settings.max_body_bytes`.

    Raises `MissingImage`, `EmptyImage`, `MalformedRequest`, `UnsupportedMediaType` or `BodyTooLarge`, each as soon as
    it is known, often before the body was read: uvicorn then sends the answer and throws the rest of the body away,
    so that a client still sending reads its answer instead of a reset connection. Starlette's `ClientDisconnect`
    where the client leaves.
    """
    started = time.monotonic()
    limit = settings.max_body_bytes
    refuse_encoding(request)
    declared = content_length(request)
    kind = media_type(request)
    if kind == "" and not declared and "transfer-encoding" not in request.headers:
        raise MissingImage(f"The request has no body. {ACCEPTED}")
    if kind == "multipart/form-data":
        data = await _read_form(request, settings, declared)
    elif kind == "application/json":
        # Base64 takes 4/3 of the photo; the rest is for line breaks and for characters written as \\u002B or \\/.
        raw = await _read(request, settings, declared, limit * 3 // 2 + 4096)
        large = len(raw) > OFF_LOOP_BYTES
        data = await asyncio.to_thread(photo_from_json, raw, limit) if large else photo_from_json(raw, limit)
    elif kind.startswith("image/") or kind == "application/octet-stream":
        data = await _read(request, settings, declared, limit)
    else:
        raise _unsupported(kind)
    return Upload(data, (time.monotonic() - started) * 1000, started)


def deadline(request: Request, default_ms: int, max_ms: int) -> float:
    """Seconds that the caller will wait, from `X-Deadline-Ms`. Raises `InvalidOption`."""
    sent = request.headers.get("x-deadline-ms")
    if sent is None:
        return default_ms / 1000
    text = sent.strip()
    # The length is looked at first: int() of many digits is slow, and of over 4300 an error.
    if text.isascii() and text.isdigit() and len(text) <= 12:
        milliseconds = int(text)
        if MIN_DEADLINE_MS <= milliseconds <= max_ms:
            return milliseconds / 1000
    raise InvalidOption(
        f"The header X-Deadline-Ms was given {shown(sent)}. Allowed is a whole number of milliseconds from "
        f"{MIN_DEADLINE_MS} to {max_ms}."
    )


PHOTO = {"type": "string", "format": "binary", "contentMediaType": "application/octet-stream"}
TEXT = {
    "type": "string",
    "minLength": 4,
    "description": "The photo's bytes as base64 (standard or URL-safe), or as a `data:` URL with base64.",
    "examples": ["data:image/jpeg;base64,/9j/4AAQSkZJRgABAQ…"],
}
BODIES: dict[str, dict[str, Any]] = {
    "PhotoForm": {
        "type": "object",
        "title": "PhotoForm",
        "description": "A photo as a form field.",
        "required": [FIELD],
        "properties": {FIELD: PHOTO},
        "additionalProperties": False,
    },
    "PhotoText": {
        "type": "object",
        "title": "PhotoText",
        "description": "A photo as text.",
        "required": ["image"],
        "properties": {"image": TEXT},
        "additionalProperties": False,
    },
}
"""The schemas that `request_body_openapi` refers to by name: one for all calls, so that clients have one type."""


def request_body_openapi() -> dict[str, Any]:
    """The `requestBody` of every call that takes a photo, in the words of OpenAPI 3.1."""
    return {
        "required": True,
        "description": "One photo, in any of these forms: JPEG, PNG, WebP, GIF, BMP, TIFF (first frame), AVIF or HEIC. "
        "The content decides the format, not the declared type.",
        "content": {
            "multipart/form-data": {"schema": {"$ref": "#/components/schemas/PhotoForm"}},
            "image/*": {"schema": PHOTO},
            "application/octet-stream": {"schema": PHOTO},
            "application/json": {"schema": {"$ref": "#/components/schemas/PhotoText"}},
        },
    }


def install(app: FastAPI) -> None:
    """Puts the schemas of `BODIES` into the OpenAPI document."""
    document = app.openapi

    def with_bodies() -> dict[str, Any]:
        found = document()
        found.setdefault("components", {}).setdefault("schemas", {}).update(BODIES)
        return found

    app.openapi = with_bodies  # type: ignore[method-assign]


def media_type(request: Request) -> str:
    return request.headers.get("content-type", "").partition(";")[0].strip().lower()


def _unsupported(kind: str) -> UnsupportedMediaType:
    given = f"The Content-Type {shown(kind)} is not accepted." if kind else "The body has no Content-Type."
    if kind == "application/x-www-form-urlencoded":
        given += " curl -d sends that one; instead of it: --data-binary @car.jpg -H 'Content-Type: image/jpeg'."
    return UnsupportedMediaType(f"{given} {ACCEPTED}")


def refuse_encoding(request: Request) -> None:
    encoding = request.headers.get("content-encoding", "").strip().lower()
    if encoding not in ("", "identity"):
        raise UnsupportedMediaType(
            f"The Content-Encoding {shown(encoding)} is not accepted. Send the photo as it is: its formats are "
            "compressed already."
        )


def content_length(request: Request) -> int | None:
    """Bytes that the client says it sends; None where it does not say."""
    sent = request.headers.get("content-length")
    if sent is None:
        return None
    if not (sent.isascii() and sent.isdigit() and len(sent) <= 18):
        raise MalformedRequest(f"The Content-Length {shown(sent)} is not a number of bytes.")
    return int(sent)


async def _read(request: Request, settings: Settings, declared: int | None, raw_limit: int) -> bytes:
    """The whole body, at most `raw_limit` bytes."""
    # One buffer that grows: a list of a million little chunks would take many times their bytes, and getvalue()
    # hands the buffer out without a copy.
    buffer = io.BytesIO()

    def take(chunk: bytes) -> None:
        buffer.write(chunk)

    most = settings.max_body_bytes
    await pour(request, settings.body_timeout_s, declared, lambda: too_large(most), raw_limit, take)
    data = buffer.getvalue()
    if not data:
        raise EmptyImage("The body is empty. Check the path of the photo that was sent.")
    return data


async def _read_form(request: Request, settings: Settings, declared: int | None) -> bytes:
    most = settings.max_body_bytes
    form = PhotoForm(request.headers["content-type"], most)
    patience_s, limit = settings.body_timeout_s, most + FORM_OVERHEAD
    received = await pour(request, patience_s, declared, lambda: too_large(most), limit, form.feed)
    if not received:
        raise EmptyImage(f"The body is empty. Send the photo as the form field `{FIELD}`: curl -F {FIELD}=@car.jpg")
    return form.close()


async def pour(
    request: Request, patience_s: float, declared: int | None, refusal: Callable[[], Problem], limit: int, take: Take
) -> int:
    """Hands the body's chunks to `take` as they come, and waits where it gives something to wait for; how many bytes
    they were, at most `limit`. Raises `refusal()` where there are more, `MalformedRequest` where none comes for
    `patience_s` seconds."""
    if declared is not None and declared > limit:
        raise refusal()
    now = asyncio.get_running_loop().time
    begun = now()
    received = 0
    try:
        async with asyncio.timeout(patience_s) as patience, aclosing(request.stream()) as stream:
            async for chunk in stream:
                received += len(chunk)
                if received > limit:
                    raise refusal()
                if (taking := take(chunk)) is not None:
                    patience.reschedule(None)  # that we are busy is no fault of the sender
                    await taking
                    begun = -math.inf
                if now() - begun > patience_s / 100:  # a timer for each of a million chunks would outweigh them
                    begun = now()
                    patience.reschedule(begun + patience_s)
    except TimeoutError as error:
        # There is no status of its own for this among our problems (408 asks clients to repeat what will stall
        # again); closing is what frees the connection, since nothing else ends a body that never does.
        raise MalformedRequest(
            f"The body stalled: no byte for {patience_s:g} s. Send all that its Content-Length announces.",
            headers={"Connection": "close"},
        ) from error
    return received
