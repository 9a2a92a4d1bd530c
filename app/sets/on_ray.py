"""Shards answered by a pool of actors, on as many nodes as the cluster has: Ray Data deals them out, starts actors anew
that die, and gives their shards to others."""

import logging
import math
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import ray
import ray.data
from ray.exceptions import RayActorError, RayError

from app.replicas import of
from app.sets.order import Order, Shard
from app.sets.worker import AHEAD, Stopped, Worker
from models import registry

Batch = Mapping[str, Any]

TRIES = 3
"""A shard whose process died is given to so many others: one of its photos may be to blame, and none can tell which."""


class Actor:
    """A worker in a process of its own, with the predictors made from the files on its node."""

    def __init__(self, order: Order, threads: int) -> None:
        settings = order.settings
        predictors = registry.discover(
            settings.weights_dir,
            list(order.tasks),
            backends=settings.backends,
            cache_dir=settings.cache_dir,
            threads=threads,
        )
        self._worker = Worker(order, predictors)

    def __call__(self, batch: Batch) -> dict[str, Any]:
        """One shard; called by `AHEAD` threads."""
        (number,), (names,) = batch["number"], batch["names"]
        part = self._worker.begin(Shard(int(number), list(names))).result()
        # bytes in an array of objects: numpy's own type for bytes cuts zeros off their end
        return {"number": np.array([number]), "part": np.array([part], dtype=object)}


def answered(order: Order, shards: Sequence[Shard]) -> Iterator[tuple[Shard, bytes]]:
    """In the order in which they are done. Joins the cluster of `RAY_ADDRESS`, that of this machine, or starts one here
    that ends with it. Raises `Stopped`."""
    ours = not ray.is_initialized()
    if ours:
        ray.init(configure_logging=False, log_to_driver=False)
    try:
        by_number = {shard.number: shard for shard in shards}
        for row in _rows(order, shards):
            yield by_number[row["number"]], row["part"]
    except RayError as error:
        raise Stopped(reason(error)) from error
    finally:
        if ours:
            ray.shutdown()


def reason(error: RayError) -> str:
    """Why it ended: the last line, as Ray tells where it was raised before that."""
    _, stopped, text = str(error).rpartition(f"{Stopped.__name__}: ")
    if stopped:
        return text.strip()
    last = str(error).strip().rpartition("\n")[2]
    if isinstance(error, RayActorError):
        return f"processes that answer photos die, of a photo or of too little memory; the last one: {last}"
    return last


def _rows(order: Order, shards: Sequence[Shard]) -> Iterator[dict[str, Any]]:
    context = ray.data.DataContext.get_current()
    context.enable_progress_bars = False  # the command's own tells photos, and is the same without Ray
    context.print_on_execution_start = False
    context.max_consecutive_actor_init_deaths = TRIES  # a node may die just then
    logging.getLogger("ray.data").setLevel("ERROR")  # it tells each step of its own
    cpus, gpus = _most(order, order.settings.cpus_of_replicas, 1.0), _most(order, order.settings.gpus_of_replicas, 0.0)
    device = "cuda" if gpus else "cpu"
    settings = order.settings.model_copy(update={"device": device})
    order = Order(settings, order.tasks, order.weights, order.language, order.given)
    pool = ray.data.ActorPoolStrategy(
        min_size=min(len(shards), _room(cpus, gpus)),
        max_size=len(shards),
        max_tasks_in_flight_per_actor=2 * AHEAD,  # some must wait for Ray to start more actors
        max_concurrent_calls_per_actor=AHEAD,
        enable_true_multi_threading=True,
    )
    items = [{"number": shard.number, "names": list(shard.names)} for shard in shards]
    done = ray.data.from_items(items, override_num_blocks=len(items)).map_batches(
        Actor,
        batch_size=1,
        compute=pool,
        fn_constructor_args=(order, max(1, int(cpus))),
        num_cpus=cpus,
        num_gpus=gpus,
        max_task_retries=TRIES,
    )
    yield from done.iter_rows()


def _most(order: Order, told: Mapping[str, float], default: float) -> float:
    """What an actor takes, which holds all predictors: as much as the one that takes most."""
    return max(of(name, told, default) for name in order.weights)


def _room(cpus: float, gpus: float) -> int:
    """Actors that the cluster has room for now; one at least, as it may grow."""
    there = ray.cluster_resources()
    rooms = [there.get(name, 0.0) / takes for name, takes in (("CPU", cpus), ("GPU", gpus)) if takes]
    return max(1, math.floor(min(rooms, default=1)))
