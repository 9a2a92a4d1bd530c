"""What no gateway can pass: bare decode, bare runs of the backend, the bare pipeline one photo at a time.

`python -m tests.bench.compare.limits` reads an `Order` from its standard input and writes `Limits` to its output.
"""

import json
import os
import statistics
import sys
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from pathlib import Path

from app.locate import scale_for
from models.backends import resolve_device
from models.photo import Limits as PhotoLimits
from models.photo import decode, read_header, whole
from models.registry import discover
from tests.bench.compare.arms.work import CACHE, Work


@dataclass(frozen=True, slots=True)
class Order:
    """Which predictor on which photo, and the seconds that each figure may take."""

    predictor: str
    photo: str
    seconds: float = 2.0


@dataclass(frozen=True, slots=True)
class Limits:
    """Photos decoded per second on all cores; items per second through the backend at its best batch, and which that
    is; milliseconds (median) of a lone photo through decode, prepare, run and finish, nothing else going on; the
    backend's name and version of the weights."""

    decode_per_s: float
    run_per_s: float
    best_batch: int
    alone_ms: float
    backend: str
    weights: str

    @property
    def shared_per_s(self) -> float:
        """Photos per second where decode and run share the same cores, as they do without a GPU."""
        return 1 / (1 / self.decode_per_s + 1 / self.run_per_s)


def rate(work: Callable[[], object], seconds: float, least: int = 3) -> float:
    """Calls of `work` per second, over `seconds` and at least `least` calls."""
    calls, began = 0, time.perf_counter()
    while (passed := time.perf_counter() - began) < seconds or calls < least:
        work()
        calls += 1
    return calls / passed


def median_ms(work: Callable[[], object], seconds: float, least: int = 5) -> float:
    """The median of the milliseconds that a call takes."""
    took: list[float] = []
    until = time.perf_counter() + seconds
    while time.perf_counter() < until or len(took) < least:
        began = time.perf_counter()
        work()
        took.append(1000 * (time.perf_counter() - began))
    return statistics.median(took)


def measure(order: Order) -> Limits:
    work, data = Work(order.predictor, "same"), Path(order.photo).read_bytes()
    header = read_header(data, PhotoLimits())
    scale = scale_for(work.predictor.specification, whole(header))
    cores = len(os.sched_getaffinity(0))

    def decoded() -> None:
        decode(data, read_header(data, PhotoLimits()), scale)

    with ThreadPoolExecutor(cores) as pool:
        together = rate(lambda: list(pool.map(lambda _: decoded(), range(4 * cores))), order.seconds) * 4 * cores
    item = work.prepare(data)
    rates = {}
    for size in work.sizes:
        batch = [item] * size
        rates[size] = rate(lambda: work.run(batch), order.seconds / len(work.sizes)) * size  # noqa: B023
    best = max(rates, key=lambda size: rates[size])
    alone = median_ms(lambda: work.answer(data), order.seconds)
    card = work.predictor.card
    return Limits(together, rates[best], best, alone, card.backend, f"{order.predictor} {card.version} {card.weights}")


def locator_ms(photo: Path, seconds: float = 2.0) -> float:
    """Milliseconds (median) to find the vehicles in a photo that is decoded already."""
    finder = discover(wanted=["vehicles"], cache_dir=CACHE)["vehicles"]
    finder.load(resolve_device("auto"))
    data = photo.read_bytes()
    header = read_header(data, PhotoLimits())
    region, options = whole(header), finder.specification.options()
    seen = decode(data, header, scale_for(finder.specification, region))

    def find() -> None:
        item = finder.prepare(seen, region, options)
        rows = finder.run({name: value[None] for name, value in item.items()})
        finder.finish({name: value[0] for name, value in rows.items()}, header, region, options)

    find()
    return median_ms(find, seconds)


def main() -> None:
    order = Order(**json.loads(sys.stdin.read()))
    if order.predictor == "vehicles":
        sys.stdout.write(json.dumps({"locator_ms": locator_ms(Path(order.photo), order.seconds)}))
    else:
        sys.stdout.write(json.dumps(asdict(measure(order))))


if __name__ == "__main__":
    main()
