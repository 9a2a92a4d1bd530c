"""A run's batches: which photos, at which size, in which process, all from the seed and the step."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

import numpy as np

from training.processes import ALONE, Processes

if TYPE_CHECKING:
    from training.loop import Batch, Task


class Batches:
    """`per_epoch` batches an epoch, `steps` in the run; each is parted among processes and, in each of them, among the
    recipe's `accumulate` parts. Every n-th photo goes to a part, so that an order with a pattern (so many photos of
    each head) keeps it there."""

    def __init__(self, task: "Task", processes: Processes = ALONE) -> None:
        """Raises `ValueError` where an epoch makes no batch, or a batch cannot be parted evenly."""
        self.task, self.recipe, self.processes = task, task.recipe, processes
        photos, size = len(task.order(0)), self.recipe.batch
        self.per_epoch = photos // size
        if not self.per_epoch:
            raise ValueError(f"an epoch has {photos} photos, fewer than a batch of {size}: lower `batch`")
        self.parts = processes.world * self.recipe.accumulate
        if size % self.parts:
            raise ValueError(
                f"a batch of {size} cannot be parted evenly among {processes.world} processes "
                f"with `accumulate` {self.recipe.accumulate}: make it a multiple of {self.parts}"
            )
        self.steps = max(1, round(self.per_epoch * self.recipe.epochs))

    def at(self, step: int) -> "list[Batch]":
        """This process's parts of the batch of `step`."""
        epoch, place = divmod(step, self.per_epoch)
        size = self.recipe.batch
        side = self.recipe.drawn_side(step, self.steps)
        chosen = [int(index) for index in self.task.order(epoch)[place * size : (place + 1) * size]]
        samples = {
            n: self.task.sample(chosen[n], side, np.random.default_rng((self.recipe.seed, epoch, chosen[n], n)))
            for n in range(size)
            if n % self.processes.world == self.processes.rank
        }
        first, world = self.processes.rank, self.processes.world
        return [
            self.task.collate([samples[n] for n in range(first + part * world, size, self.parts)])
            for part in range(self.recipe.accumulate)
        ]

    def stream(self, begin: int, end: int, workers: int = 2) -> "Iterator[list[Batch]]":
        """Batches of the steps from `begin` to before `end`; `workers` of them are made ahead, in as many threads."""
        with ThreadPoolExecutor(workers) as pool:
            ahead = [pool.submit(self.at, step) for step in range(begin, min(begin + workers, end))]
            try:
                for step in range(begin, end):
                    batch = ahead.pop(0).result()
                    if step + workers < end:
                        ahead.append(pool.submit(self.at, step + workers))
                    yield batch
            finally:
                for future in ahead:
                    future.cancel()

    def seed(self, step: int, part: int) -> int:
        """What the network draws from (dropout, sampled proposals): another one for each step, part and process."""
        key = (self.recipe.seed, step, part, self.processes.rank)
        return int(np.random.SeedSequence(key).generate_state(1, np.uint64)[0] >> np.uint64(1))
