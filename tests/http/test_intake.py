"""Photos over HTTP in their three forms, and every body that a hostile, hasty or broken client sends."""

import asyncio
import base64
import hashlib
import http.client
import json
import logging
import threading
import tracemalloc
from collections.abc import AsyncIterator, Iterator, Mapping
from typing import Any

import httpx
import pytest
import uvicorn
from fastapi import FastAPI, Request
from starlette.types import Message

from app import errors, forms, intake
from app.settings import Settings
from tests.asgi import FILE, FORM, LEAVES, Answer, chunked, form_body, talk, unfinished

PHOTO = bytes(range(256)) * 40
LIMIT = 16 * 1024
JPEG = {"content-type": "image/jpeg"}
JSON = {"content-type": "application/json"}
BASE64 = base64.b64encode(PHOTO).decode()


def gateway(**changes: Any) -> FastAPI:
    """One call that tells what came in."""
    settings = Settings(**({"max_body_bytes": LIMIT} | changes))
    app = FastAPI()
    errors.install(app)

    @app.post("/photo")
    async def photo(request: Request) -> dict[str, object]:
        upload = await intake.receive(request, settings)
        assert isinstance(upload.data, bytes)
        return {"sha": hashlib.sha256(upload.data).hexdigest(), "ms": upload.receive_ms, "started": upload.started}

    return app


