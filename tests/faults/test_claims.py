"""Claims of good, bad and foreign photos, cut off, slow, endless and too large, sent to a real process."""

import contextlib
import json
import socket
import struct
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest

from tests.asgi import form_body
from tests.fakes import encoded
from tests.faults.control import PATIENCE_S
from tests.faults.crowd import grey
from tests.faults.process import Service, until
from tests.faults.test_bodies import MIB, answer, chunked, flat, pour, request
from tests.faults.test_clients import closed, dripping
from tests.gateway import problem

PATH = "/v1/inspect/claim"
BOUNDARY = "Content-Type: multipart/form-data; boundary=carBOUNDARY"
CHUNKED = f"{BOUNDARY}\r\nTransfer-Encoding: chunked"
LAST = b"--carBOUNDARY--\r\n"
EVENTS = {"Accept": "text/event-stream"}


def part(data: bytes, disposition: str = 'name="file"; filename="car.png"') -> bytes:
    return form_body((disposition, data)).removesuffix(LAST)


def chunk(data: bytes) -> bytes:
    return b"%x\r\n%s\r\n" % (len(data), data)


def files(*photos: bytes) -> list[tuple[str, tuple[str, bytes]]]:
    return [("file", (f"{number}.png", data)) for number, data in enumerate(photos)]


def codes(body: dict[str, Any]) -> list[str | None]:
    return [one["problem"] and one["problem"]["code"] for one in body["photos"]]


def means(body: dict[str, Any]) -> list[float | None]:
    return [one["results"]["probe"]["mean"] if one["results"] else None for one in body["photos"]]


def events(received: bytes) -> Iterator[tuple[str, Any]]:
    for block in received.decode().split("\n\n")[:-1]:
        name, data = block.split("\n")
        yield name.removeprefix("event: "), json.loads(data.removeprefix("data: "))


def there(service: Service) -> int:
    """Photos that wait for the device, are on it, or have been."""
    return int(service.waiting()) + len(service.control.computed)


def left(service: Service) -> float:
    return service.metric("carlens_http_requests_total", 'route="/v1/inspect/claim",status="499"')


def test_good_bad_and_foreign_photos(service: Service) -> None:
    photos = [grey(11), b"", grey(22)[:50], b"%PDF-1.7", bytes(5), b"\xff\xd8\xff" * 400, grey(33)]
    response = service.client.post(PATH, files=files(*photos))
    body = response.json()
    assert response.status_code == 200
    assert means(body) == [11, None, None, None, None, None, 33]
    assert codes(body)[1:4] == ["empty_image", "undecodable_image", "unsupported_media_type"]
    assert all(codes(body)[4:6])


def test_events_of_a_real_process(service: Service) -> None:
    with service.client.stream("POST", PATH, files=files(grey(11), b"text", grey(33)), headers=EVENTS) as response:
        assert response.headers["content-type"] == "text/event-stream"
        assert response.headers["x-accel-buffering"] == "no"
        assert response.headers["cache-control"] == "no-store"
        told = list(events(b"".join(response.iter_raw())))
    assert [name for name, _ in told] == ["photo", "photo", "photo", "claim"]
    assert {data["index"] for _, data in told[:3]} == {0, 1, 2}
    assert "photos" not in told[3][1]


def test_an_event_comes_before_the_body_has_ended(service: Service) -> None:
    with service.connect() as client:
        client.settimeout(PATIENCE_S)
        head = request(f"{CHUNKED}\r\nAccept: text/event-stream", path=PATH)
        client.sendall(head + chunk(part(grey(11)) + b"--carBOUNDARY\r\n"))
        received = b""
        while b"event: photo" not in received:
            received += client.recv(65536)
        client.sendall(chunk(part(grey(22)).removeprefix(b"--carBOUNDARY\r\n") + LAST) + b"0\r\n\r\n")
        while b"event: claim" not in received:
            received += client.recv(65536)


def test_a_photo_over_the_limit_in_the_middle_is_skipped(service: Service) -> None:
    with flat(service, 80):
        response = service.client.post(PATH, files=files(grey(11), bytes(33 * MIB), grey(33)))
    assert codes(response.json()) == [None, "body_too_large", None]
    assert means(response.json()) == [11, None, 33]


