"""What the batcher's tests share: a predictor that doubles numbers and can be held or made to fail, and a clock."""

import asyncio
import functools
import threading
from collections.abc import AsyncIterator, Callable, Coroutine, Sequence
from contextlib import asynccontextmanager
from typing import Any, ParamSpec

import numpy as np

from app.batcher import Answer, Batcher
from models.predictor import Arrays, Tensor

P = ParamSpec("P")

INPUTS = {"x": Tensor((2,), "int64")}
NEVER = float("inf")
GUARD_S = 240.0
"""A test that hangs ends after this long, in seconds; none comes near it."""


class Clock:
    """Seconds that pass only when the test says so."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


class Doubler:
    """Answers x with y = 2x. `runs` are the rows of each run, padding (zeros) among them; `cost` is the device time
    by padded size; `fail` may raise for the rows of a run; `hold` keeps the runs to come on the device."""

    def __init__(
        self,
        name: str = "a",
        sizes: Sequence[int] = (1, 2, 4),
        *,
        clock: Clock | None = None,
        cost: Callable[[int], float] = lambda size: 0.0,
        order: list[int] | None = None,
    ) -> None:
        self.name = name
        self.sizes = sizes
        self.runs: list[list[int]] = []
        self.loads: list[str] = []
        self.fail: Callable[[list[int]], None] = lambda rows: None
        self.answer: Callable[[Arrays], Arrays] = lambda batch: {"y": 2 * np.asarray(batch["x"], np.int64)}
        self._clock = clock or Clock()
        self._cost = cost
        self._order = order
        self._open = threading.Event()
        self._open.set()
        self._entered = threading.Semaphore(0)

    def load(self, device: str) -> None:
        self.loads.append(device)

    def run(self, batch: Arrays) -> Arrays:
        rows = [int(row[0]) for row in batch["x"]]
        self.runs.append(rows)
        if self._order is not None:
            self._order.extend(row for row in rows if row)
        if not self._open.is_set():
            self._entered.release()
            assert self._open.wait(GUARD_S), "the test never let the run go"
        self._clock.now += self._cost(len(rows))
        self.fail(rows)
        return self.answer(batch)

    def hold(self) -> None:
        self._open.clear()

    def let_go(self) -> None:
        self._open.set()

    async def on_device(self) -> None:
        """Until a held run has reached the device."""
        assert await asyncio.to_thread(self._entered.acquire, True, GUARD_S), "no run reached the device"


@asynccontextmanager
async def serving(*doublers: Doubler, **options: Any) -> AsyncIterator[Batcher]:
    """A batcher with these predictors loaded and warmed; their `runs` start empty."""
    batcher = Batcher("cpu", **options)
    for doubler in doublers:
        batcher.add(doubler.name, doubler.load, doubler.run, INPUTS, doubler.sizes)
    await batcher.start()
    try:
        await loaded(batcher, *(doubler.name for doubler in doublers))
        for doubler in doublers:
            doubler.runs.clear()
        yield batcher
    finally:
        for doubler in doublers:
            doubler.let_go()
        await batcher.stop(GUARD_S)


async def loaded(batcher: Batcher, *names: str) -> None:
    while batcher.alive and any(batcher.state(name) == "loading" for name in names):  # noqa: ASYNC110 - no event tells
        await asyncio.sleep(0)


def item(value: int) -> Arrays:
    return {"x": np.array([value, value], np.int64)}


async def send(batcher: Batcher, *values: int, name: str = "a", deadline: float = NEVER) -> list[asyncio.Task[Answer]]:
    """One waiting task per value; all of them are queued when this returns."""
    tasks = [asyncio.create_task(batcher.submit(name, item(value), deadline=deadline)) for value in values]
    await asyncio.sleep(0)
    return tasks


async def outcomes(tasks: Sequence[asyncio.Task[Answer]]) -> list[int | type[BaseException]]:
    """What each got: the doubled number, or the class of what was raised."""
    ended = await asyncio.gather(*tasks, return_exceptions=True)
    return [type(end) if isinstance(end, BaseException) else int(end.output["y"][0]) for end in ended]


def scenario(test: Callable[P, Coroutine[Any, Any, None]]) -> Callable[P, None]:
    """Runs an async test on a loop of its own; what the loop itself had to complain about fails it."""

    async def guarded(*args: P.args, **kwargs: P.kwargs) -> None:
        complaints: list[dict[str, Any]] = []
        asyncio.get_running_loop().set_exception_handler(lambda _, context: complaints.append(context))
        async with asyncio.timeout(GUARD_S):
            await test(*args, **kwargs)
        assert complaints == []

    @functools.wraps(test)
    def run(*args: P.args, **kwargs: P.kwargs) -> None:
        asyncio.run(guarded(*args, **kwargs))

    return run
