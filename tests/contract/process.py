"""A real `carlens serve` in a process of its own, on a free port."""

import os
import re
import subprocess
import sys
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import httpx

from tests.keyed import bearer

COMMAND = str(Path(sys.executable).parent / "carlens")
PATIENCE_S = 240.0
"""A service that is not ready by then is killed; the weights of all predictors load in seconds, on a busy machine in
a minute."""


@dataclass(frozen=True, slots=True)
class Service:
    url: str
    process: "subprocess.Popen[str]"
    token: str = ""

    def client(self) -> httpx.AsyncClient:
        """A client with the key `token`, which may ask as many things at once as it likes."""
        limits, headers = httpx.Limits(max_connections=None), bearer(self.token) if self.token else {}
        return httpx.AsyncClient(base_url=self.url, timeout=PATIENCE_S, limits=limits, headers=headers)


def end(process: "subprocess.Popen[str]") -> None:
    """Asks it to stop, and ends by force what does not."""
    process.terminate()
    try:
        process.wait(40)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


@contextmanager
def serving(log: Path, environment: Mapping[str, str], cwd: Path | None = None, token: str = "") -> Iterator[Service]:
    """The service once every predictor is ready, with its log in a file; stopped at the end. `token`: its clients."""
    clean = {name: value for name, value in os.environ.items() if not name.startswith("CARLENS_")}
    with log.open("w", encoding="utf-8") as errors:
        process = subprocess.Popen(
            [COMMAND, "serve", "--port", "0"],
            env={**clean, **environment},
            cwd=cwd,
            stdout=subprocess.PIPE,
            stderr=errors,
            text=True,
        )
    assert process.stdout
    guard = threading.Timer(PATIENCE_S, process.kill)
    guard.start()
    try:
        line = process.stdout.readline()
        address = re.search(r"http://127\.0\.0\.1:\d+", line)
        assert address, f"carlens serve did not become ready: {line}{log.read_text(encoding='utf-8')[-4000:]}"
        guard.cancel()
        yield Service(address[0], process, token)
    finally:
        guard.cancel()
        end(process)
        process.stdout.close()
