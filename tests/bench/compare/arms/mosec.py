"""mosec: a stage that decodes, in as many processes as there are cores, and one that runs batches."""

import os
import sys
from typing import Any

import mosec

from tests.bench.compare.arms.work import PATH, Item, Work, given, part

TIMEOUT_S = 60
CAPACITY = 1024


class Decode(mosec.Worker):  # type: ignore[misc]
    """The body to a prepared item."""

    def __init__(self) -> None:
        super().__init__()
        told = given()
        self.work = Work(told.predictor, told.table, load=False)

    def deserialize(self, data: bytes) -> bytes:
        return part(data)

    def forward(self, data: bytes) -> Item:
        return self.work.prepare(data)


class Infer(mosec.Worker):  # type: ignore[misc]
    """A batch of items to their answers."""

    def __init__(self) -> None:
        super().__init__()
        told = given()
        self.work, self.alone = Work(told.predictor, told.table), told.batch == 1

    def forward(self, data: Any) -> Any:
        items = [data] if self.alone else data  # mosec hands over a single item where it does not batch
        answers = [self.work.finish(row, item) for row, item in zip(self.work.run(items), items, strict=True)]
        return answers[0] if self.alone else answers


def main() -> None:
    told = given()
    os.environ.update(
        MOSEC_PORT=str(told.port),
        MOSEC_ADDRESS="127.0.0.1",
        MOSEC_TIMEOUT=str(TIMEOUT_S * 1000),
        MOSEC_CAPACITY=str(CAPACITY),
        MOSEC_LOG_LEVEL="warning",
    )
    sys.argv = sys.argv[:1]  # mosec reads the arguments itself
    server = mosec.Server()
    server.append_worker(Decode, num=told.cores, timeout=TIMEOUT_S, route=PATH)
    server.append_worker(
        Infer, num=1, max_batch_size=told.batch, max_wait_time=round(told.wait_ms), timeout=TIMEOUT_S, route=PATH
    )
    server.run()


if __name__ == "__main__":
    main()
