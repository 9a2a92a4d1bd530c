"""What the batcher adds to a run: the same items through it and through `run` directly, in turns.

`python -m tests.bench.bench_batcher [--items N] [--rounds N] [--run-ms MS]`; one row per concurrency and way, in
milliseconds per item: the median of the rounds, and the lowest and highest of them.
"""

import argparse
import asyncio
import statistics
import sys
import time
from collections.abc import Sequence

import numpy as np

from app.batcher import Batcher
from models.predictor import Arrays, Tensor

SHAPE = (224, 224, 3)
SIZES = (1, 2, 4, 8, 16)
CONCURRENCIES = (1, 64)


class Model:
    """Answers the mean colour; spends `seconds` per run, whatever its size, without holding the interpreter's lock."""

    def __init__(self, seconds: float) -> None:
        self.seconds = seconds

    def load(self, device: str) -> None:
        pass

    def run(self, batch: Arrays) -> Arrays:
        if self.seconds:
            time.sleep(self.seconds)
        return {"mean": np.asarray(batch["image"])[:, ::16, ::16].mean((1, 2))}


def directly(model: Model, items: Sequence[Arrays], size: int) -> float:
    """Seconds per item when full batches of `size` are stacked and run in a loop, nothing in between."""
    began = time.perf_counter()
    for start in range(0, len(items), size):
        batch = np.stack([item["image"] for item in items[start : start + size]])
        model.run({"image": batch})
    return (time.perf_counter() - began) / len(items)


async def batched(batcher: Batcher, items: Sequence[Arrays], concurrency: int) -> float:
    """Seconds per item when `concurrency` callers each submit one item after the other."""
    waiting = iter(items)

    async def caller() -> None:
        for item in waiting:
            await batcher.submit("model", item, deadline=float("inf"))

    began = time.perf_counter()
    await asyncio.gather(*(caller() for _ in range(concurrency)))
    return (time.perf_counter() - began) / len(items)


async def measure(items: int, rounds: int, run_s: float) -> list[tuple[int, str, list[float]]]:
    """Seconds per item of every round, ways in turns, so that a slow moment of the machine meets both."""
    model = Model(run_s)
    batcher = Batcher("cpu", queue_limit=max(CONCURRENCIES))
    batcher.add("model", model.load, model.run, {"image": Tensor(SHAPE)}, SIZES)
    await batcher.start()
    while not batcher.ready:  # noqa: ASYNC110 - no event tells
        await asyncio.sleep(0.01)
    photos: list[Arrays] = [{"image": np.random.default_rng(0).integers(0, 255, SHAPE, np.uint8)}] * items
    table: list[tuple[int, str, list[float]]] = []
    for concurrency in CONCURRENCIES:
        size = min(concurrency, SIZES[-1])
        alone: list[float] = []
        through: list[float] = []
        for _ in range(rounds):
            alone.append(directly(model, photos, size))
            through.append(await batched(batcher, photos, concurrency))
        table += [(concurrency, f"run, batches of {size}", alone), (concurrency, "batcher", through)]
    await batcher.stop(5.0)
    return table


def report(table: Sequence[tuple[int, str, list[float]]]) -> str:
    lines = [f"{'concurrency':>11}  {'way':<20}{'median ms':>10}{'lowest':>9}{'highest':>9}"]
    for concurrency, way, seconds in table:
        figures = [1000 * figure for figure in (statistics.median(seconds), min(seconds), max(seconds))]
        lines.append(f"{concurrency:>11}  {way:<20}{figures[0]:>10.3f}{figures[1]:>9.3f}{figures[2]:>9.3f}")
    return "\n".join(lines)


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description="What the batcher adds to a run, per item.")
    parser.add_argument("--items", type=int, default=512, help="items per round (default 512)")
    parser.add_argument("--rounds", type=int, default=7, help="rounds of each way (default 7)")
    parser.add_argument("--run-ms", type=float, default=0.0, help="milliseconds one run takes besides (default 0)")
    chosen = parser.parse_args(arguments)
    table = asyncio.run(measure(chosen.items, chosen.rounds, chosen.run_ms / 1000))
    sys.stdout.write(report(table) + "\n")


if __name__ == "__main__":
    main()
