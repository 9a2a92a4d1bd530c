"""Bodies that are too large, too many, too deep, or not what they say: refused, and the memory stays flat."""

import base64
import json
import socket
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from tests.faults.control import PATIENCE_S
from tests.faults.crowd import grey
from tests.faults.process import Service, until
from tests.gateway import problem

MIB = 2**20
PHOTO = grey(88)
ALLOWED = 32 * MIB
"""Bytes of a photo that the service allows."""


@contextmanager
def flat(service: Service, allowed: float) -> Iterator[None]:
    """At no moment does the service take so many MiB more than before."""
    assert service.post(PHOTO).status_code == 200
    service.forget_peak()
    before = service.memory()
    yield
    grown = service.memory("VmHWM") - before
    assert grown < allowed, f"{grown:.0f} MiB more than before"
    assert service.post(PHOTO).json()["result"]["mean"] == 88


def request(head: str, *body: bytes, path: str = "/v1/probe") -> bytes:
    return f"POST {path} HTTP/1.1\r\nHost: x\r\n{head}\r\n\r\n".encode() + b"".join(body)


def answer(client: socket.socket) -> tuple[int, str]:
    """Status and code of the problem that comes back, whether all was taken of what was sent or not."""
    client.settimeout(PATIENCE_S)
    received = b""
    while b"\r\n\r\n" not in received:
        chunk = client.recv(65536)
        assert chunk, f"closed after {received!r}"
        received += chunk
    head, _, body = received.partition(b"\r\n\r\n")
    length = int(head.lower().split(b"content-length: ")[1].split(b"\r\n")[0])
    while len(body) < length:
        body += client.recv(65536)
    assert b"application/problem+json" in head
    return int(head.split()[1]), json.loads(body)["code"]


def chunked(sizes: Iterator[int]) -> Iterator[bytes]:
    for size in sizes:
        yield b"%x\r\n%s\r\n" % (size, bytes(size))


def pour(client: socket.socket, parts: Iterator[bytes]) -> None:
    """Sends until all is out or the other side has hung up."""
    try:
        for part in parts:
            client.sendall(part)
    except (BrokenPipeError, ConnectionResetError):
        pass


def test_a_body_that_says_it_is_too_large_is_refused_unread(service: Service) -> None:
    with flat(service, 20):
        for kind in ("image/jpeg", "application/json", "multipart/form-data; boundary=b"):
            with service.connect() as client:
                client.sendall(request(f"Content-Type: {kind}\r\nContent-Length: {60 * MIB}"))
                assert answer(client) == (413, "body_too_large")


@pytest.mark.parametrize("kind", ["image/jpeg", "application/json", "multipart/form-data; boundary=b"])
def test_a_body_that_turns_out_too_large_is_cut(service: Service, kind: str) -> None:
    """60 MiB in chunks, of no length that was told before. JSON may be 1.5 times a photo, for base64."""
    begun = b'--b\r\nContent-Disposition: form-data; name="file"; filename="x"\r\n\r\n' if "form" in kind else b""
    with flat(service, 150), service.connect() as client:
        client.sendall(request(f"Content-Type: {kind}\r\nTransfer-Encoding: chunked"))
        if begun:
            client.sendall(b"%x\r\n%s\r\n" % (len(begun), begun))
        pour(client, chunked(MIB for _ in range(60)))
        assert answer(client) == (413, "body_too_large")


@pytest.mark.parametrize("encoding", ["gzip", "deflate", "br", "zstd", "gzip, identity"])
def test_nothing_is_inflated(service: Service, encoding: str) -> None:
    """Not even looked at: the body here is a photo as it is."""
    response = service.post(PHOTO, headers={"Content-Encoding": encoding})
    assert problem(response) == (415, "unsupported_media_type")
    assert service.control.computed == []


def test_a_million_tiny_chunks_cost_no_more_than_their_bytes(service: Service) -> None:
    with flat(service, 40), service.connect() as client:
        client.sendall(request("Content-Type: image/png\r\nTransfer-Encoding: chunked"))
        for _ in range(1000):
            client.sendall(b"1\r\nx\r\n" * 1000)
        client.sendall(b"0\r\n\r\n")
        assert answer(client) == (415, "unsupported_media_type")


def test_a_chunk_whose_size_line_never_ends_is_refused(service: Service) -> None:
    with flat(service, 20), service.connect() as client:
        client.sendall(request("Content-Type: image/png\r\nTransfer-Encoding: chunked") + b"1;")
        pour(client, (b"x" * 4096 for _ in range(25_000)))
        assert answer(client) == (400, "malformed_request")