def sha(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def post(*chunks: bytes, headers: Mapping[str, str] | None = None, app: FastAPI | None = None) -> Answer:
    """The chunks as a body without a Content-Length."""
    head = {"transfer-encoding": "chunked", **(headers or {})}
    return asyncio.run(talk(app or gateway(), chunked(*chunks) if chunks else chunked(b""), head))


def refused(answer: Answer, status: int, code: str, *said: str) -> None:
    assert answer.headers["content-type"] == "application/problem+json"
    problem = answer.json()
    assert (answer.status, problem["status"], problem["code"]) == (status, status, code), problem
    for words in said:
        assert words in problem["detail"]


def with_httpx(**request: Any) -> httpx.Response:
    async def ask() -> httpx.Response:
        transport = httpx.ASGITransport(app=gateway())
        async with httpx.AsyncClient(transport=transport, base_url="http://carlens") as client:
            return await client.post("/photo", **request)

    return asyncio.run(ask())


@pytest.mark.parametrize(
    "request_",
    [
        {"files": {"file": ("car.jpg", PHOTO, "image/jpeg")}},
        {"files": {"file": PHOTO}},
        {"content": PHOTO, "headers": JPEG},
        {"content": PHOTO, "headers": {"content-type": "image/*"}},
        {"content": PHOTO, "headers": {"content-type": "IMAGE/x-unheard-of; quality=1"}},
        {"content": PHOTO, "headers": {"content-type": "application/octet-stream"}},
        {"content": PHOTO, "headers": JPEG | {"content-encoding": "identity"}},
        {"json": {"image": BASE64}},
        {"json": {"image": f"data:image/jpeg;base64,{BASE64}"}},
        {"content": json.dumps({"image": BASE64}), "headers": {"content-type": "application/json; charset=utf-8"}},
    ],
)
def test_one_photo_in_every_form(request_: dict[str, Any]) -> None:
    response = with_httpx(**request_)
    assert response.status_code == 200, response.text
    assert response.json()["sha"] == sha(PHOTO)


def test_the_upload_says_how_long_it_took() -> None:
    answer = post(PHOTO, headers=JPEG).json()
    assert answer["ms"] >= 0
    assert answer["started"] > 0


@pytest.mark.parametrize("size", [1, 1000, intake.OFF_LOOP_BYTES])
def test_json_small_and_large_gives_the_same(size: int, monkeypatch: pytest.MonkeyPatch) -> None:
    threads: list[bool] = []

    def parse(raw: bytes, limit: int) -> bytes:
        threads.append(threading.current_thread() is threading.main_thread())
        return forms.photo_from_json(raw, limit)

    monkeypatch.setattr(intake, "photo_from_json", parse)
    body = json.dumps({"image": base64.b64encode(b"x" * size).decode()}).encode()
    answer = post(body, headers=JSON, app=gateway(max_body_bytes=10 * intake.OFF_LOOP_BYTES))
    assert answer.json()["sha"] == sha(b"x" * size)
    assert threads == [size < intake.OFF_LOOP_BYTES], "large JSON is parsed off the loop, small on it"


@pytest.mark.parametrize("length", [None, 0])
def test_no_body_at_all(length: int | None) -> None:
    headers = {} if length is None else {"content-length": str(length)}
    answer = asyncio.run(talk(gateway(), chunked(b""), headers))
    refused(answer, 400, "missing_image", "no body", "-F file=@car.jpg")


@pytest.mark.parametrize("headers", [JPEG, JSON, FORM, {"content-type": "application/octet-stream"}])
@pytest.mark.parametrize("chunks", [(b"",), (b"", b"", b"")])
def test_an_empty_body(headers: dict[str, str], chunks: tuple[bytes, ...]) -> None:
    refused(post(*chunks, headers=headers), 400, "empty_image", "empty")


@pytest.mark.parametrize(
    ("body", "headers", "code", "said"),
    [
        (form_body((FILE, PHOTO), (FILE, PHOTO)), FORM, "malformed_request", "twice"),
        (form_body(('name="image"; filename="car.jpg"', PHOTO)), FORM, "missing_image", "`file`, found was 'image'"),
        (form_body(('name="top_k"', b"3"), (FILE, PHOTO)), FORM, "malformed_request", "query parameters"),
        (form_body((FILE, b"")), FORM, "empty_image", "no bytes"),
        (form_body(), FORM, "missing_image", "-F file=@car.jpg"),
        (form_body((FILE, PHOTO))[:-20], FORM, "malformed_request", "whole body"),
        (PHOTO, FORM, "malformed_request", "multipart"),
        (PHOTO, {"content-type": "multipart/form-data"}, "malformed_request", "boundary"),
        (PHOTO, JSON, "malformed_request", "not the JSON of one photo"),
        (b"\xff\xd8\xff", JSON, "malformed_request", "not valid JSON"),
        (b'{"image": NaN}', JSON, "malformed_request", "not valid JSON"),
        (b'{"image": 3}', JSON, "malformed_request", "not a string"),
        (b'{"photo": "AAAA"}', JSON, "malformed_request", "'photo'"),
        (b"[" * 16_000, JSON, "malformed_request", "not the JSON of one photo"),
        (b"{}", JSON, "missing_image", "`image`"),
    ],
)
def test_bodies_that_hold_no_photo(body: bytes, headers: dict[str, str], code: str, said: str) -> None:
    refused(post(body, headers=headers), 400, code, said)


def test_half_a_surrogate_pair_can_be_quoted_back() -> None:
    refused(post(b'{"\\ud800": 1}', headers=JSON), 400, "malformed_request", "ud800")


async def forbidden() -> AsyncIterator[Message]:
    raise AssertionError("the body was read")
    yield LEAVES


def unread(headers: dict[str, str], **changes: Any) -> Answer:
    return asyncio.run(talk(gateway(**changes), forbidden(), headers))


@pytest.mark.parametrize(
    "kind",
    [
        "text/plain",
        "application/x-www-form-urlencoded",
        "multipart/mixed; boundary=x",
        "application/jsonp",
        "application/pdf",
        "video/mp4",
        "images/jpeg",
        "; charset=utf-8",
        "\xff\xfe/\x01",
    ],
)
def test_types_that_are_none_of_the_three_forms(kind: str) -> None:
    answer = unread({"content-type": kind, "content-length": "10"})
    refused(answer, 415, "unsupported_media_type", "multipart/form-data", "image/*", "application/json")


def test_a_body_of_no_type() -> None:
    refused(unread({"content-length": "10"}), 415, "unsupported_media_type", "no Content-Type", "octet-stream")
    refused(unread({"transfer-encoding": "chunked"}), 415, "unsupported_media_type", "no Content-Type")


def test_curls_default_type_gets_the_way_out() -> None:
    answer = unread({"content-type": "application/x-www-form-urlencoded", "content-length": "7"})
    refused(
        answer, 415, "unsupported_media_type", "-F file=@car.jpg", "--data-binary @car.jpg -H 'Content-Type: image/"
    )


@pytest.mark.parametrize("encoding", ["gzip", "deflate", "br", "zstd", "identity, gzip", "GZIP", "nonsense"])
@pytest.mark.parametrize("kind", [JPEG, JSON, FORM])
def test_no_body_is_inflated(encoding: str, kind: dict[str, str]) -> None:
    answer = unread({**kind, "content-encoding": encoding})
    refused(answer, 415, "unsupported_media_type", f"Content-Encoding '{encoding.lower()}'")


# Size


FORMS: list[tuple[dict[str, str], int]] = [
    (JPEG, LIMIT),
    (FORM, LIMIT + forms.FORM_OVERHEAD),
    (JSON, LIMIT * 3 // 2 + 4096),
]


@pytest.mark.parametrize(("headers", "most"), FORMS)
def test_a_length_over_the_limit_is_refused_unread(headers: dict[str, str], most: int) -> None:
    for length in (most + 1, 10**17):
        refused(unread({**headers, "content-length": str(length)}), 413, "body_too_large", f"more than {LIMIT} bytes")


@pytest.mark.parametrize("length", ["-1", "abc", "1e3", "0x10", "1_000", "", "\uff19", "9" * 5000])
def test_a_length_that_is_none(length: str) -> None:
    message = {**JPEG, "content-length": length.encode().decode("latin-1")}
    refused(unread(message), 400, "malformed_request", "Content-Length")


def bodies(photo: bytes) -> list[tuple[bytes, dict[str, str]]]:
    told = json.dumps({"image": base64.encodebytes(photo).decode()}).encode()
    return [(photo, JPEG), (form_body((FILE, photo)), FORM), (told, JSON)]


@pytest.mark.parametrize("form", [0, 1, 2])
@pytest.mark.parametrize("told", [None, 5, "right"])
def test_the_limit_is_the_photos_in_every_form(form: int, told: int | str | None) -> None:
    for photo, status in ((b"x" * LIMIT, 200), (b"x" * (LIMIT + 1), 413)):
        body, headers = bodies(photo)[form]
        if told is not None:
            headers = headers | {"content-length": str(len(body) if told == "right" else told)}
        answer = post(*(body[at : at + 1000] for at in range(0, len(body), 1000)), headers=headers)
        assert answer.status == status, answer.body
        if status == 413:
            refused(answer, 413, "body_too_large")


async def endless(first: bytes, chunk: bytes) -> AsyncIterator[Message]:
    yield {"type": "http.request", "body": first, "more_body": True}
    while True:
        yield {"type": "http.request", "body": chunk, "more_body": True}


BEGUN = b"--carBOUNDARY\r\nContent-Disposition: form-data; " + FILE.encode() + b"\r\n\r\n"


@pytest.mark.parametrize(
    ("headers", "first", "chunk", "most"),
    [
        (JPEG, b"", b"x" * 1024, LIMIT),
        (JSON, b'{"image": "', b"x" * 1024, LIMIT * 3 // 2 + 4096),
        (FORM, BEGUN, b"x" * 1024, LIMIT),
        (FORM, b"", b"\r\n" * 512, LIMIT + forms.FORM_OVERHEAD),  # before the first part
        (FORM, form_body((FILE, PHOTO)), b"x" * 1024, LIMIT + forms.FORM_OVERHEAD),  # after the last
    ],
)
def test_an_endless_body_is_cut(headers: dict[str, str], first: bytes, chunk: bytes, most: int) -> None:
    answer = asyncio.run(talk(gateway(), endless(first, chunk), {**headers, "transfer-encoding": "chunked"}))
    refused(answer, 413, "body_too_large")
    assert answer.taken <= most // 1024 + 3


def test_a_storm_of_tiny_chunks_takes_little_memory() -> None:
    size = 100_000

    async def storm() -> AsyncIterator[Message]:
        for n in range(size // 2):
            yield {"type": "http.request", "body": n.to_bytes(2, "big"), "more_body": n < size // 2 - 1}

    async def measured(app: FastAPI) -> tuple[Answer, int]:
        await talk(app, chunked(b"x"), JPEG)  # what is built once, is built now
        tracemalloc.start()
        try:
            return await talk(app, storm(), JPEG), tracemalloc.get_traced_memory()[1]
        finally:
            tracemalloc.stop()

    answer, peak = asyncio.run(measured(gateway(max_body_bytes=size)))
    assert answer.json()["sha"] == sha(b"".join(n.to_bytes(2, "big") for n in range(size // 2)))
    assert peak < 5 * size, "a list of the chunks takes some twenty times their bytes"


def test_a_form_in_single_bytes() -> None:
    body = form_body((FILE, PHOTO))
    assert post(*(body[n : n + 1] for n in range(len(body))), headers=FORM).json()["sha"] == sha(PHOTO)


# Clients that stall, and clients that leave


@pytest.mark.parametrize("headers", [JPEG, JSON, FORM])
@pytest.mark.parametrize("begun", [(), (BEGUN[:20],)])
def test_a_stalled_body_is_refused_and_the_connection_closed(headers: dict[str, str], begun: tuple[bytes, ...]) -> None:
    answer = asyncio.run(talk(gateway(body_timeout_s=0.01), unfinished(*begun), headers))
    refused(answer, 400, "malformed_request", "stalled", "0.01 s")
    assert answer.headers["connection"] == "close"


@pytest.mark.parametrize(("pause", "status"), [(15.0, 200), (25.0, 400)])
def test_patience_begins_anew_with_every_chunk(pause: float, status: int) -> None:
    """The loop's clock is ours: each chunk comes `pause` seconds after the one before, patience is 20 s."""

    async def ask() -> Answer:
        loop = asyncio.get_running_loop()
        real, passed = loop.time, 0.0

        async def slow() -> AsyncIterator[Message]:
            nonlocal passed
            for n in range(5):
                passed += pause
                await asyncio.sleep(0)
                await asyncio.sleep(0)
                yield {"type": "http.request", "body": b"x", "more_body": n < 4}

        loop.time = lambda: real() + passed  # type: ignore[method-assign]
        return await talk(gateway(body_timeout_s=20), slow(), JPEG)

    assert asyncio.run(ask()).status == status


@pytest.mark.parametrize("headers", [JPEG, JSON, FORM])
@pytest.mark.parametrize("begun", [(), (BEGUN,), (BEGUN, b"x" * 100)])
def test_a_client_that_leaves_gets_nothing_and_is_no_error(
    headers: dict[str, str], begun: tuple[bytes, ...], caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG, logger="carlens")
    answer = asyncio.run(talk(gateway(), [*unfinished(*begun), LEAVES], headers))
    assert (answer.status, answer.body) == (None, b"")
    assert not [record for record in caplog.records if record.name.startswith("carlens")]


@pytest.fixture(scope="module")
def port() -> Iterator[int]:
    """The same gateway behind a real server."""
    server = uvicorn.Server(uvicorn.Config(gateway(), port=0, log_level="error", lifespan="off"))
    listener = server.config.bind_socket()
    listener.listen()  # so that a client may knock before the server is up
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]})
    thread.start()
    yield listener.getsockname()[1]
    server.should_exit = True
    thread.join()
    listener.close()


@pytest.mark.parametrize("kind", ["image/jpeg", "text/plain", "multipart/form-data"])
def test_a_refusal_reaches_a_client_that_sends_everything_first(port: int, kind: str) -> None:
    client = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
    for _ in range(2):
        client.request("POST", "/photo", b"x" * 8_000_000, {"content-type": kind})
        response = client.getresponse()
        assert response.status == {"image/jpeg": 413, "text/plain": 415, "multipart/form-data": 400}[kind]
        assert json.loads(response.read())["status"] == response.status
    client.request("POST", "/photo", PHOTO, JPEG)
    assert json.loads(client.getresponse().read())["sha"] == sha(PHOTO), "the connection is of use after a refusal"
    client.close()


# X-Deadline-Ms


def ask_deadline(value: str | None) -> float:
    headers = [] if value is None else [(b"x-deadline-ms", value.encode("latin-1"))]
    return intake.deadline(Request({"type": "http", "headers": headers}), 5_000, 30_000)


@pytest.mark.parametrize(
    ("value", "seconds"), [(None, 5.0), ("50", 0.05), ("1500", 1.5), ("30000", 30.0), (" 200 ", 0.2), ("0200", 0.2)]
)
def test_deadlines(value: str | None, seconds: float) -> None:
    assert ask_deadline(value) == seconds


@pytest.mark.parametrize(
    "value",
    [
        "49",
        "30001",
        "0",
        "-100",
        "",
        " ",
        "abc",
        "1e3",
        "100.5",
        "NaN",
        "inf",
        "1_000",
        "+100",
        "\xb2\xb2\xb2",
        "9" * 9999,
    ],
)
def test_deadlines_that_are_none(value: str) -> None:
    with pytest.raises(errors.InvalidOption) as caught:
        ask_deadline(value)
    assert "X-Deadline-Ms" in caught.value.detail
    assert "50 to 30000" in caught.value.detail
    assert len(caught.value.detail) < 300


# OpenAPI


def test_the_declared_body_is_the_one_that_is_read() -> None:
    body = intake.request_body_openapi()
    assert body["required"] is True
    assert list(body["content"]) == ["multipart/form-data", "image/*", "application/octet-stream", "application/json"]
    names = [body["content"][kind]["schema"]["$ref"].rpartition("/")[2] for kind in (list(body["content"])[::3])]
    form, told = (intake.BODIES[name] for name in names)
    assert form["required"] == list(form["properties"]) == ["file"]
    assert told["required"] == list(told["properties"]) == ["image"]
    assert not form["additionalProperties"]
    assert not told["additionalProperties"]
    for kind in body["content"]:
        content = form_body((FILE, PHOTO)) if kind.startswith("multipart") else PHOTO
        content = json.dumps({"image": BASE64}).encode() if kind.endswith("json") else content
        sent = FORM["content-type"] if kind.startswith("multipart") else kind
        assert post(content, headers={"content-type": sent}).status == 200
