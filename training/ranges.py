"""What ranges of activations are taken from: training photos, drawn by a seed, as the service prepares them."""

from typing import Any

import numpy as np

from models.photo import Header, Photo, whole
from models.predictor import Arrays
from models.predictors.weighted import WeightedPredictor
from training.tasks.classifier import ClassifierTask
from training.tasks.heads import HeadsTask
from training.tasks.instances import InstancesTask


def items(predictor: WeightedPredictor[Any, Any], task: Any, count: int, seed: int) -> list[Arrays]:
    """What `prepare` makes of `count` photos of `train`, or of all where there are fewer. Raises `ValueError` for a
    task of another kind than these."""
    options, prepared = predictor.specification.options(), []
    for index in drawn(_number(task), count, seed):
        pixels, region = _photo(task, index, seed)
        header = Header(pixels.shape[1], pixels.shape[0], "")
        prepared.append(predictor.prepare(Photo(header, pixels), region or whole(header), options))
    return prepared


def drawn(number: int, count: int, seed: int) -> list[int]:
    """`count` of so many photos, in their order, none twice."""
    chosen = np.random.default_rng(seed).permutation(number)[:count]
    return sorted(int(index) for index in chosen)


def _number(task: Any) -> int:
    if isinstance(task, ClassifierTask):
        return len(task.train_rows)
    if isinstance(task, HeadsTask):
        return len(task.samples["train"])
    if isinstance(task, InstancesTask):
        return len(task.photos["train"])
    raise ValueError(f"{type(task).__name__}: no photos to take ranges from")


def _photo(task: Any, index: int, seed: int) -> tuple[Any, Any]:
    """A photo's pixels, and the region that is read of it, None for all of it."""
    if isinstance(task, ClassifierTask):
        row = task.train_rows[index]
        return task.archives["train"].photo(row.file), row.region
    if isinstance(task, HeadsTask):
        return task.pixels(task.samples["train"][index], np.random.default_rng((seed, index))), None
    return task.archives["train"].photo(task.photos["train"][index].file), None