@pytest.mark.parametrize(
    ("head", "body", "told"),
    [
        ("Content-Type: image/png", b"", (400, "empty_image")),
        ("X: y", b"", (400, "missing_image")),
        ("Content-Type: image/png\r\nContent-Length: 0", b"", (400, "empty_image")),
        ("Content-Type: image/png\r\nContent-Length: -1", PHOTO, (400, "malformed_request")),
        ("Content-Type: image/png\r\nContent-Length: 1e3", PHOTO, (400, "malformed_request")),
        ("Content-Type: image/png\r\nContent-Length: 99999999999999999999", PHOTO, (400, "malformed_request")),
        ("Content-Type: image/png\r\nContent-Length: 5\r\nContent-Length: 6", PHOTO, (400, "malformed_request")),
        ("Content-Type: image/png\r\nContent-Length: 40", PHOTO[:40], (422, "undecodable_image")),
    ],
)
def test_lengths_that_are_missing_or_wrong(service: Service, head: str, body: bytes, told: tuple[int, str]) -> None:
    with service.connect() as client:
        client.sendall(request(head, body))
        assert answer(client) == told


def test_a_client_that_leaves_before_its_length_is_no_error(service: Service) -> None:
    def left() -> float:
        return service.metric("carlens_http_requests_total", 'status="499"')

    before = left()
    with service.connect() as client:
        client.sendall(request(f"Content-Type: image/png\r\nContent-Length: {len(PHOTO) + 1}", PHOTO))
    until(lambda: left() == before + 1, "it is counted as one that left")


def part(name: str, data: bytes, more: str = "") -> bytes:
    return f'--b\r\nContent-Disposition: form-data; name="{name}"; filename="x"\r\n{more}\r\n'.encode() + data + b"\r\n"


@pytest.mark.parametrize(
    ("body", "told"),
    [
        (b"".join(part("file", b"") for _ in range(5000)) + b"--b--\r\n", (400, "malformed_request")),
        (b"".join(part(f"f{n}", b"x") for n in range(5000)) + b"--b--\r\n", (400, "missing_image")),
        (part("file", PHOTO, "X-Long: " + "y" * 10 * MIB + "\r\n") + b"--b--\r\n", (400, "malformed_request")),
        (part("file", PHOTO, "X-Many: y\r\n" * 100_000) + b"--b--\r\n", (400, "malformed_request")),
        (part("n" * MIB, PHOTO) + b"--b--\r\n", (400, "malformed_request")),
        (part("file", PHOTO), (400, "malformed_request")),
        (b"--b" * MIB, (400, "missing_image")),
        (b"\r\n" * MIB, (400, "malformed_request")),
    ],
    ids=["twice", "parts", "header", "headers", "name", "no-end", "dashes", "lines"],
)
def test_forms_made_to_be_expensive(service: Service, body: bytes, told: tuple[int, str]) -> None:
    with flat(service, 60):
        assert problem(service.post(body, headers={"Content-Type": "multipart/form-data; boundary=b"})) == told


@pytest.mark.parametrize(
    ("body", "told"),
    [
        (b'{"image": "' + base64.b64encode(bytes(ALLOWED + 3)) + b'"}', (413, "body_too_large")),
        (b'{"image": ' + b"[" * 100_000 + b"]" * 100_000 + b"}", (400, "malformed_request")),
        (b'{"image": ' + b'{"a":' * 100_000 + b"1" + b"}" * 100_001, (400, "malformed_request")),
        (b'{"a": 1, ' * 100_000, (400, "malformed_request")),
        (b'{"image": ' + b"9" * 5 * MIB + b"}", (400, "malformed_request")),
        (b'{"image": "' + rb"\u0041" * MIB + b'"}', (415, "unsupported_media_type")),
        (b'{"image": NaN}', (400, "malformed_request")),
        (b'{"image": "\xff\xfe"}', (400, "malformed_request")),
    ],
    ids=["large", "lists", "objects", "keys", "number", "escapes", "nan", "bytes"],
)
def test_json_made_to_be_expensive(service: Service, body: bytes, told: tuple[int, str]) -> None:
    with flat(service, 40 + 5 * len(body) / MIB):
        assert problem(service.post(body, headers={"Content-Type": "application/json"})) == told


@pytest.mark.parametrize(
    "scheme", ["http://127.0.0.1:{}/x.jpg", "https://127.0.0.1:{}/", "ftp://127.0.0.1:{}/", "file:///etc/hostname"]
)
def test_no_address_is_ever_opened(service: Service, scheme: str) -> None:
    with socket.create_server(("127.0.0.1", 0)) as trap:
        address = scheme.format(trap.getsockname()[1])
        for body in ({"image": address}, {"image": f" {address}"}, {"url": address}, {"image": {"url": address}}):
            given = json.dumps(body).encode()
            assert problem(service.post(given, headers={"Content-Type": "application/json"})) == (
                400,
                "malformed_request",
            )
        assert problem(service.post(address.encode())) == (415, "unsupported_media_type")
        trap.setblocking(False)
        with pytest.raises(BlockingIOError):
            trap.accept()
