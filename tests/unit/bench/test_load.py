"""The load: its schedule, its loops, and that a wrong answer of a real server is not taken for a right one."""

import asyncio
import statistics
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from itertools import pairwise

import httpx
import pytest

from tests.bench.compare import load
from tests.bench.compare.arms.work import part
from tests.bench.compare.load import Order, Reply, Send, judge, poisson

pytestmark = pytest.mark.anyio
EXPECTED = {"label": "red", "score": 0.9}
BODIES = {
    "/right": (200, b'{"result": {"label": "red", "score": 0.9}}'),
    "/wrong": (200, b'{"result": {"label": "blue", "score": 0.9}}'),
    "/empty": (200, b""),
    "/refused": (503, b"{}"),
    "/broken": (500, b'{"result": {"label": "red", "score": 0.9}}'),
}


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers["Content-Length"]))
        status, body = BODIES[self.path]
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        if status == 503:
            self.send_header("Retry-After", "1")
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:
        pass


@pytest.fixture(scope="module")
def url() -> Iterator[str]:
    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{server.server_address[1]}"
        server.shutdown()
        thread.join()


def sender(client: httpx.AsyncClient, url: str) -> Send:
    async def send() -> Reply:
        answer = await client.post(url, content=b"photo")
        return answer.status_code, answer.content, dict(answer.headers)

    return send


@pytest.mark.parametrize(
    ("path", "outcome"),
    [("/right", "good"), ("/wrong", "failed"), ("/empty", "failed"), ("/refused", "refused"), ("/broken", "failed")],
)
async def test_an_answer_counts_for_what_it_says(url: str, path: str, outcome: str) -> None:
    order = Order(url + path, "", expected=EXPECTED, concurrency=2, window_s=0.05, windows=1, warm_s=0.0)
    async with httpx.AsyncClient(trust_env=False) as client:
        found = await load.run(sender(client, url + path), order)
    window = found["windows"][0]
    assert window[outcome] > 0
    assert {name for name in ("good", "failed", "refused") if window[name]} == {outcome}
    assert (found["retry_after"] > 0) == (outcome == "refused")


async def test_a_server_that_is_gone_fails(url: str) -> None:
    seen = load.Seen()

    async def send() -> Reply:
        raise ConnectionError

    await seen.ask(send, None)
    assert [row[2] for row in seen.rows] == ["failed"]
    assert seen.statuses == {"ConnectionError": 1}


async def test_a_closed_loop_never_has_more_than_its_clients() -> None:
    now = most = 0

    async def send() -> Reply:
        nonlocal now, most
        now += 1
        most = max(most, now)
        await asyncio.sleep(0.001)
        now -= 1
        return 200, BODIES["/right"][1], {}

    order = Order("", "", expected=EXPECTED, concurrency=5, window_s=0.02, windows=2, warm_s=0.0)
    found = await load.run(send, order)
    assert most == 5
    assert len(found["windows"]) == 2
    assert not found["settled"]  # of two windows nothing can be said


async def test_in_an_open_loop_latency_counts_from_the_schedule() -> None:
    lock = asyncio.Lock()

    async def send() -> Reply:
        async with lock:  # one at a time, half as quick as they come
            await asyncio.sleep(0.02)
        return 200, BODIES["/right"][1], {}

    found = await load.run(send, Order("", "", expected=EXPECTED, rate=100.0, window_s=0.5, seed=1))
    window = found["windows"][0]
    assert window["good"] == found["requests"] == len(poisson(100.0, 0.5, 1))
    assert window["p99_ms"] > 10 * 20
    assert window["seconds"] > 0.8


def test_arrivals_are_those_of_a_poisson_process() -> None:
    times = poisson(50.0, 400.0, seed=3)
    gaps = [after - before for before, after in pairwise(times)]
    assert times == sorted(times)
    assert len(times) == pytest.approx(20_000, rel=0.03)
    assert statistics.mean(gaps) == pytest.approx(0.02, rel=0.03)
    assert statistics.stdev(gaps) == pytest.approx(0.02, rel=0.05)  # exponential: as wide as its mean
    assert poisson(50.0, 400.0, seed=3) == times
    assert poisson(50.0, 400.0, seed=4) != times


def test_without_an_expected_answer_any_result_will_do() -> None:
    assert judge(200, BODIES["/wrong"][1], None) == "good"
    assert judge(200, b'{"result": {}}', None) == "failed"


def test_a_form_holds_the_photo_as_it_is() -> None:
    photo = b"\xff\xd8 --carlens \r\n\r\n\xff\xd9"
    body, headers = load.body_of(photo, "multipart")
    assert part(body) == photo
    assert headers["Content-Type"].startswith("multipart/form-data; boundary=")
    assert load.body_of(photo, "raw")[0] == part(photo) == photo
