"""Clients that give up, that send next to nothing, and that never read: nobody else may notice them."""

import contextlib
import resource
import socket
import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import numpy as np
import pytest

from tests.fakes import encoded
from tests.faults.control import PATIENCE_S
from tests.faults.crowd import busy, crowd, grey, queued, together
from tests.faults.process import Service, serving, until

PHOTO = grey(77)
HEAD = f"POST /v1/probe HTTP/1.1\r\nHost: x\r\nContent-Type: image/png\r\nContent-Length: {len(PHOTO)}\r\n".encode()
PNG = {"Content-Type": "image/png"}
WHOLE = HEAD + b"\r\n" + PHOTO


def test_photos_of_clients_that_gave_up_are_not_computed(tmp_path: Path) -> None:
    """100 that wait for 50 ms, 100 that wait until they are in the queue, then 50 that wait."""

    def impatient(number: int) -> None:
        with service.connect() as client:
            client.sendall(WHOLE)
            client.settimeout(0.05)
            with pytest.raises(TimeoutError):
                client.recv(1)

    # So few decoded pixels are allowed that one share of them that is not given back would end it all.
    with serving(tmp_path, queue_limit=300, max_decoded_pixels=16 * 12 * 4) as service, crowd(service, 1) as post:
        with busy(service, post) as first:
            together(impatient, 100)
            with contextlib.ExitStack() as leaving:
                for _ in range(100):
                    leaving.enter_context(service.connect()).sendall(WHOLE)
                queued(service, 100)
            until(lambda: service.in_flight() == 1 and service.waiting() == 0, "all that gave up are forgotten")
        assert first.result(60).status_code == 200
        answers = together(lambda number: service.post(grey(101 + number)), 50)
        assert [answer.json()["result"]["mean"] for answer in answers] == list(range(101, 151))
        assert sorted(service.control.computed) == [*range(101, 151), 255]
        assert (service.in_flight(), service.waiting()) == (0, 0)


def test_more_connections_than_the_process_may_have_files(tmp_path: Path) -> None:
    """Idle ones are cut off, and then there is room again; no photo is called damaged for want of a file."""

    def answered() -> bool:
        try:
            response = httpx.post(f"{service.url}/v1/probe", content=PHOTO, headers=PNG, timeout=PATIENCE_S)
        except httpx.TransportError:
            return False  # turned away: there was no file left for it
        return bool(response.json()["result"]["mean"] == 77)

    with serving(tmp_path, header_timeout_s=2) as service, contextlib.ExitStack() as idle:
        service.get("/health/live")  # a connection that will still be there
        resource.prlimit(service.process.pid, resource.RLIMIT_NOFILE, (40, 40))
        for _ in range(80):
            idle.enter_context(service.connect())
        assert service.post(PHOTO).json()["result"]["mean"] == 77
        until(answered, "there is room for a new connection")


def closed(client: socket.socket) -> bytes:
    """All that comes until the other side ends the connection; a reset is an end too."""
    client.settimeout(PATIENCE_S)
    received = b""
    try:
        while chunk := client.recv(65536):
            received += chunk
    except ConnectionResetError:
        pass
    return received


def dripping(client: socket.socket, drops: Iterator[bytes]) -> bytes:
    """Sends a drop every tenth of a second until the other side has had enough, and all that it said."""
    client.settimeout(0.1)
    received, end = b"", time.monotonic() + PATIENCE_S
    while time.monotonic() < end:
        try:
            client.sendall(next(drops))
            while chunk := client.recv(65536):
                received += chunk
            return received
        except TimeoutError:
            continue
        except (BrokenPipeError, ConnectionResetError):
            return received
    pytest.fail(f"the connection is still open after {PATIENCE_S:g} s")


def forever(first: bytes, drop: bytes) -> Iterator[bytes]:
    yield first
    while True:
        yield drop


@pytest.mark.parametrize(
    "sent", [b"", b"POST /v1", HEAD, HEAD + b"X-Slow: yes"], ids=["nothing", "line", "head", "name"]
)
def test_a_head_that_never_ends_is_cut_off(service: Service, sent: bytes) -> None:
    with service.connect() as client:
        client.sendall(sent)
        assert closed(client) == b""


