"""Servers as processes of their own: started on a free port, waited for, watched, and stopped with all they started."""

import os
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
import uuid
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import httpx

from tests.bench.compare import processes
from tests.bench.compare.arms.work import PATH, VARIABLE, Given

ROOT = Path(__file__).resolve().parents[3]
START_S = 180.0
STOP_S = 8.0
CARLENS = "from app.cli import main; main()"
"""The `carlens` command, whose script may lie elsewhere."""

TAIL = 12
"""Lines of a server's log that are told where it does not start."""


class NotStarted(Exception):
    """A server that ended, or was not ready in time; the text holds the last lines of its log."""


@dataclass(slots=True)
class Server:
    """A running server. `memory_mib` is the most that all its processes held together, as often as it was looked at."""

    url: str
    mark: str
    process: "subprocess.Popen[bytes]"
    log: Path
    memory_mib: float = 0.0
    ended: threading.Event = field(default_factory=threading.Event)

    def cpu_seconds(self) -> float:
        """CPU time used so far by all its processes."""
        return processes.cpu_seconds(processes.members(self.mark))

    def look(self) -> float:
        """MiB held now, which may raise the most."""
        now = processes.memory_mib(processes.members(self.mark))
        self.memory_mib = max(self.memory_mib, now)
        return now

    def watch(self, every_s: float = 2.0) -> None:
        while not self.ended.wait(every_s):
            self.look()

    def tail(self) -> str:
        lines = self.log.read_text(encoding="utf-8", errors="replace").splitlines()
        return "\n".join(line[:300] for line in lines[-TAIL:])


def free_port() -> int:
    """A port that nobody listens on."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port: int = listener.getsockname()[1]
        return port


def environment(more: Mapping[str, str], mark: str) -> dict[str, str]:
    """This process's own, without settings of carlens from outside, so that every server is as it comes."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("CARLENS_")}
    return {**kept, "PYTHONPATH": str(ROOT), processes.MARK: mark, **more}


@contextmanager
def running(
    command: Sequence[str], url: str, probe: Path, more: Mapping[str, str], start_s: float = START_S
) -> Iterator[Server]:
    """The command once it answers `probe`, a photo sent to `url`, with 200. Whatever happens, no process of it is left.

    Raises `NotStarted`.
    """
    mark = uuid.uuid4().hex
    with tempfile.TemporaryDirectory(prefix="bench-", ignore_cleanup_errors=True) as folder:
        log = Path(folder) / "log"
        with log.open("wb") as output:
            process = subprocess.Popen(
                command,
                cwd=ROOT,
                env=environment(more, mark),
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,  # Ctrl-C reaches this process alone, which stops the server in order
            )
        server = Server(url, mark, process, log)
        watcher = threading.Thread(target=server.watch, daemon=True)
        try:
            _wait(server, probe.read_bytes(), start_s)
            watcher.start()
            yield server
        finally:
            server.ended.set()
            stop(process, mark)


def _wait(server: Server, photo: bytes, seconds: float) -> None:
    until, said = time.monotonic() + seconds, "it never listened"
    with httpx.Client(timeout=seconds, trust_env=False) as client:
        while time.monotonic() < until:
            if server.process.poll() is not None:
                raise NotStarted(f"ended with exit code {server.process.returncode}:\n{server.tail()}")
            try:
                answer = client.post(server.url, content=photo, headers={"content-type": "image/jpeg"})
                if answer.status_code == 200:
                    return
                said = f"its last answer was {answer.status_code}: {answer.text[:200]}"
            except httpx.TransportError:
                pass
            time.sleep(0.25)
    raise NotStarted(f"not ready after {seconds:g} s, {said}:\n{server.tail()}")


def stop(process: "subprocess.Popen[bytes]", mark: str, patience_s: float = STOP_S) -> None:
    """Asks the server to end, and ends by force what is left of it. A second Ctrl-C meanwhile is put off."""
    before = None
    if threading.current_thread() is threading.main_thread():
        before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        if process.poll() is None:
            process.terminate()
        try:
            process.wait(patience_s)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
        until = time.monotonic() + patience_s
        while left := processes.members(mark):
            sign = signal.SIGTERM if time.monotonic() < until - patience_s / 2 else signal.SIGKILL
            for pid in left:
                try:
                    os.kill(pid, sign)
                except ProcessLookupError:
                    continue
            if time.monotonic() > until:
                break
            time.sleep(0.2)
    finally:
        if before is not None:
            signal.signal(signal.SIGINT, before)


def arm(name: str, given: Given) -> tuple[list[str], str, dict[str, str]]:
    """Command, address and environment of the arm of that name."""
    base = f"http://127.0.0.1:{given.port}"
    whole = "?vehicle=whole" if given.predictor in ("attributes", "car_details") else ""
    if name == "carlens" and given.table == "user":
        command = [sys.executable, "-c", CARLENS, "serve", "--port", str(given.port)]
        return command, f"{base}/v1/{given.predictor}{whole}", {"CARLENS_PREDICTORS": given.predictor}
    command = [sys.executable, "-m", f"tests.bench.compare.arms.{name}"]
    path = f"/v1/{given.predictor}{whole}" if name == "carlens" else PATH
    return command, base + path, {VARIABLE: given.text()}
