"""What a predictor's network says of many photos, asked in batches."""

from collections.abc import Iterable, Iterator
from itertools import repeat
from typing import Any

import numpy as np
from numpy.typing import NDArray

from models.photo import Header, Photo, Region, whole
from models.predictor import Options, Predictor

Outputs = dict[str, NDArray[np.generic]]


def outputs(
    predictor: Predictor[Any, Any],
    photos: Iterable[NDArray[np.uint8]],
    batch: int = 8,
    options: Options | None = None,
    regions: Iterable[Region | None] | None = None,
) -> Iterator[tuple[Header, Outputs]]:
    """One row of `run`'s arrays for each photo, with its header, in order. Photos are upright RGB (height, width, 3);
    no more of them are read than a batch of `batch` needs, and a smaller one is padded to a size the predictor knows.
    `regions`, one a photo, are what is read of them; without, and where one is None, all of the photo.
    """
    specification = predictor.specification
    options = options or specification.options()
    waiting: list[tuple[Header, Any]] = []

    def flush() -> Iterator[tuple[Header, Outputs]]:
        size = next((size for size in specification.batch_sizes if size >= len(waiting)), len(waiting))
        items = [item for _, item in waiting]
        items += items[-1:] * (size - len(items))
        found = predictor.run({name: np.stack([item[name] for item in items]) for name in items[0]})
        for n, (header, _) in enumerate(waiting):
            yield header, {name: value[n] for name, value in found.items()}
        waiting.clear()

    for pixels, region in zip(photos, repeat(None) if regions is None else regions, strict=regions is not None):
        header = Header(pixels.shape[1], pixels.shape[0], "")
        waiting.append((header, predictor.prepare(Photo(header, pixels), region or whole(header), options)))
        if len(waiting) == batch:
            yield from flush()
    if waiting:
        yield from flush()
