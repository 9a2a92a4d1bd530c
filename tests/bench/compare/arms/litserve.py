"""LitServe with batching: one worker, batches up to a size, a longest wait for them to fill."""

from collections.abc import Sequence
from typing import Annotated, Any

import litserve
from fastapi import Depends

from models.predictor import Arrays
from tests.bench.compare.arms.work import PATH, Item, Work, given, photo


class Api(litserve.LitAPI):  # type: ignore[misc]
    """The predictor as LitServe's own hooks want it."""

    def setup(self, device: str) -> None:
        told = given()
        self.work = Work(told.predictor, told.table)

    # LitServe reads `Request` as JSON or a form; a dependency gives it the photo's bytes, whichever way they came.
    def decode_request(self, request: Annotated[bytes, Depends(photo)]) -> Item:
        return self.work.prepare(request)

    def batch(self, inputs: Sequence[Item]) -> list[Item]:
        return list(inputs)

    def predict(self, inputs: Item | list[Item]) -> list[tuple[Arrays, Item]] | tuple[Arrays, Item]:
        if isinstance(inputs, Item):  # LitServe does not batch at a largest batch of 1
            return self.work.run([inputs])[0], inputs
        return list(zip(self.work.run(inputs), inputs, strict=True))

    def unbatch(self, output: list[tuple[Arrays, Item]]) -> list[tuple[Arrays, Item]]:
        return output

    def encode_response(self, output: tuple[Arrays, Item]) -> dict[str, Any]:
        return self.work.finish(*output)


def main() -> None:
    told = given()
    api = Api(max_batch_size=told.batch, batch_timeout=told.wait_ms / 1000, api_path=PATH)
    server = litserve.LitServer(api, accelerator="auto", devices=1, workers_per_device=1, timeout=False)
    server.run(host="127.0.0.1", port=told.port, num_api_servers=1, log_level="warning", generate_client_file=False)


if __name__ == "__main__":
    main()
