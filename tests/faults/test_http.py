"""What is hardly HTTP, on a bare socket: an answer of HTTP or a closed connection, never a 5xx, never two for one."""

import json
import random
import socket
from concurrent.futures import ThreadPoolExecutor

import pytest

from tests.faults.control import PATIENCE_S
from tests.faults.crowd import grey
from tests.faults.process import Service
from tests.faults.test_bodies import flat, pour, request

PHOTO = grey(66)
KEPT_S = 5.0
"""A connection on which nothing has come for so long after an answer was kept for a next request."""

LENGTH = f"Content-Length: {len(PHOTO)}"
KIND = "Content-Type: image/png"


def said(service: Service, sent: bytes, over: bool = True) -> bytes:
    """All that comes back until the connection ends, or is kept after an answer; `over` tells that nothing more will be
    sent."""
    with service.connect() as client:
        try:
            client.sendall(sent)
            if over:
                client.shutdown(socket.SHUT_WR)
        except OSError:
            pass  # it was refused before all was out
        client.settimeout(PATIENCE_S)
        received = b""
        try:
            while chunk := client.recv(65536):
                received += chunk
                client.settimeout(KEPT_S)
        except ConnectionResetError:
            pass
        except TimeoutError:
            assert received, "neither an answer nor an end"
    return received


def statuses(received: bytes) -> list[int]:
    return [int(line.split()[1]) for line in received.split(b"\r\n") if line.startswith(b"HTTP/1.1 ")]


