"""SIGTERM while photos are on their way: all that were taken are answered, and nothing keeps the process for longer."""

import http.client
import signal
import threading
from pathlib import Path

import httpx

from tests.faults.control import PATIENCE_S
from tests.faults.crowd import busy, crowd, grey, means, queued
from tests.faults.process import Service, serving, until


def refuses(service: Service) -> bool:
    """Whether a photo on a new connection is refused, whichever way."""
    try:
        return httpx.post(f"{service.url}/v1/probe", content=grey(99), timeout=PATIENCE_S).status_code == 503
    except httpx.ConnectError:
        return True


def test_all_that_were_taken_are_answered_and_an_idle_connection_keeps_nobody(tmp_path: Path) -> None:
    with serving(tmp_path) as service, crowd(service, 30) as post:
        idle = http.client.HTTPConnection("127.0.0.1", service.port, timeout=PATIENCE_S)
        idle.request("GET", "/health/live")
        assert idle.getresponse().read() == b'{"live":true}'
        with busy(service, post) as first:
            taken = [post(grey(number)) for number in range(41, 70)]
            queued(service, 29)
            service.process.send_signal(signal.SIGTERM)
            until(lambda: refuses(service), "new photos are refused")
            service.process.send_signal(signal.SIGTERM)  # once more, which changes nothing
            assert service.process.poll() is None
        assert means([first, *taken]) == [255, *range(41, 70)]
        assert idle.sock is not None
        assert idle.sock.recv(1) == b""
        idle.close()
        assert service.process.wait(PATIENCE_S) == 0
    assert 99 not in service.control.computed


def test_the_count_down_does_not_begin_anew_with_every_signal(tmp_path: Path) -> None:
    with serving(tmp_path, grace_s=1) as service, crowd(service, 1) as post:
        ended = threading.Event()

        def again() -> None:
            while not ended.wait(0.2):
                service.process.send_signal(signal.SIGTERM)

        with busy(service, post) as held:
            impatient = threading.Thread(target=again)
            impatient.start()
            try:
                assert held.result(60).status_code == 503
            finally:
                ended.set()
                impatient.join()
            assert service.process.wait(PATIENCE_S) == 0
