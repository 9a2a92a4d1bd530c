"""What Ray Serve costs: one process against one replica on this machine, at concurrency 1 and at saturation.

`python -m tests.bench.bench_ray [ROUNDS]`, with a Python that has ray. Rounds are interleaved, and the CPU time of each
service with all its processes is told, because other load on the machine changes seconds more than that.
"""

import asyncio
import os
import re
import statistics
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import httpx

PHOTO = Path(__file__).resolve().parents[2] / "openapi" / "examples" / "car.jpg"
CALL = "/v1/attributes?vehicle=whole"
ENGINES = ("process", "ray")
ALONE, TOGETHER, CROWD = 40, 160, 16
"""Photos at concurrency 1, photos at saturation, and how many at a time then; of each round."""

COMMAND = (sys.executable, "-c", "from app.cli import main; main()", "serve", "--port", "0")
SETTINGS = {"CARLENS_PREDICTORS": "attributes", "CARLENS_DEVICE": "cpu", "CARLENS_ACCESS_LOG": "false"}


@dataclass
class Measured:
    """Of one engine: seconds of each photo asked alone; photos a second, and CPU seconds a photo, of each round."""

    url: str
    pid: int
    alone: list[float] = field(default_factory=list)
    rates: list[float] = field(default_factory=list)
    cpu: list[float] = field(default_factory=list)


@contextmanager
def service(engine: str) -> Iterator[Measured]:
    environment = {**os.environ, **SETTINGS, "CARLENS_ENGINE": engine}
    with subprocess.Popen(COMMAND, env=environment, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout
            found = next(filter(None, (re.search(r"http://\S+:\d+", line) for line in process.stdout)), None)
            assert found, f"the engine {engine} did not become ready"
            yield Measured(found[0], process.pid)
        finally:
            process.terminate()


def cpu_s(root: int) -> float:
    """CPU seconds of the process and all below it; the parent's number and the times as Linux tells them."""
    parents, used = {}, {}
    for path in Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = path.read_text().rpartition(")")[2].split()
        except OSError:  # it has ended
            continue
        pid = int(path.parent.name)
        parents[pid], used[pid] = int(fields[1]), (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")
    tree = {root}
    while more := {pid for pid, parent in parents.items() if parent in tree} - tree:
        tree |= more
    return sum(used.get(pid, 0.0) for pid in tree)


async def ask(client: httpx.AsyncClient, photo: bytes) -> float:
    began = time.perf_counter()
    answer = await client.post(CALL, content=photo, headers={"Content-Type": "image/jpeg"})
    answer.raise_for_status()
    return time.perf_counter() - began


async def one_round(measured: Measured, photo: bytes) -> None:
    async with httpx.AsyncClient(base_url=measured.url, timeout=60) as client:
        await ask(client, photo)
        measured.alone += [await ask(client, photo) for _ in range(ALONE)]
        turns = iter(range(TOGETHER))

        async def turn() -> None:
            for _ in turns:
                await ask(client, photo)

        before, began = cpu_s(measured.pid), time.perf_counter()
        await asyncio.gather(*(turn() for _ in range(CROWD)))
        measured.rates.append(TOGETHER / (time.perf_counter() - began))
        measured.cpu.append((cpu_s(measured.pid) - before) / TOGETHER)


def main() -> None:
    rounds, photo = int(sys.argv[1]) if len(sys.argv) > 1 else 5, PHOTO.read_bytes()
    with ExitStack() as stack:
        services = {engine: stack.enter_context(service(engine)) for engine in ENGINES}
        for _ in range(rounds):
            for measured in services.values():
                asyncio.run(one_round(measured, photo))
        for engine, measured in services.items():
            print(  # noqa: T201
                f"{engine:8} alone: p50 {statistics.median(measured.alone) * 1000:.1f} ms; {CROWD} at a time: "
                f"{statistics.median(measured.rates):.1f} photos/s, "
                f"{statistics.median(measured.cpu) * 1000:.1f} ms of CPU a photo"
            )


if __name__ == "__main__":
    main()