def test_photos_wait_with_their_sender_while_the_device_is_held(service: Service) -> None:
    """24 photos of 8 MiB. What is held of them is what is worked on, and one; the rest stays in the socket."""
    photo = encoded(np.full((1600, 1740, 3), 44, np.uint8), "BMP")
    assert len(photo) * 24 > 190 * MIB
    body = part(photo) * 24 + LAST
    with flat(service, 130), service.control.hold(), service.connect() as client:
        client.sendall(request(f"{BOUNDARY}\r\nContent-Length: {len(body)}", path=PATH))
        client.settimeout(3)  # as long as it takes until the sender is stopped
        sent = 0
        with contextlib.suppress(TimeoutError):
            while sent < len(body):
                sent += client.send(body[sent : sent + MIB])
        assert sent < 80 * MIB
        service.control.release()
        client.settimeout(PATIENCE_S)
        client.sendall(body[sent:])
        received = b""
        while b'"complete":true' not in received:
            more = client.recv(2**20)
            assert more, received[:300]
            received += more
    assert received.count(b'"mean":44') == 24


def test_a_single_photo_does_not_wait_for_a_whole_claim(service: Service) -> None:
    """Four of the claim are before it, on the device or in the queue; the other twenty come after it."""

    body = b"".join(part(grey(100 + number)) for number in range(24)) + LAST
    with service.control.hold(), service.connect() as client:
        client.sendall(request(f"{BOUNDARY}\r\nContent-Length: {len(body)}", body, path=PATH))
        until(lambda: there(service) == 4, "a few photos of the claim are there")
        with service.connect() as single:
            single.sendall(request(f"Content-Type: image/png\r\nContent-Length: {len(grey(77))}", grey(77)))
            until(lambda: there(service) == 5, "the single one is")
            service.control.release()
            single.settimeout(PATIENCE_S)
            assert single.recv(15) == b"HTTP/1.1 200 OK"
        client.settimeout(PATIENCE_S)
        assert client.recv(15) == b"HTTP/1.1 200 OK"
    assert service.control.computed.index(77) == 4
    assert len(service.control.computed) == 25


@pytest.mark.parametrize("accept", ["application/json", "text/event-stream"])
def test_a_client_that_leaves_in_the_middle_of_a_photo(service: Service, accept: str) -> None:
    before = left(service)
    body = part(grey(11)) + part(grey(22)) + part(grey(33))[:-20]
    with service.connect() as client:
        head = f"{BOUNDARY}\r\nContent-Length: {10 * len(body)}\r\nAccept: {accept}"
        client.sendall(request(head, body, path=PATH))
        service.control.until(lambda: {11, 22} <= set(service.control.computed), "two photos were looked at")
    until(lambda: left(service) == before + 1, "it is counted as one that left")
    until(lambda: service.in_flight() == 0, "nothing is left of it")


@pytest.mark.parametrize("accept", ["application/json", "text/event-stream"])
def test_a_client_that_leaves_while_it_waits(service: Service, accept: str) -> None:
    before = left(service)
    body = b"".join(part(grey(100 + number)) for number in range(4)) + LAST
    with service.control.hold():
        with service.connect() as client:
            head = f"{BOUNDARY}\r\nContent-Length: {len(body)}\r\nAccept: {accept}"
            client.sendall(request(head, body, path=PATH))
            until(lambda: there(service) == 4, "its photos are there")
        until(lambda: left(service) == before + 1, "it is counted as one that left")
        until(lambda: service.waiting() == 0, "its photos are forgotten")
    assert len(service.control.computed) <= 4


@pytest.mark.parametrize("large", [False, True], ids=["read", "in the socket"])
def test_a_client_that_leaves_while_its_body_is_held_back(service: Service, large: bool) -> None:
    """Of the small photos all is read; of the large ones the system tells that the connection was reset."""
    before = left(service)
    photo = encoded(np.full((600, 800, 3), 44, np.uint8), "BMP") if large else grey(44)
    body = part(photo) * 24
    with service.control.hold():
        with service.connect() as client:
            head = request(f"{BOUNDARY}\r\nContent-Length: {2 * len(body)}", path=PATH)
            client.settimeout(1)  # as long as it takes until the sender is stopped
            with contextlib.suppress(TimeoutError):
                client.sendall(head + body)
            until(lambda: there(service) == 4, "as many photos are there as are worked on")
            client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        until(lambda: left(service) == before + 1, "it is counted as one that left")
        until(lambda: service.waiting() == 0, "its photos are forgotten, while none is done")


