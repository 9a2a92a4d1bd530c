"""Large sets: how fast `carlens predict --out` is by both engines, as a share of the bare pipeline, and its memory.

`python -m tests.bench.bench_sets [--photos N] [--turn N] [--seconds S] [--engines process ray]`, with a Python that has
ray for that engine. In turns each engine answers a set of photos as people run it, in a process of its own, and the
bare pipeline (read, decode, prepare, run, finish, in one thread) answers a quarter of them before each, because other
load on the machine changes speed more than an engine does. Photos a second are told by when the parts were
written, from the second to the last, so that loading does not count; CPU milliseconds are those of all processes.
"""

import argparse
import io
import os
import random
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from PIL import Image

from app.cores import cores
from app.locate import scale_for
from models.photo import Limits, decode, read_header, whole
from models.predictor import VehicleOptions
from models.registry import AnyPredictor, discover
from tests.bench.compare.processes import MARK, cpu_seconds, members, memory_mib

ORIGINAL = Path(__file__).resolve().parents[2] / "openapi" / "examples" / "car.jpg"
DISTINCT, WIDTH, HEIGHT = 64, 320, 240
SHARD = 250
COMMAND = (sys.executable, "-c", "from app.cli import main; main()", "predict")
ASKED = ("--task", "attributes", "--vehicle", "whole", "--shard", str(SHARD))
LIMITS = Limits(max_pixels=10**7, max_side=10**4)
LOOK_S = 0.5