def test_a_head_that_drips_is_cut_off(service: Service) -> None:
    with service.connect() as client:
        assert dripping(client, forever(HEAD, b"X-Slow: y\r\n")) == b""


def test_a_kept_connection_is_cut_off_too(service: Service) -> None:
    with service.connect() as client:
        client.sendall(WHOLE)
        assert client.recv(15) == b"HTTP/1.1 200 OK"
        assert b"HTTP/1.1" not in dripping(client, forever(b"POST /v1", b"/"))


def test_a_connection_that_is_kept_idle_is_not_cut_off_early(service: Service) -> None:
    with service.connect() as client, service.connect() as other:
        client.sendall(WHOLE)
        assert client.recv(15) == b"HTTP/1.1 200 OK"
        assert closed(other) == b""  # that one sent nothing, for the whole of the header timeout
        client.sendall(WHOLE)
        client.settimeout(PATIENCE_S)
        received = b""
        while received.count(b"HTTP/1.1 200 OK") < 1:
            chunk = client.recv(65536)
            assert chunk, "the idle connection was closed"
            received += chunk


def test_a_body_that_stalls_is_refused_and_the_connection_closed(service: Service) -> None:
    with service.connect() as client:
        client.sendall(HEAD + b"\r\n" + PHOTO[:20])
        received = closed(client)
    assert received.startswith(b"HTTP/1.1 400 ")
    assert b"malformed_request" in received


def test_a_body_that_drips_is_under_the_deadline(service: Service) -> None:
    with service.connect() as client:
        head = HEAD.replace(str(len(PHOTO)).encode(), b"100000") + b"X-Deadline-Ms: 3000\r\n\r\n"
        received = dripping(client, forever(head, b"x"))
    assert received.startswith(b"HTTP/1.1 504 ")
    assert b"deadline_exceeded" in received


def test_the_rest_of_a_refused_body_is_not_taken_for_ever(service: Service) -> None:
    with service.connect() as client:
        head = HEAD.replace(b"image/png", b"text/plain").replace(str(len(PHOTO)).encode(), b"100000")
        assert dripping(client, forever(head + b"\r\n", b"x")).startswith(b"HTTP/1.1 415 ")


def annotated() -> bytes:
    """A request whose answer, some 18 MB, is more than the kernel's buffers hold."""
    noise = encoded(np.random.default_rng(0).integers(0, 256, (2000, 3000, 3), np.uint8), "JPEG", quality=60)
    head = (
        f"POST /v1/probe/annotated HTTP/1.1\r\nHost: x\r\nContent-Type: image/jpeg\r\nContent-Length: {len(noise)}\r\n"
    )
    return head.encode() + b"Accept: image/png\r\n\r\n" + noise


def narrow(service: Service) -> socket.socket:
    """A client that takes little at a time."""
    client = socket.socket()
    client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    client.settimeout(PATIENCE_S)
    client.connect(("127.0.0.1", service.port))
    return client


def test_an_answer_that_nobody_takes_is_cut_off(service: Service) -> None:
    """Else it would stay in memory for as long as the client likes: closing politely waits for it too."""
    assert service.ready()
    before = service.sockets()
    with narrow(service) as client:
        client.sendall(annotated())
        assert client.recv(15) == b"HTTP/1.1 200 OK"
        assert service.sockets() == before + 1
        until(lambda: service.sockets() == before, "the connection is given up")


def test_an_answer_that_is_taken_slowly_is_not_cut_off(service: Service) -> None:
    with service.connect() as client:
        client.sendall(annotated())
        received = client.recv(4096)
        length = int(received.lower().split(b"content-length: ")[1].split(b"\r\n")[0])
        slow_until = time.monotonic() + 5  # more than the two seconds that a stalled one gets
        while len(received) < length:
            chunk = client.recv(2**18)
            assert chunk, f"cut off after {len(received)} of {length}"
            received += chunk
            if time.monotonic() < slow_until:
                time.sleep(0.1)
    assert received.endswith(b"IEND\xaeB`\x82")
