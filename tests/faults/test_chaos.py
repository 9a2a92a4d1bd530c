"""Everything at once: good photos, bad ones, a model that fails and clients that leave, in no order but the seed's."""

import random
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import pytest
import typer

from tests.faults.control import GO
from tests.faults.crowd import grey
from tests.faults.mutations import damaged, samples
from tests.faults.process import Service
from tests.faults.test_bodies import request

BAD = 13
CLIENTS = 8


def good(service: Service, rng: random.Random) -> None:
    number = rng.randint(20, 250)
    response = service.post(grey(number))
    assert response.status_code == 200, response.text
    assert response.json()["result"]["mean"] == number


def leaving(service: Service, rng: random.Random) -> None:
    photo = grey(rng.randint(20, 250))
    sent = request(f"Content-Type: image/png\r\nContent-Length: {len(photo)}", photo)
    with service.connect() as client:
        client.sendall(sent[: rng.randint(1, len(sent))])


FILES = list(samples().values())
Given = dict[str, dict[str, str]]


def refused(service: Service, rng: random.Random) -> None:
    data, given = rng.choice(
        [
            (damaged(rng.choice(FILES), FILES, rng), {}),
            (b"", {}),
            (b"no photo", {"headers": {"Content-Type": "text/plain"}}),
            (b'{"image": 5}', {"headers": {"Content-Type": "application/json"}}),
            (b"--b", {"headers": {"Content-Type": "multipart/form-data; boundary=b"}}),
            (grey(30), {"params": {"nothing": "1"}}),
            (grey(30), {"headers": {"X-Deadline-Ms": "7"}}),
        ]
    )
    response = service.post(data, **given)
    assert response.status_code == 200 or 400 <= response.status_code < 500, response.text


def failing(service: Service, rng: random.Random) -> None:
    response = service.post(grey(BAD))
    assert (response.status_code, response.json()["code"]) == (500, "prediction_failed")


KINDS: list[Callable[[Service, random.Random], None]] = [*[good] * 6, leaving, *[refused] * 2, failing]
"""Six in ten are good, three are bad, one leaves."""


def chaos(service: Service, seed: int, count: int) -> None:
    def one(number: int) -> None:
        rng = random.Random(f"{seed} {number}")
        rng.choice(KINDS)(service, rng)

    service.control.policy = lambda told: "raise" if BAD in told.numbers else GO
    with ThreadPoolExecutor(CLIENTS) as pool:
        list(pool.map(one, range(count)))
    service.control.forget()


def test_a_thousand_requests_of_all_kinds(service: Service) -> None:
    chaos(service, 1, 400)
    before = service.memory()
    chaos(service, 2, 800)
    assert service.memory() - before < 30
    assert service.post(grey(50)).json()["result"]["mean"] == 50


@pytest.mark.long
def test_twenty_thousand_requests_of_all_kinds(service: Service, capsys: pytest.CaptureFixture[str]) -> None:
    chaos(service, 3, 2000)
    memory, began = [service.memory()], time.monotonic()
    for seed in range(4, 8):
        chaos(service, seed, 5000)
        memory.append(service.memory())
    rate = 20_000 / (time.monotonic() - began)
    with capsys.disabled():
        typer.echo(f"\n20000 requests by {CLIENTS} clients, {rate:.0f} a second; memory after each 5000, MB: {memory}")
    assert max(memory) - memory[0] < 40, memory
    assert service.post(grey(50)).json()["result"]["mean"] == 50
