"""How long each step of a photo takes: what the simulation is fed with.

`python -m tests.bench.service_times PREDICTOR [--photo FILE] [--output FILE]`, on an idle machine. Steps are called one
at a time; the event loop's share is what a running service uses of the processor beyond them. Of many calls the lower
quartile is taken, of the device and the service the quickest, since whatever else runs on a machine only adds.
"""

import argparse
import platform
import statistics
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import httpx
import numpy as np

from app.cores import cores
from app.locate import scale_for
from models.backends import resolve_device
from models.photo import Limits, decode, read_header, whole
from models.registry import discover
from tests.bench.bench_ray import PHOTO
from tests.bench.compare.arms.work import Given
from tests.bench.compare.servers import arm, free_port, running
from tests.bench.simulation.times import Run, Times

CALLS, ROUNDS, ASKED = 40, 5, 40
LIMITS = Limits()


def quartile(seconds: Sequence[float]) -> float:
    return statistics.quantiles(seconds, n=4)[0]


def on_one_core(work: Callable[[], object]) -> float:
    """Seconds of this thread that a call takes."""
    took = list[float]()
    for _ in range(CALLS):
        began = time.thread_time()
        work()
        took.append(time.thread_time() - began)
    return quartile(took)


def on_device(work: Callable[[], object]) -> tuple[float, float]:
    """Seconds that a call takes at its best, and the cores it keeps busy meanwhile."""
    work()
    took, used = list[float](), list[float]()
    for _ in range(CALLS):
        began, cpu = time.perf_counter(), time.process_time()
        work()
        took.append(time.perf_counter() - began)
        used.append(time.process_time() - cpu)
    return min(took), quartile(used) / min(took)


def steps(name: str, data: bytes) -> Times:
    """All but what the event loop takes."""
    predictor = discover(wanted=[name], threads=cores())[name]
    device = resolve_device("auto")
    predictor.load(device)
    header = read_header(data, LIMITS)
    region, options = whole(header), predictor.specification.options()
    scale = scale_for(predictor.specification, region)

    def prepare() -> dict[str, np.ndarray]:
        photo = decode(data, read_header(data, LIMITS), scale)
        return dict(predictor.prepare(photo, region, options))

    item = prepare()
    runs = {}
    for size in predictor.specification.sizes_on(device):
        batch = {key: np.stack([array] * size) for key, array in item.items()}
        seconds, busy = on_device(lambda: predictor.run(batch))  # noqa: B023
        runs[size] = Run(seconds=seconds, cores=min(busy, cores()) if device == "cpu" else 0.0)
        row = {key: array[0] for key, array in predictor.run(batch).items()}
    return Times(
        predictor=name,
        measured_on=f"{platform.machine()}, {cores()} cores, {predictor.card.backend} on {device}",
        photo_bytes=len(data),
        cores=cores(),
        loop_s=0.0,
        prepare_s=on_one_core(prepare),
        finish_s=on_one_core(lambda: predictor.finish(row, header, region, options)),
        device=runs,
    )


def loop_s(known: Times, photo: Path) -> float:
    """Processor seconds of a request in a running service, beyond those of the other steps."""
    command, url, environment = arm("carlens", Given(known.predictor, "user", free_port(), 1, 0.0, 0, cores()))
    headers, data = {"Content-Type": "image/jpeg"}, photo.read_bytes()
    used = list[float]()
    with running(command, url, photo, environment) as server, httpx.Client(timeout=60, trust_env=False) as client:
        for _ in range(ROUNDS):
            before = server.cpu_seconds()
            for _ in range(ASKED):
                client.post(url, content=data, headers=headers).raise_for_status()
            used.append((server.cpu_seconds() - before) / ASKED)
    alone = known.device[1]
    return max(0.0, min(used) - known.prepare_s - known.finish_s - alone.seconds * alone.cores)


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description="How long each step of a photo takes, for the simulation.")
    parser.add_argument("predictor", nargs="?", default="attributes")
    parser.add_argument("--photo", type=Path, default=PHOTO)
    parser.add_argument("--output", type=Path, default=Path("reports/bench/times.json"))
    chosen = parser.parse_args(arguments)
    known = steps(chosen.predictor, chosen.photo.read_bytes())
    known = known.model_copy(update={"loop_s": loop_s(known, chosen.photo)})
    chosen.output.parent.mkdir(parents=True, exist_ok=True)
    chosen.output.write_text(known.model_dump_json(indent=1) + "\n")
    sys.stdout.write(f"{chosen.output}\n{known.model_dump_json(indent=1)}\n")


if __name__ == "__main__":
    main()
