"""Ray Serve with `@serve.batch`: one replica, decoding in threads, batches up to a size and a longest wait."""

import asyncio
import os
import signal
import threading
from collections.abc import Sequence
from typing import Any

import ray
from ray import serve
from starlette.requests import Request

from models.predictor import Arrays
from tests.bench.compare.arms.work import PATH, Given, Item, Work, given, photo

OBJECT_STORE_BYTES = 256 * 2**20
ONGOING = 1024
"""Requests that the replica holds at a time, over the largest concurrency that is measured."""


def replica(told: Given) -> type:
    """The class of the deployment; `serve.batch` takes its figures when the class is made."""

    class Replica:
        def __init__(self) -> None:
            self.work = Work(told.predictor, told.table)

        @serve.batch(max_batch_size=told.batch, batch_wait_timeout_s=told.wait_ms / 1000)  # type: ignore[untyped-decorator]
        async def batched(self, items: Sequence[Item]) -> list[Arrays]:
            return await asyncio.to_thread(self.work.run, items)

        async def __call__(self, request: Request) -> dict[str, Any]:
            item = await asyncio.to_thread(self.work.prepare, await photo(request))
            return self.work.finish(await self.batched(item), item)

    return Replica


def main() -> None:
    told = given()
    ended = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: ended.set())
    os.environ["RAY_USAGE_STATS_ENABLED"] = "0"
    ray.init(
        address="local",
        num_cpus=max(2, told.cores),
        include_dashboard=False,
        object_store_memory=OBJECT_STORE_BYTES,
        log_to_driver=True,
    )
    serve.start(http_options={"host": "127.0.0.1", "port": told.port})
    deployment = serve.deployment(replica(told), max_ongoing_requests=ONGOING, num_replicas=1)
    serve.run(deployment.bind(), route_prefix=PATH)
    ended.wait()
    serve.shutdown()
    ray.shutdown()


if __name__ == "__main__":
    main()