REFUSED = {
    "length-and-chunks": request(f"{KIND}\r\n{LENGTH}\r\nTransfer-Encoding: chunked", b"0\r\n\r\n"),
    "chunks-and-length": request(f"{KIND}\r\nTransfer-Encoding: chunked\r\n{LENGTH}", PHOTO),
    "two-encodings": request(f"{KIND}\r\nTransfer-Encoding: chunked, identity", PHOTO),
    "negative-length": request(f"{KIND}\r\nContent-Length: -5", PHOTO),
    "plus-length": request(f"{KIND}\r\nContent-Length: +5", PHOTO),
    "two-lengths": request(f"{KIND}\r\nContent-Length: 3\r\nContent-Length: 4", PHOTO),
    "huge-length": request(f"{KIND}\r\nContent-Length: {'9' * 400}", PHOTO),
    "bad-chunk-size": request(f"{KIND}\r\nTransfer-Encoding: chunked", b"zz\r\nabc\r\n0\r\n\r\n"),
    "negative-chunk": request(f"{KIND}\r\nTransfer-Encoding: chunked", b"-1\r\nabc\r\n0\r\n\r\n"),
    "huge-chunk": request(f"{KIND}\r\nTransfer-Encoding: chunked", b"f" * 40 + b"\r\nabc\r\n0\r\n\r\n"),
    "no-chunk-end": request(f"{KIND}\r\nTransfer-Encoding: chunked", b"3\r\nabcdef\r\n0\r\n\r\n"),
    "http-9": b"GET /health/live HTTP/9.9\r\n\r\n",
    "no-method": b"/health/live HTTP/1.1\r\nHost: x\r\n\r\n",
    "tls-hello": b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + bytes(range(256)),
    "http-2": b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
    "binary": bytes(range(1, 256)) * 4,
    "zeros": bytes(1000),
    "space-in-name": request("Host : x\r\nBad Name: y"),
    "no-colon": request("this is no header"),
    "bare-newline": b"GET /health/live HTTP/1.1\nHost: x\nBad\n\n",
    "zero-in-value": request("X-Zero: a\0b"),
    "folded": request("X-Fold: a\r\n  b\r\n c: d\r\n\0"),
    "connect": b"CONNECT evil:443 HTTP/1.1\r\nHost: evil:443\r\n\r\n",
    "long-path": b"GET /" + b"a" * 1_000_000 + b" HTTP/1.1\r\nHost: x\r\n\r\n",
    "header-flood": request("\r\n".join(f"X-{n}: y" for n in range(200_000))),
    "one-long-header": request("X-Long: " + "y" * 5_000_000),
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_is_no_request_is_refused(service: Service, name: str) -> None:
    with flat(service, 30):
        received = said(service, REFUSED[name])
    found = statuses(received)
    assert len(found) <= 1
    assert all(400 <= status < 500 for status in found), received[:500]
    if found:
        assert b"application/problem+json" in received
        assert json.loads(received.rpartition(b"\r\n\r\n")[2])["status"] == found[0]
    assert service.control.computed[1:-1] == []  # between the two good photos of `flat`


def test_http_0_9_is_answered_as_any_other(service: Service) -> None:
    assert statuses(said(service, b"GET /health/live\r\n\r\n")) == [200]
    assert statuses(said(service, b"POST /v1/probe\r\n\r\n")) == [400]


def test_an_endless_head_is_cut_before_it_costs_memory(service: Service) -> None:
    with flat(service, 20), service.connect() as client:
        client.sendall(b"GET / HTTP/1.1\r\nHost: x\r\n")
        pour(client, (b"X-Flood: %d\r\n" % n * 100 for n in range(1_000_000)))


def test_trailers_without_end_are_refused(service: Service) -> None:
    with flat(service, 20), service.connect() as client:
        client.sendall(request(f"{KIND}\r\nTransfer-Encoding: chunked", b"%x\r\n%s\r\n0\r\n" % (len(PHOTO), PHOTO)))
        pour(client, (b"X-Flood: %d\r\n" % n * 100 for n in range(1_000_000)))


def test_requests_in_a_row_are_answered_in_their_order(service: Service) -> None:
    numbers = [41, 42, 43, 44, 45]
    sent = b"".join(request(f"{KIND}\r\nContent-Length: {len(grey(number))}", grey(number)) for number in numbers)
    received = said_to(service, sent, len(numbers))
    assert [int(json.loads(body)["result"]["mean"]) for body in received] == numbers


def said_to(service: Service, sent: bytes, count: int) -> list[bytes]:
    """The bodies of so many answers on one connection."""
    bodies: list[bytes] = []
    with service.connect() as client, client.makefile("rb") as answers:
        client.sendall(sent)
        while len(bodies) < count:
            length = 0
            while (line := answers.readline().strip().lower()) != b"":
                if line.startswith(b"content-length:"):
                    length = int(line.split()[1])
            bodies.append(answers.read(length))
    return bodies


def test_a_hundred_thousand_requests_in_one_write_cost_no_memory(service: Service) -> None:
    with flat(service, 60), service.connect() as client:
        pour(client, (b"GET /health/live HTTP/1.1\r\nHost: x\r\n\r\n" * 1000 for _ in range(20)))


def wounded(rng: random.Random) -> bytes:
    """A good request whose head got one to four wounds."""
    sent = bytearray(request(f"{KIND}\r\n{LENGTH}\r\nX-Deadline-Ms: 9000\r\nConnection: close", PHOTO))
    head = sent.index(b"\r\n\r\n") + 4
    for _ in range(rng.randint(1, 4)):
        at = rng.randrange(head)
        match rng.randrange(3):
            case 0:
                sent[at] = rng.randrange(256)
            case 1:
                del sent[at : at + rng.choice((1, 2, 9))]
            case _:
                sent[at:at] = rng.choice((b"\r\n", b"\0", b":", b" ", b"\xff", b"\r\n\r\n", b"9" * 20))
    return bytes(sent)


def test_damaged_requests_get_no_server_error_and_every_connection_ends(service: Service) -> None:
    rng = random.Random(5)
    requests = [wounded(rng) for _ in range(240)]
    with ThreadPoolExecutor(60) as pool:
        received = list(pool.map(lambda sent: said(service, sent, over=False), requests))
    found = [statuses(one) for one in received]
    for sent, some in zip(requests, found, strict=True):
        assert all(status < 500 or status == 504 for status in some), sent[:300]
    assert {200, 400, 404, 415} <= {status for some in found for status in some}


@pytest.mark.parametrize("method", ["GET", "PUT", "DELETE", "PATCH", "OPTIONS", "HEAD", "TRACE", "BREW"])
def test_other_methods_are_told_what_is_allowed(service: Service, method: str) -> None:
    received = said(service, request(f"{KIND}\r\n{LENGTH}", PHOTO).replace(b"POST", method.encode(), 1))
    found = statuses(received)
    assert found in ([405], [400], []), received[:300]
    assert method == "BREW" or b"allow: post" in received.lower()
