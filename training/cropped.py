"""What finding the vehicle costs where nothing need be found: `val`'s own photos, most of them cut to their car."""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from models.photo import Header, Photo, framed, whole
from models.predictors.vehicles import Vehicles
from models.predictors.weighted import WeightedPredictor
from training import recipe as recipes
from training import tasks
from training.wide import located, right


@dataclass(frozen=True, slots=True)
class Cropped:
    """One photo of `val`: RGB pixels, and the number of its label among those of `head`."""

    head: str
    label: int
    pixels: Callable[[], NDArray[np.uint8]]


def photos(data: Path) -> dict[str, list[Cropped]]:
    """All photos by the predictor that is asked about them; cut-outs, which no camera took, are left out."""
    heads = tasks.create(recipes.read("attributes"), data, Path("runs"))
    crops = tasks.create(recipes.read("car_details"), data, Path("runs"))
    return {
        "attributes": [
            Cropped(row.head, row.label, lambda row=row: heads.archives[row.archive].photo(row.file))
            for row in heads.samples["val"]
            if not row.cutout
        ],
        "car_details": [
            Cropped("label", row.label, lambda row=row: crops.archives["val"].photo(row.file)) for row in crops.val_rows
        ],
    }


def figures(
    locator: Vehicles, readers: dict[str, WeightedPredictor[Any, Any]], every: dict[str, list[Cropped]]
) -> dict[str, float]:
    """Each reader's share of right labels, head by head, with the region that the locator names (`cropped_auto`) and
    the whole photo (`cropped_whole`)."""
    found: dict[str, list[bool]] = {}
    for name, reader in readers.items():
        for head, auto, plain in _read(locator, reader, every[name]):
            found.setdefault(f"{name}_{head}_cropped_auto", []).append(auto)
            found.setdefault(f"{name}_{head}_cropped_whole", []).append(plain)
    return {key: round(float(np.mean(values)), 4) for key, values in found.items()}


def _read(
    locator: Vehicles, reader: WeightedPredictor[Any, Any], every: Iterable[Cropped]
) -> Iterator[tuple[str, bool, bool]]:
    for one in every:
        pixels = one.pixels()
        photo = Photo(Header(pixels.shape[1], pixels.shape[0], ""), pixels)
        all_of_it = whole(photo.header)
        _, named = located(locator, photo, (0, 0, *pixels.shape[1::-1]))
        cut = framed(named, reader.specification.margin, photo.header) if named else None
        if cut in (None, all_of_it):  # nothing is cut away: one reading tells both
            (plain,) = right(reader, one.head, photo, [all_of_it], one.label)
            yield one.head, plain, plain
        else:
            auto, plain = right(reader, one.head, photo, [cut, all_of_it], one.label)
            yield one.head, auto, plain