def draw(folder: Path, photos: int) -> list[Path]:
    """So many small JPEGs: 64 cuts of one drawing in other colours, each file with a comment of its own."""
    rng = random.Random(0)
    pictures = []
    with Image.open(ORIGINAL) as original:
        for _ in range(DISTINCT):
            left, top = rng.randrange(original.width // 3), rng.randrange(original.height // 3)
            cut = original.crop((left, top, left + original.width * 2 // 3, top + original.height * 2 // 3))
            colored = np.asarray(cut.resize((WIDTH, HEIGHT))) * np.array([rng.uniform(0.5, 1) for _ in range(3)])
            buffer = io.BytesIO()
            Image.fromarray(colored.astype(np.uint8)).save(buffer, "JPEG", quality=88)
            pictures.append(buffer.getvalue())
    paths = []
    for number in range(photos):
        path = folder / f"{number // 1000:03d}" / f"{number:06d}.jpg"
        path.parent.mkdir(exist_ok=True)
        comment = f"{number:06d}".encode()
        data = pictures[number % DISTINCT]
        path.write_bytes(data[:2] + b"\xff\xfe" + (len(comment) + 2).to_bytes(2) + comment + data[2:])
        paths.append(path)
    return paths


@dataclass
class Arm:
    """What was measured of one way: of each turn photos a second and CPU seconds a photo, and the
    mebibytes that were held at one look after another."""

    name: str
    rates: list[float] = field(default_factory=list)
    cpu: list[float] = field(default_factory=list)
    held: list[list[float]] = field(default_factory=list)
    photos: int = 0


def bare(arm: Arm, predictor: AnyPredictor, photos: Sequence[Path]) -> None:
    """One thread, nothing in between."""
    size = max(predictor.specification.sizes_on("cpu"))
    options = VehicleOptions(vehicle="whole")
    began, used = time.perf_counter(), time.process_time()
    for start in range(0, len(photos), size):
        taken = []
        for path in photos[start : start + size]:
            data = path.read_bytes()
            header = read_header(data, LIMITS)
            region = whole(header)
            photo = decode(data, header, scale_for(predictor.specification, region))
            taken.append((header, region, predictor.prepare(photo, region, options)))
        inputs = {name: np.stack([item[name] for _, _, item in taken]) for name in taken[0][2]}
        outputs = predictor.run(inputs)
        for row, (header, region, _) in enumerate(taken):
            predictor.finish({name: array[row] for name, array in outputs.items()}, header, region, options)
    arm.rates.append(len(photos) / (time.perf_counter() - began))
    arm.cpu.append((time.process_time() - used) / len(photos))
    arm.photos += len(photos)


def by_engine(arm: Arm, photos: Sequence[Path], folder: Path) -> None:
    """The command in a process of its own until it ends, watched from outside."""
    (folder / "list.csv").write_text("\n".join(["file", *map(str, photos)]))
    parts, mark = folder / arm.name / "answers", f"{os.getpid()}-{arm.name}-{arm.photos}"
    shutil.rmtree(folder / arm.name, ignore_errors=True)
    environment = {**os.environ, "CARLENS_DEVICE": "cpu", "RAY_ADDRESS": "local", MARK: mark}
    command = [*COMMAND, str(folder / "list.csv"), *ASKED, "--out", str(folder / arm.name), "--engine", arm.name]
    seen: list[tuple[int, float, float]] = []
    """Parts, CPU seconds and mebibytes, at one look after another."""
    with (folder / "told").open("w") as told, subprocess.Popen(command, env=environment, stderr=told) as process:
        while process.poll() is None:
            pids = members(mark)
            seen.append((len(list(parts.glob("part-*"))), cpu_seconds(pids), memory_mib(pids)))
            time.sleep(LOOK_S)
    if process.returncode:
        sys.exit((folder / "told").read_text())
    written = sorted(path.stat().st_mtime for path in parts.iterdir())
    working = [one for one in seen if 1 <= one[0] < len(written)]  # after that its processes end
    (first, used, _), (last, used_then, _) = working[0], working[-1]
    arm.rates.append(SHARD * (len(written) - 2) / (written[-1] - written[1]))
    arm.cpu.append((used_then - used) / (SHARD * max(1, last - first)))
    arm.held.append([held for _, _, held in working])
    arm.photos += len(photos)


def growth(held: Sequence[float], photos: int) -> float:
    """Mebibytes by which memory grew over a thousand photos, from the first third of a turn to the last one."""
    third = max(1, len(held) // 3)
    return (statistics.median(held[-third:]) - statistics.median(held[:third])) / (photos * 2 / 3) * 1000


def report(arms: Sequence[Arm], turn: int) -> str:
    """A line for each arm: medians over its turns, the lowest and highest in brackets."""
    pipeline = statistics.median(arms[0].rates)
    lines = []
    for arm in arms:
        shares = [rate / pipeline for rate in arm.rates]
        line = (
            f"{arm.name:8} {arm.photos:7} photos, {statistics.median(arm.rates):6.1f} a second ({min(arm.rates):.1f}"
            f"\N{EN DASH}{max(arm.rates):.1f}), {statistics.median(shares):.2f} of bare; "
            f"{statistics.median(arm.cpu) * 1000:.1f} ms of CPU a photo"
        )
        if arm.held:
            grown = statistics.median(growth(held, turn) for held in arm.held)
            line += f"; {max(map(max, arm.held)):.0f} MiB at most, {grown:+.1f} MiB over a thousand photos"
        lines.append(line)
    return "\n".join(lines)


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description="Large sets, by both engines, against the bare pipeline.")
    parser.add_argument("--photos", type=int, default=100_000, help="photos that are drawn (default 100000)")
    parser.add_argument("--turn", type=int, default=2_000, help="photos of each turn (default 2000)")
    parser.add_argument("--seconds", type=float, default=600, help="no turn begins after these (default 600)")
    parser.add_argument("--engines", nargs="+", default=["process", "ray"], help="default: process ray")
    parser.add_argument("--memory-mib", type=float, default=3000, help="an engine that holds more has failed")
    chosen = parser.parse_args(arguments)
    predictor = discover(wanted=["attributes"], threads=cores())["attributes"]
    predictor.load("cpu")
    arms = [Arm("bare"), *(Arm(name) for name in chosen.engines)]
    with tempfile.TemporaryDirectory() as name:
        (Path(name) / "photos").mkdir()
        photos = draw(Path(name) / "photos", chosen.photos)
        until, start = time.monotonic() + chosen.seconds, 0
        while start + chosen.turn <= len(photos) and time.monotonic() < until:
            taken = photos[start : start + chosen.turn]
            for arm in arms[1:]:
                bare(arms[0], predictor, taken[: len(taken) // 4])
                by_engine(arm, taken, Path(name))
                print(f"  {arm.name}: {arm.rates[-1]:.1f} a second, bare: {arms[0].rates[-1]:.1f}", flush=True)  # noqa: T201
            start += chosen.turn
    print(report(arms, chosen.turn))  # noqa: T201
    if any(held > chosen.memory_mib for arm in arms for turn in arm.held for held in turn):
        sys.exit(f"more than {chosen.memory_mib:.0f} MiB")


if __name__ == "__main__":
    main()
