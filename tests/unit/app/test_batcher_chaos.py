"""Law 1 under everything at once: cancelled, expired, failing, too large, refused; each item is answered once."""

import asyncio
import itertools
from collections import Counter
from random import Random

import numpy as np
import pytest

from app.batcher import Batcher, Expired, ItemFailed, QueueFull, Stopping
from models.predictor import Arrays
from tests.unit.app.doubler import INPUTS, NEVER, Clock, Doubler, item, loaded, scenario

CLIENTS, EACH = 40, 60


class Chaos(Doubler):
    """Fails on every 13th number; whole batches fail by chance, run out of memory, or lose a row on the way."""

    def __init__(self, name: str, clock: Clock, seed: int) -> None:
        super().__init__(name, (1, 2, 4, 8), clock=clock, cost=lambda size: 0.01 + self.random.random() * size)
        self.random = Random(seed)
        self.fail = self.fail_somehow
        self.answer = self.answer_somehow

    def fail_somehow(self, rows: list[int]) -> None:
        if any(row and row % 13 == 0 for row in rows):
            raise ValueError("a bad item")
        if len(rows) > 1 and any(rows) and self.random.random() < 0.1:
            raise MemoryError if self.random.random() < 0.02 else RuntimeError("it happens")

    def answer_somehow(self, batch: Arrays) -> Arrays:
        doubled = {"y": 2 * np.asarray(batch["x"], np.int64)}
        size = len(doubled["y"])
        return {"y": doubled["y"][1:]} if size > 1 and batch["x"].any() and self.random.random() < 0.05 else doubled


class Tally:
    """An observer that counts."""

    def __init__(self) -> None:
        self.drops: Counter[str] = Counter()
        self.depths: dict[str, int] = {}
        self.items = 0

    def batch(self, name: str, size: int, padded: int, seconds: float) -> None:
        self.items += size

    def dropped(self, name: str, reason: str) -> None:
        self.drops[reason] += 1

    def depth(self, name: str, n: int) -> None:
        self.depths[name] = n


@pytest.mark.parametrize("seed", [1, 2, 3])
@scenario
async def test_every_item_is_answered_exactly_once_whatever_happens(seed: int) -> None:
    random, clock, tally, numbers = Random(seed), Clock(), Tally(), itertools.count(1)
    chaos = [Chaos(name, clock, seed + ord(name)) for name in "abc"]
    batcher = Batcher("cpu", clock=clock, observer=tally, queue_limit=32)
    for one in chaos:
        batcher.add(one.name, one.load, one.run, INPUTS, one.sizes)
    await batcher.start()
    await loaded(batcher, *"abc")
    ends: Counter[str] = Counter()

    async def one_item(number: int) -> None:
        name, deadline = random.choice("abc"), random.choice([NEVER, NEVER, clock.now + random.random() * 30])
        task = asyncio.create_task(batcher.submit(name, item(number), deadline=deadline))
        if random.random() < 0.3:
            for _ in range(random.randrange(1, 20)):
                await asyncio.sleep(0)
            task.cancel()
        try:
            answer = await task
        except asyncio.CancelledError:
            ends["cancelled"] += 1
        except ItemFailed:
            ends["failed" if number % 13 == 0 else "failed by mistake"] += 1
        except (Expired, QueueFull, Stopping) as reason:
            ends[type(reason).__name__] += 1
        else:
            assert answer.output["y"].tolist() == [2 * number] * 2
            ends["answered"] += 1

    async def client() -> None:
        for number in itertools.islice(numbers, EACH):
            await one_item(number)

    clients = [asyncio.create_task(client()) for _ in range(CLIENTS)]
    await asyncio.gather(*clients)
    assert batcher.ready
    last = [asyncio.create_task(batcher.submit("a", item(number), deadline=NEVER)) for number in range(1, 11)]
    await asyncio.sleep(0)
    await batcher.stop(60.0)
    assert [int(answer.output["y"][0]) for answer in await asyncio.gather(*last)] == list(range(2, 22, 2))
    assert ends.total() == CLIENTS * EACH
    assert ends["failed by mistake"] == 0
    assert ends["answered"] > CLIENTS * EACH / 10
    assert all(ends[kind] for kind in ("cancelled", "failed")), ends
    assert ends["Expired"] + ends["QueueFull"] > 0
    assert tally.drops.total() == ends.total() - ends["answered"]
    assert tally.depths == dict.fromkeys("abc", 0)
