"""A replica: one predictor with a batcher of its own, on whatever node Serve puts it."""

import asyncio
import math
import time
import traceback
from collections import deque
from itertools import count
from weakref import WeakKeyDictionary

from ray import serve

from app.batcher import Batcher
from app.engines.wire import Refusal, Reply, Row, Run
from app.lane import Batch, QueueFull, Unanswered
from app.shelf import Make
from models.predictor import Arrays, Card

MANY_RUNS = 1000
"""Runs that are remembered until a reply takes them along."""


class Runs:
    """The batcher's observer: keeps what ran until it is told."""

    def __init__(self) -> None:
        self._kept: deque[Run] = deque(maxlen=MANY_RUNS)

    def batch(self, name: str, size: int, padded: int, seconds: float) -> None:
        self._kept.append(Run(size, padded, seconds))

    def dropped(self, name: str, reason: str) -> None:
        """The ingress counts these."""

    def depth(self, name: str, n: int) -> None:
        """The ingress counts these."""

    def take(self) -> list[Run]:
        return [self._kept.popleft() for _ in range(len(self._kept))]


class Replica:
    """Serve's deployment. It takes items one by one; which of them make a batch is settled here, by the same batcher
    as in a single process, so that padding, bisection and lack of memory are dealt with in one place."""

    async def __init__(  # type: ignore[misc] # Serve awaits it
        self, make: Make, name: str, version: str | None, weights: str, device: str, limit: int, stuck_s: float
    ) -> None:
        """Returns, and Serve sends items, once the predictor is loaded and warmed. Raises what hinders that, and
        `ValueError` where the files on this node are not those of the `weights` that the ingress has read."""
        predictor = await asyncio.to_thread(make, name, version)
        if predictor.card.weights != weights:
            raise ValueError(
                f"{name}: this node has the weights {predictor.card.weights}, the ingress has {weights}: put the same "
                "files on every node, then reload"
            )
        self._predictor = predictor
        self._weights = weights
        self._runs = Runs()
        self._stuck_s = stuck_s
        # one that hangs goes on taking items: quick refusals would look like a short queue, and draw in more of them
        self._batcher = Batcher(device, queue_limit=limit, observer=self._runs)
        self._numbers, self._numbered = count(), WeakKeyDictionary[Batch, int]()
        self._id = serve.get_replica_context().replica_id.unique_id
        self._lane = self._batcher.bring(predictor, version)
        await self._batcher.start()
        await self._lane.settled.wait()
        if self._lane.state != "ready":
            raise RuntimeError(self._lane.reason)

    async def card(self) -> Card:
        """What runs here: backend and device are known once it is loaded."""
        return self._predictor.card

    async def ask(self, item: Arrays, left_s: float) -> Reply:
        """One item; its answer is of use for `left_s` seconds. Cancelled, it is dropped before it is run."""
        came = time.monotonic()
        outcome: Row | Refusal
        try:
            answer = await self._batcher.submit(self._lane, item, deadline=came + left_s)
        except Unanswered as error:
            outcome = refusal(error)
        else:
            batch = answer.batch
            number = self._numbered.setdefault(batch, next(self._numbers))
            times = (answer.taken - came, batch.started - came, batch.ended - came)
            outcome = Row(answer.output, *times, number, batch.size)
        return Reply(self._id, self._weights, outcome, self._runs.take(), time.monotonic() - came)

    async def check_health(self) -> None:
        """Raises where nothing can be answered any more. Serve starts another in its place; what waits here is then
        asked of others by the ingress."""
        if not self._batcher.ready or self._batcher.oldest_s > self._stuck_s:
            raise RuntimeError(f"{self._lane.name}: the device hangs or has died")


def refusal(error: Unanswered) -> Refusal:
    cause = error.__cause__
    told = None if cause is None else "".join(traceback.format_exception(cause))
    after = error.retry_after_s if isinstance(error, QueueFull) else 0.0
    return Refusal(type(error).__name__, str(error), told, error.label, after if math.isfinite(after) else 0.0)
