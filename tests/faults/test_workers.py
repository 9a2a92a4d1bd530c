"""Two workers under load: one is killed, one loses its device; who is left answers, and both come back."""

import os
import signal
import threading
from collections import Counter
from collections.abc import Iterator

import httpx
import pytest

from tests.faults.control import GO, Told
from tests.faults.crowd import grey
from tests.faults.process import Service, serving, until

BAD = 13
CLIENTS = 4


@pytest.fixture(scope="module")
def workers(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    with serving(tmp_path_factory.mktemp("workers"), "--workers", "2") as service:
        yield service


def asked(service: Service, number: int) -> str:
    """The status of one photo on a connection of its own, or that the connection broke."""
    try:
        headers = {"Content-Type": "image/png"}
        response = httpx.post(f"{service.url}/v1/probe", content=grey(number), headers=headers, timeout=60)
    except httpx.TransportError:
        return "broken"
    if response.status_code == 200:
        assert response.json()["result"]["mean"] == number
    return str(response.status_code)


def both(service: Service) -> set[int]:
    """The processes of both workers, once both have answered."""
    control = service.control
    control.told.clear()

    def enough() -> bool:
        asked(service, 50)
        return len({told.pid for told in control.told if told.numbers}) == 2

    until(enough, "both workers answer")
    return {told.pid for told in list(control.told) if told.numbers}


@pytest.mark.parametrize("how", ["killed", "without a device"])
def test_a_worker_that_ends_under_load_costs_its_own_photos_alone(workers: Service, how: str) -> None:
    control = workers.control
    first, second = sorted(both(workers))
    seen: Counter[str] = Counter()
    enough = threading.Event()

    def doom(told: Told) -> str:
        if told.pid != first or BAD not in told.numbers:
            return GO
        if how == "killed":
            os.kill(first, signal.SIGKILL)
        return "die"

    def client() -> None:
        while not enough.is_set():
            seen[asked(workers, 60)] += 1

    control.policy = doom
    clients = [threading.Thread(target=client) for _ in range(CLIENTS)]
    for one in clients:
        one.start()
    try:
        until(lambda: asked(workers, BAD) != "200", "the worker ends")
        answered = seen["200"]
        until(lambda: seen["200"] > answered + 50, "the other one answers meanwhile")
        control.policy = lambda told: GO
        now = both(workers)
    finally:
        enough.set()
        for one in clients:
            one.join()
    assert second in now
    assert first not in now
    lost = sum(seen.values()) - seen["200"]
    assert lost <= CLIENTS, seen  # what was under way in the one that ended
    assert set(seen) <= {"200", "broken", "503"}, seen
