"""A real `carlens serve` with the probe as its predictor, on a port that is known before it is ready."""

import os
import re
import socket
import subprocess
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import httpx

from tests.contract.process import COMMAND, end
from tests.faults import probe
from tests.faults.control import PATIENCE_S, Control

ROOT = Path(__file__).resolve().parents[2]


@dataclass(frozen=True, slots=True)
class Service:
    """The running process. `log` is its standard error."""

    port: int
    process: "subprocess.Popen[str]"
    control: Control
    log: Path
    client: httpx.Client

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def connect(self, patience_s: float = PATIENCE_S) -> socket.socket:
        return socket.create_connection(("127.0.0.1", self.port), patience_s)

    def get(self, path: str) -> httpx.Response:
        return self.client.get(path)

    def post(
        self, photo: bytes, headers: Mapping[str, str] | None = None, params: Mapping[str, str] | None = None
    ) -> httpx.Response:
        """The probe's answer to a photo; `headers` over those of a raw body."""
        whole = {"Content-Type": "application/octet-stream", **(headers or {})}
        return self.client.post("/v1/probe", content=photo, headers=whole, params=params)

    def ready(self) -> bool:
        return self.get("/health/ready").status_code == 200

    def metric(self, name: str, label: str = "") -> float:
        """The sum of a metric's samples that have this label, `status="200"` say."""
        samples = re.findall(rf"^{name}(?:{{.*{label}.*}})? (\S+)$", self.get("/metrics").text, re.MULTILINE)
        return sum(map(float, samples))

    def waiting(self) -> float:
        return self.metric("carlens_queue_depth")

    def in_flight(self) -> float:
        """Without the question itself."""
        return self.metric("carlens_http_in_flight") - 1

    def memory(self, which: str = "VmRSS") -> float:
        """MiB of the process, now (`VmRSS`) or at most since `forget_peak` (`VmHWM`)."""
        status = Path(f"/proc/{self.process.pid}/status").read_text()
        found = re.search(rf"^{which}:\s+(\d+) kB", status, re.MULTILINE)
        assert found, status
        return int(found[1]) / 1024

    def forget_peak(self) -> None:
        Path(f"/proc/{self.process.pid}/clear_refs").write_text("5")

    def sockets(self) -> int:
        """How many the process has open."""
        found = 0
        for file in Path(f"/proc/{self.process.pid}/fd").iterdir():
            with suppress(OSError):  # closed meanwhile
                found += str(file.readlink()).startswith("socket:")
        return found

    def answers(self) -> bool:
        with suppress(httpx.HTTPError):
            return self.get("/health/live").status_code == 200
        return False


def until(met: Callable[[], bool], what: str, patience_s: float = PATIENCE_S) -> None:
    """Waits for what the service tells only who asks."""
    end = time.monotonic() + patience_s
    while not met():
        assert time.monotonic() < end, f"{what}: not within {patience_s:g} s"
        time.sleep(0.02)


def plugin(folder: Path) -> str:
    """PYTHONPATH with a distribution whose entry point is the probe."""
    info = folder / "probe_plugin-0.1.0.dist-info"
    info.mkdir(exist_ok=True)
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: probe-plugin\nVersion: 0.1.0\n")
    (info / "entry_points.txt").write_text("[carlens.predictors]\nprobe = tests.faults.probe:Probe\n")
    return os.pathsep.join(part for part in (str(folder), str(ROOT), os.environ.get("PYTHONPATH")) if part)


@contextmanager
def started(folder: Path, control: Control, settings: Mapping[str, object], *arguments: str) -> Iterator[Service]:
    """The process as soon as it answers at all, ready or not; ended at the end, whatever became of it."""
    clean = {name: value for name, value in os.environ.items() if not name.startswith("CARLENS_")}
    given = {f"CARLENS_{name.upper()}": str(value) for name, value in settings.items()}
    environment = {
        **clean,
        "CARLENS_PREDICTORS": "probe",
        "CARLENS_DEVICE": "cpu",
        "CARLENS_DEFAULT_DEADLINE_MS": "60000",
        **given,
        "PYTHONPATH": plugin(folder),
        probe.ADDRESS: control.address,
    }
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    log = folder / "log"
    with log.open("w", encoding="utf-8") as errors:
        command = [COMMAND, "serve", "--port", str(port), *arguments]
        process = subprocess.Popen(command, env=environment, stdout=errors, stderr=errors, text=True)
    limits = httpx.Limits(max_connections=None, max_keepalive_connections=50)
    client = httpx.Client(base_url=f"http://127.0.0.1:{port}", timeout=PATIENCE_S, limits=limits)
    service = Service(port, process, control, log, client)
    try:
        until(lambda: service.answers() or process.poll() is not None, "the process answers")
        yield service
    except BaseException:
        print(log.read_text(encoding="utf-8")[-4000:])  # noqa: T201 - pytest shows it where a test fails
        raise
    finally:
        control.close()
        client.close()
        end(process)


@contextmanager
def serving(folder: Path, *arguments: str, **settings: object) -> Iterator[Service]:
    """The service once it is ready."""
    with started(folder, Control(), settings, *arguments) as service:
        until(service.ready, "the service is ready")
        yield service
