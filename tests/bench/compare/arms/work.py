"""What every arm does with a photo: the same decoder and backend as carlens, or as a user would write it."""

import io
import json
import os
import threading
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from fastapi import Request
from PIL import Image
from starlette.datastructures import UploadFile

from app.locate import scale_for
from models.backends import resolve_device
from models.photo import Header, Limits, Photo, decode, read_header, whole
from models.predictor import Arrays
from models.registry import AnyPredictor, discover

VARIABLE = "BENCH_ARM"
PATH = "/predict"
CACHE = Path("~/.cache/carlens").expanduser()
CHUNK = 32
"""Rows of one torch run; more wait for the next."""


@dataclass(frozen=True, slots=True)
class Given:
    """What an arm is told, by the environment variable `VARIABLE`: `table` is `same` or `user`, `batch` the largest
    batch, `wait_ms` the longest wait for it to fill, `threads` the workers of a pool, `cores` those of the machine."""

    predictor: str
    table: str
    port: int
    batch: int = 1
    wait_ms: float = 0.0
    threads: int = 0
    cores: int = 1

    def text(self) -> str:
        return json.dumps(asdict(self))


def given() -> Given:
    """What this process was told. Raises `KeyError` where it was told nothing."""
    return Given(**json.loads(os.environ[VARIABLE]))


@dataclass(frozen=True, slots=True)
class Item:
    """One photo, prepared: its arrays, and the size that the answer's coordinates are in."""

    arrays: Arrays
    width: int
    height: int

    @property
    def header(self) -> Header:
        return Header(self.width, self.height, "JPEG")


class Work:
    """One loaded predictor. `prepare` and `finish` may be called by several threads; so may `run`.

    `same`: header, scaled decode, prepare, run and finish are carlens' own, padded to its batch sizes; one run at a
    time, as its backends want it. `user`: Pillow decodes all of the photo and scales it, torch runs the shipped weights
    eagerly in inference mode, with as many threads as `torch_threads` says (0: torch's own choice). Without `load` it
    can only `prepare`.
    """

    def __init__(self, predictor: str, table: str, torch_threads: int = 0, load: bool = True) -> None:
        self.user = table == "user"
        backends = {"": "torch"} if self.user else None
        self.predictor: AnyPredictor = discover(wanted=[predictor], backends=backends, cache_dir=CACHE)[predictor]
        specification = self.predictor.specification
        taken = {"vehicle": "whole"} if "vehicle" in specification.options.model_fields else {}
        self.options = specification.options(**taken)
        self.sizes = specification.batch_sizes
        self.lock = threading.Lock()
        blank = Photo(Header(64, 64, "JPEG"), np.zeros((64, 64, 3), np.uint8))
        item = self.predictor.prepare(blank, whole(blank.header), self.options)
        self.others = {name: value for name, value in item.items() if name != "image"}
        if load:
            self._load(Item(item, 64, 64), torch_threads)

    def _load(self, item: Item, torch_threads: int) -> None:
        """The weights on the device, every size of batch seen once."""
        if self.user and torch_threads:
            import torch

            torch.set_num_threads(torch_threads)
        self.predictor.load(resolve_device("auto"))
        for size in (1,) if self.user else self.sizes:
            self.run([item] * size)

    def prepare(self, data: bytes) -> Item:
        """The photo's bytes to arrays. Raises what the decoder raises."""
        if self.user:
            with Image.open(io.BytesIO(data)) as opened:
                image = opened.convert("RGB")
            scaled = image.resize(self.predictor.specification.reads, Image.Resampling.BILINEAR)
            return Item({"image": np.asarray(scaled), **self.others}, image.width, image.height)
        header = read_header(data, Limits())
        region = whole(header)
        photo = decode(data, header, scale_for(self.predictor.specification, region))
        return Item(self.predictor.prepare(photo, region, self.options), header.width, header.height)

    def run(self, items: Sequence[Item]) -> list[Arrays]:
        """The items through the network, in their order; a row of named arrays each."""
        largest = CHUNK if self.user else self.sizes[-1]
        return [row for start in range(0, len(items), largest) for row in self._batch(items[start : start + largest])]

    def _batch(self, items: Sequence[Item]) -> list[Arrays]:
        padded = len(items) if self.user else next(size for size in self.sizes if size >= len(items))
        rows = [item.arrays for item in items]
        rows += rows[:1] * (padded - len(items))
        stacked = {name: np.stack([row[name] for row in rows]) for name in rows[0]}
        if self.user:
            found = self.predictor.run(stacked)
        else:
            with self.lock:
                found = self.predictor.run(stacked)
        return [{name: np.array(value[n]) for name, value in found.items()} for n in range(len(items))]

    def finish(self, row: Arrays, item: Item) -> dict[str, Any]:
        """The answer: the predictor's own, under `result` as carlens has it."""
        answer = self.predictor.finish(row, item.header, whole(item.header), self.options)
        return {"result": answer.model_dump(mode="json")}

    def answer(self, data: bytes) -> dict[str, Any]:
        """All of it for one photo alone."""
        item = self.prepare(data)
        return self.finish(self.run([item])[0], item)


async def photo(request: Request) -> bytes:
    """A photo's bytes from a form's field `file`, or the raw body; what a handler depends on."""
    if not request.headers.get("content-type", "").startswith("multipart/"):
        return await request.body()
    async with request.form() as form:
        file = form["file"]
        assert isinstance(file, UploadFile)
        return await file.read()


def part(body: bytes) -> bytes:
    """The photo's bytes where a server hands over the body alone: the first part of a form, else all of it."""
    if not body.startswith(b"--"):
        return body
    boundary, _, rest = body.partition(b"\r\n")
    return rest.partition(b"\r\n\r\n")[2].partition(b"\r\n" + boundary)[0]
