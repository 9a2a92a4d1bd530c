"""A real process as an operator meets it: its log, its traces, how it stops, and what its exit code says."""

import json
import os
import signal
import socket
import subprocess
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import httpx
import pytest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from tests.contract.process import COMMAND, PATIENCE_S, Service, serving
from tests.contract.who import installed
from tests.fakes import photo
from tests.gateway import JPEG

CALLERS = "0af7651916cd43dd8448eb211c80319c"


@pytest.fixture(scope="module")
def who(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    return installed(tmp_path_factory.mktemp("who"))


def ask(service: Service, **options: float) -> httpx.Response:
    return httpx.post(f"{service.url}/v1/who", params=options, content=photo(), headers=JPEG, timeout=30)


def raw(service: Service, request: bytes) -> bytes:
    """The answer to bytes that no client would send."""
    address = urlsplit(service.url)
    with socket.create_connection((address.hostname, address.port), 30) as connection:
        connection.sendall(request)
        connection.shutdown(socket.SHUT_WR)
        return b"".join(iter(lambda: connection.recv(65536), b""))


def test_every_line_of_the_log_is_an_object_and_nobody_writes_his_own(who: dict[str, str], tmp_path: Path) -> None:
    log = tmp_path / "log"
    with serving(log, {**who, "CARLENS_LOG_LEVEL": "debug"}) as service:
        assert ask(service).status_code == 200
        fake = b'{"level": "critical", "message": "forged"}'
        for request in (
            b"GET /forged%0a" + fake.replace(b" ", b"%20") + b" HTTP/1.1\r\nHost: x\r\n\r\n",
            b"GET / HTTP/1.1\r\nHost: x\r\nX-Request-ID: forged\n" + fake + b"\r\n\r\n",
            b"GET / HTTP/1.1\r\nHost: x\r\nX-Request-ID: forged\x00\x1b[2J\r\n\r\n",
            b"GET /\xff\xfeforged HTTP/1.1\r\nHost: x\r\nUser-Agent: forged\r\n\r\n",
            b"forged\nforged\n\n",
        ):
            raw(service, request)
    lines = [json.loads(line) for line in log.read_text(encoding="utf-8").splitlines()]
    assert all({"time", "level", "logger", "message"} <= set(line) for line in lines)
    assert "critical" not in {line["level"] for line in lines}
    assert "forged" not in log.read_text(encoding="utf-8")
    (request,) = [line for line in lines if line.get("route") == "/v1/who"]
    assert (request["logger"], request["status"], request["models"]) == ("carlens.request", 200, ["who"])
    assert request["bytes_in"] == len(photo())
    assert [line for line in lines if line["logger"].startswith("uvicorn")], "uvicorn's lines come in the same form"


def test_several_workers_log_in_the_same_form_and_say_who_they_are(who: dict[str, str], tmp_path: Path) -> None:
    log = tmp_path / "log"
    with serving(log, {**who, "CARLENS_WORKERS": "2"}) as service:
        pid = ask(service).json()["result"]["pid"]
        os.kill(pid, signal.SIGKILL)
        assert ask(service).status_code == 200
    lines = [json.loads(line) for line in log.read_text(encoding="utf-8").splitlines()]
    told = {line["process"]: line["message"] for line in lines}
    assert "ended with exit code -9" in told["supervisor"]
    assert {line["process"] for line in lines if "route" in line} <= {"worker 0", "worker 1"}
    assert [line["process"] for line in lines if "route" in line]


def test_text_is_a_setting(who: dict[str, str], tmp_path: Path) -> None:
    log = tmp_path / "log"
    with serving(log, {**who, "CARLENS_LOG_FORMAT": "text"}) as service:
        ask(service)
    assert " INFO carlens.request: POST /v1/who 200 request_id=" in log.read_text(encoding="utf-8")


class Collector(HTTPServer):
    """Takes OTLP over HTTP, and keeps it."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.taken: list[ExportTraceServiceRequest] = []
        self.arrived = threading.Condition()

    def spans(self) -> dict[str, Any]:
        scopes = [scope for one in self.taken for some in one.resource_spans for scope in some.scope_spans]
        return {span.name: span for scope in scopes for span in scope.spans}


class Handler(BaseHTTPRequestHandler):
    server: Collector

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["content-length"]))
        with self.server.arrived:
            self.server.taken.append(ExportTraceServiceRequest.FromString(body))
            self.server.arrived.notify_all()
        self.send_response(200)
        self.end_headers()

    def log_message(self, format: str, *args: object) -> None:
        """Says nothing."""


@contextmanager
def collecting() -> Iterator[Collector]:
    with Collector() as collector:
        thread = threading.Thread(target=collector.serve_forever)
        thread.start()
        try:
            yield collector
        finally:
            collector.shutdown()
            thread.join()


def test_traces_go_to_where_the_standard_variables_say(who: dict[str, str], tmp_path: Path) -> None:
    with collecting() as collector:
        given = {
            "CARLENS_TRACES": "true",
            "OTEL_EXPORTER_OTLP_ENDPOINT": f"http://127.0.0.1:{collector.server_port}",
            "OTEL_SERVICE_NAME": "claims",
            "OTEL_BSP_SCHEDULE_DELAY": "50",
        }
        with serving(tmp_path / "log", {**who, **given}) as service:
            headers = {**JPEG, "traceparent": f"00-{CALLERS}-b7ad6b7169203331-01"}
            httpx.post(f"{service.url}/v1/who", content=photo(), headers=headers, timeout=30)
            with collector.arrived:
                assert collector.arrived.wait_for(lambda: "POST /v1/who" in collector.spans(), PATIENCE_S)
        spans = collector.spans()
    assert set(spans) >= {"POST /v1/who", "receive", "decode", "prepare", "queue", "device", "finish"}
    assert {span.trace_id.hex() for name, span in spans.items() if name in ("POST /v1/who", "device")} == {CALLERS}
    resource = {one.key: one.value.string_value for one in collector.taken[0].resource_spans[0].resource.attributes}
    assert resource["service.name"] == "claims"
    assert resource["service.version"]
    lines = [json.loads(line) for line in (tmp_path / "log").read_text(encoding="utf-8").splitlines()]
    assert CALLERS in {line.get("trace_id") for line in lines}


def test_a_collector_that_takes_nothing_harms_nobody(who: dict[str, str], tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        endpoint = f"http://127.0.0.1:{silent.getsockname()[1]}"
        given = {"CARLENS_TRACES": "true", "OTEL_EXPORTER_OTLP_ENDPOINT": endpoint, "OTEL_BSP_SCHEDULE_DELAY": "1"}
        with serving(tmp_path / "log", {**who, **given}) as service:
            assert [ask(service).status_code for _ in range(5)] == [200] * 5
            service.process.send_signal(signal.SIGTERM)
            assert service.process.wait(PATIENCE_S) == 0


@pytest.mark.parametrize("workers", ["1", "2"])
def test_readiness_ends_first_and_photos_are_answered_until_the_delay_is_over(
    who: dict[str, str], tmp_path: Path, workers: str
) -> None:
    """The delay is longer than any test; what ends it is a second signal."""
    given = {**who, "CARLENS_DRAIN_DELAY_S": "3000", "CARLENS_WORKERS": workers}
    with serving(tmp_path / "log", given) as service:
        ready = f"{service.url}/health/ready"
        assert httpx.get(ready, timeout=30).status_code == 200
        service.process.send_signal(signal.SIGTERM)
        end = time.monotonic() + PATIENCE_S
        while (answer := httpx.get(ready, timeout=30)).status_code == 200:
            assert time.monotonic() < end, "it stays ready"
        assert (answer.status_code, answer.json()["code"]) == (503, "shutting_down")
        assert httpx.get(f"{service.url}/health/live", timeout=30).status_code == 200
        assert ask(service).status_code == 200  # a new connection, after readiness has ended
        assert service.process.poll() is None
        service.process.send_signal(signal.SIGTERM)
        assert service.process.wait(PATIENCE_S) == 0
        with pytest.raises(httpx.ConnectError):
            httpx.get(ready, timeout=30)


def test_workers_whose_supervisor_is_killed_wait_for_no_delay(who: dict[str, str], tmp_path: Path) -> None:
    with serving(tmp_path / "log", {**who, "CARLENS_DRAIN_DELAY_S": "3000", "CARLENS_WORKERS": "2"}) as service:
        service.process.kill()
        end = time.monotonic() + PATIENCE_S
        while answers(service):
            assert time.monotonic() < end, "the workers live on"
            time.sleep(0.05)


def answers(service: Service) -> bool:
    """Whether any process still holds the service's port."""
    try:
        httpx.get(f"{service.url}/health/live", timeout=30)
    except httpx.TransportError:
        return False
    return True


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_stop_that_was_asked_for_is_exit_code_0(who: dict[str, str], tmp_path: Path, number: signal.Signals) -> None:
    with serving(tmp_path / "log", who) as service:
        service.process.send_signal(number)
        assert service.process.wait(PATIENCE_S) == 0


@pytest.mark.parametrize("command", ["serve", "check"])
@pytest.mark.parametrize(
    ("given", "code", "told"),
    [
        ({"CARLENS_PORT": "many", "CARLENS_PRT": "1"}, 2, ["CARLENS_PORT='many'", "Did you mean CARLENS_PORT?"]),
        ({"CARLENS_PREDICTORS": "nobody"}, 2, ["no predictor nobody", "CARLENS_PREDICTORS=nobody"]),
        ({"CARLENS_DEVICE": "cuda:77"}, 1, ["cuda:77", "CARLENS_DEVICE"]),
        ({"CARLENS_WEIGHTS_DIR": "/nowhere"}, 1, ["/nowhere", "CARLENS_WEIGHTS_DIR"]),
        ({"CARLENS_TRACES": "1", "OTEL_TRACES_EXPORTER": "zipkin"}, 1, ["no exporter 'zipkin'"]),
    ],
)
def test_what_cannot_serve_says_why_and_its_exit_code_tells(
    who: dict[str, str], command: str, given: dict[str, str], code: int, told: list[str]
) -> None:
    environment = {**os.environ, **who, "CARLENS_PORT": "0", **given}
    done = subprocess.run(
        [COMMAND, command], env=environment, capture_output=True, text=True, timeout=PATIENCE_S, check=False
    )
    assert (done.returncode, done.stdout) == (code, ""), done.stderr
    assert all(text in done.stderr for text in told), done.stderr
    assert "Traceback" not in done.stderr


def test_a_taken_port_is_exit_code_1_for_both(who: dict[str, str], tmp_path: Path) -> None:
    with serving(tmp_path / "log", who) as service:
        given = {**os.environ, **who, "CARLENS_PORT": str(urlsplit(service.url).port)}
        for command in ("serve", "check"):
            done = subprocess.run(
                [COMMAND, command], env=given, capture_output=True, text=True, timeout=PATIENCE_S, check=False
            )
            assert done.returncode == 1
            assert "Address already in use" in done.stderr
            assert "`carlens serve` would" not in done.stdout


def test_check_says_what_would_be_served(who: dict[str, str]) -> None:
    given = {**os.environ, **who, "CARLENS_PORT": "0", "CARLENS_WORKERS": "2"}
    done = subprocess.run(
        [COMMAND, "check"], env=given, capture_output=True, text=True, timeout=PATIENCE_S, check=False
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert "`carlens serve` would listen on any free port of 127.0.0.1, with 2 workers on cpu" in done.stdout