def test_a_part_that_never_ends_is_under_the_limit_of_the_claim(service: Service) -> None:
    with flat(service, 80), service.connect() as client:
        client.sendall(request(CHUNKED, chunk(part(b"")[:-2]), path=PATH))
        pour(client, chunked(MIB for _ in range(210)))
        assert answer(client) == (413, "body_too_large")


def test_a_claim_that_says_it_is_too_large_is_refused_unread(service: Service) -> None:
    with flat(service, 20), service.connect() as client:
        client.sendall(request(f"{BOUNDARY}\r\nContent-Length: {201 * MIB}", path=PATH))
        assert answer(client) == (413, "body_too_large")


def test_a_claim_that_stalls_is_refused_and_closed(service: Service) -> None:
    body = part(grey(11)) + part(grey(22))[:-20]
    with service.connect() as client:
        client.sendall(request(f"{BOUNDARY}\r\nContent-Length: {2 * len(body)}", body, path=PATH))
        received = closed(client)
    assert received.startswith(b"HTTP/1.1 400 ")
    assert b"malformed_request" in received


def test_a_claim_that_drips_is_under_the_deadline(service: Service) -> None:
    """Its first photo, which came whole, is answered all the same."""
    head = request(f"{BOUNDARY}\r\nContent-Length: {MIB}\r\nX-Deadline-Ms: 1500", path=PATH)

    def drops() -> Iterator[bytes]:
        yield head + part(grey(11)) + part(b"")[:-2]
        while True:
            yield b"x"

    with service.connect() as client:
        received = dripping(client, drops())
    body = json.loads(received.partition(b"\r\n\r\n")[2])
    assert received.startswith(b"HTTP/1.1 200 ")
    assert codes(body) == [None, "deadline_exceeded"]
    assert body["complete"] is False


@pytest.mark.parametrize(
    ("body", "told"),
    [
        (part(grey(1)) * 25 + LAST, (400, "too_many_photos")),
        (b"".join(part(b"") for _ in range(5000)) + LAST, (400, "too_many_photos")),
        (part(grey(1)) + part(grey(2), 'name="photo"; filename="x"') + LAST, (400, "malformed_request")),
        (part(grey(1)) + part(b"red", 'name="color"') + LAST, (400, "malformed_request")),
        (part(grey(1)) + part(grey(2), 'name="file"; name="x"') + LAST, (400, "malformed_request")),
        (part(grey(1)) + b"--carBOUNDARY\r\nContent-Type: image/png\r\n\r\nx\r\n" + LAST, (400, "malformed_request")),
        (part(grey(1)) + part(grey(2)), (400, "malformed_request")),
        (b"--carBOUNDARY" * MIB, (400, "missing_image")),
        (LAST, (400, "missing_image")),
    ],
    ids=["25", "thousands", "name", "field", "twice", "no-name", "no-end", "dashes", "none"],
)
def test_forms_that_are_no_claim(service: Service, body: bytes, told: tuple[int, str]) -> None:
    with flat(service, 60):
        headers = {"Content-Type": "multipart/form-data; boundary=carBOUNDARY"}
        assert problem(service.client.post(PATH, content=body, headers=headers)) == told


def test_boundaries_within_photos_and_parts_without_a_file_name(service: Service) -> None:
    tricky = grey(22) + b"\r\n--carBOUNDARX\r\n--carBOUND\r\n\r\n--\r\n"
    headers = {"Content-Type": "multipart/form-data; boundary=carBOUNDARY"}
    body = part(grey(11), 'name="file"') + part(tricky) + part(b"car.png", 'name="file"') + LAST + b"--carBOUNDARY\r\nx"
    told = service.client.post(PATH, content=body, headers=headers).json()
    assert means(told) == [11, 22, None]
    assert codes(told) == [None, None, "missing_image"]
    assert told["photos"][0]["file"] is None
