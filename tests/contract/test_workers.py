"""Two real workers behind one port: both answer, they count together, one that dies is missed by nobody, and none
outlives the service."""

import os
import re
import signal
import socket
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from urllib.parse import urlsplit

import httpx
import pytest
from prometheus_client.parser import text_string_to_metric_families

from tests.contract.process import COMMAND, Service, serving
from tests.contract.who import installed
from tests.fakes import photo
from tests.gateway import JPEG

PATIENCE_S = 90.0


@pytest.fixture(scope="module")
def environment(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """Settings of a service with the predictor of `who` alone, in two workers."""
    return {**installed(tmp_path_factory.mktemp("who")), "CARLENS_WORKERS": "2"}


class Client:
    """Asks on a new connection each time, so that any worker may answer, and counts what it asked."""

    def __init__(self, service: Service) -> None:
        self.service = service
        self.asked = 0

    def ask(self, **options: float) -> dict[str, int]:
        self.asked += 1
        url = f"{self.service.url}/v1/who"
        response = httpx.post(url, params=options, content=photo(), headers=JPEG, timeout=30)
        assert response.status_code == 200, response.text
        result: dict[str, int] = response.json()["result"]
        return result

    def pids(self, count: int, without: int = 0) -> set[int]:
        """Asks until so many other workers than `without` have answered."""
        seen: set[int] = set()

        def enough() -> bool:
            seen.add(self.ask()["pid"])
            return len(seen - {without}) >= count

        until(enough)
        return seen

    def counted(self) -> float:
        """The photos answered, as /metrics has it."""
        text = httpx.get(f"{self.service.url}/metrics", timeout=30).text
        return sum(
            sample.value
            for family in text_string_to_metric_families(text)
            for sample in family.samples
            if sample.name == "carlens_http_requests_total" and sample.labels["route"] == "/v1/who"
        )


def until(met: Callable[[], bool]) -> None:
    end = time.monotonic() + PATIENCE_S
    while not met():
        assert time.monotonic() < end, "it never came to pass"
        time.sleep(0.05)


def answers(service: Service) -> bool:
    """Whether any process still holds the service's port."""
    address = urlsplit(service.url)
    try:
        socket.create_connection((address.hostname, address.port), 5).close()
    except OSError:
        return False
    return True


@pytest.fixture(scope="module")
def client(environment: dict[str, str], tmp_path_factory: pytest.TempPathFactory) -> Iterator[Client]:
    with serving(tmp_path_factory.mktemp("workers") / "log", environment) as service:
        yield Client(service)


def test_both_answer_and_whoever_is_asked_counts_for_both(client: Client) -> None:
    assert len(client.pids(2)) == 2
    threads = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    assert client.ask()["threads"] in {max(1, threads // 2), max(1, -(-threads // 2))}
    assert {client.counted() for _ in range(16)} == {client.asked}


def test_one_that_is_killed_costs_no_later_request_and_comes_back(client: Client) -> None:
    first, second = sorted(client.pids(2))
    before = client.counted()
    assert before == client.asked
    os.kill(first, signal.SIGKILL)
    assert {client.ask()["pid"] for _ in range(20)} == {second}
    assert len(client.pids(2, without=first) - {first, second}) == 1
    assert client.counted() == client.asked


def test_sigterm_answers_what_was_taken_and_leaves_no_process(client: Client) -> None:
    answered: list[int] = []
    asking = threading.Thread(target=lambda: answered.append(client.ask(wait_s=2)["pid"]))
    asking.start()
    time.sleep(0.7)
    client.service.process.send_signal(signal.SIGTERM)
    assert client.service.process.wait(40) == 0
    asking.join(5)
    assert len(answered) == 1
    assert not answers(client.service)


def test_a_supervisor_that_is_killed_leaves_no_orphan(environment: dict[str, str], tmp_path: Path) -> None:
    with serving(tmp_path / "log", environment) as service:
        assert answers(service)
        service.process.kill()
        service.process.wait()
        until(lambda: not answers(service))


def test_workers_that_cannot_start_end_the_service(environment: dict[str, str], tmp_path: Path) -> None:
    command = [COMMAND, "serve", "--port", "0"]
    given = {**os.environ, **environment, "WHO_BREAKS": "1"}
    done = subprocess.run(command, env=given, capture_output=True, text=True, timeout=PATIENCE_S, check=False)
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.count("carlens: who breaks in a worker\n") == 3
    assert re.search(r"worker 0 cannot start \(exit code 1\)", done.stderr)
