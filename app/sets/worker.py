"""Who answers shards: the very service of `carlens serve` in this process, asked about photo after photo."""

import asyncio
import threading
from collections import deque
from collections.abc import Iterable, Iterator, Mapping
from concurrent.futures import Future
from contextlib import AsyncExitStack
from typing import Any

import httpx

from app.commands.inside import running
from app.schemas import AnyPredictor
from app.sets import columns
from app.sets.order import Order, Shard
from app.sets.sources import read
from models.backends import resolve_device

AHEAD = 2
"""Shards on their way, so that the device has work while the last photos of one are finished."""

HOUR_MS = 3_600_000
"""Nobody waits for a single photo of a set; a device that hangs is told by `stuck_s`."""

NOT_THE_PHOTO = {"overloaded", "not_ready", "shutting_down", "deadline_exceeded"}
"""Problems that another try may not have: no answer to write down."""


class Stopped(Exception):
    """The set cannot be gone on with; the text says why."""


class Worker:
    """Loads the predictors where it is made. Raises `Stopped` where one does not load, or has other weights than the
    order. `close` it."""

    def __init__(self, order: Order, predictors: Mapping[str, AnyPredictor]) -> None:
        for name, one in predictors.items():
            if one.card.weights != order.weights[name]:
                raise Stopped(
                    f"{name}: this node has the weights {one.card.weights}, where the set was ordered there are "
                    f"{order.weights[name]}: put the same files on every node"
                )
        self._order = order
        self._predictors = predictors
        self._schema = columns.schema({task: predictors[task].specification.answer for task in order.tasks})
        self._stack = AsyncExitStack()
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="carlens-set", daemon=True)
        self._thread.start()
        self._gate = asyncio.Semaphore(self._width())
        try:
            self._client = asyncio.run_coroutine_threadsafe(self._open(), self._loop).result()
        except BaseException:
            self.close()
            raise

    def begin(self, shard: Shard) -> "Future[bytes]":
        """The shard's rows as a Parquet file, in the order of its photos. Raises `Stopped`."""
        return asyncio.run_coroutine_threadsafe(self._answer(shard), self._loop)

    def answered(self, shards: Iterable[Shard]) -> Iterator[tuple[Shard, bytes]]:
        """One after another, in their order."""
        waiting = deque[tuple[Shard, Future[bytes]]]()
        for shard in shards:
            waiting.append((shard, self.begin(shard)))
            if len(waiting) == AHEAD:
                first, future = waiting.popleft()
                yield first, future.result()
        for shard, future in waiting:
            yield shard, future.result()

    def close(self) -> None:
        """What is on its way is dropped."""
        asyncio.run_coroutine_threadsafe(self._close(), self._loop).result()
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    def _width(self) -> int:
        """Photos at a time: two of the largest batches, so that one gathers while the other is computed."""
        device = resolve_device(self._order.settings.device)
        sizes = (max(self._predictors[task].specification.sizes_on(device)) for task in self._order.tasks)
        return max(8, 2 * max(sizes))

    async def _open(self) -> httpx.AsyncClient:
        # in flight are a few photos only, each with what it asks of others: none shall be refused
        wide = {"queue_limit": 100_000, "max_deadline_ms": HOUR_MS}
        inside = await self._stack.enter_async_context(
            running(self._order.settings.model_copy(update=wide), self._predictors)
        )
        if failed := await inside.loaded():
            raise Stopped("; ".join(failed.values()))
        return inside.client

    async def _close(self) -> None:
        others = [task for task in asyncio.all_tasks() if task is not asyncio.current_task()]
        ours = [task for task in others if task.get_name().startswith("carlens-set")]
        for task in ours:
            task.cancel()
        await asyncio.gather(*ours, return_exceptions=True)
        await self._stack.aclose()

    async def _answer(self, shard: Shard) -> bytes:
        try:
            async with asyncio.TaskGroup() as group:
                asked = [group.create_task(self._row(name), name=f"carlens-set {name}") for name in shard.names]
        except ExceptionGroup as several:
            raise several.exceptions[0] from several
        return await asyncio.to_thread(columns.parquet, [one.result() for one in asked], self._schema)

    async def _row(self, name: str) -> columns.Row:
        async with self._gate:
            try:
                data = await asyncio.to_thread(read, name, self._order.settings.max_body_bytes)
            except Exception as error:  # each kind of object store raises errors of its own
                reason = f"{type(error).__name__}: {error}"
                return {"file": name, "problems": [{"task": None, "code": "unreadable", "reason": reason}]}
            response = await self._client.post(
                "/v1/inspect",
                params={"tasks": ",".join(self._order.tasks), **self._order.given},
                content=data,
                headers={
                    "content-type": "application/octet-stream",
                    "x-deadline-ms": str(HOUR_MS),
                    "accept-language": self._order.language,
                },
            )
        told = response.json()
        if response.is_error:
            return {"file": name, "problems": [_problem(None, told)]}
        summary = told.get("summary")
        return {
            "file": name,
            "width": told["image"]["width"],
            "height": told["image"]["height"],
            "problems": [_problem(task, one) for task, one in told["problems"].items()],
            "summary": None if summary is None else [line["text"] for line in summary],
            **told["results"],
        }


def _problem(task: str | None, told: Mapping[str, Any]) -> dict[str, str | None]:
    if told["code"] in NOT_THE_PHOTO:
        raise Stopped(f"{told['detail']} ({told['code']})")
    return {"task": task, "code": told["code"], "reason": told["detail"]}
