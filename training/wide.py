"""Made-up wide photos: `val` cars in front of streets, beside smaller ones, and what locating them is worth.

Nothing is stored: photo `n` is drawn from the seed `n` every time. A street is the uppermost and lowest strip of an
undamaged car's photo, blurred: sky, wall or trees over road, in their colours, and nothing that looks like a car. Half
of the cars are cut-outs with an orientation, half crops with a model; crops fade out at their edges, so that the frame
itself shows less.

Where the car of a crop is, the pack does not tell to the pixel: `val` crops have 16 px of their photo around the car's
box, and were scaled since, by a factor that was not kept. So a crop's own edges are the outermost box that its car can
have, 16 px of the crop further in is the innermost that is allowed for (an enlarged one may lie further in still), and
a box that is found is held against that between the two which it fits best. Against the crop's edges alone, tight
boxes of cars that sit well inside their crop counted as wrong: 0.02 of all photos, whatever the locator.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageFilter

from models.boxes import overlaps
from models.photo import Header, Photo, Region, framed, whole
from models.predictors.vehicles import Vehicles
from models.predictors.weighted import WeightedPredictor
from training import recipe as recipes
from training import tasks
from training.data.archive import Archive

Random = np.random.Generator
Corners = tuple[float, float, float, float]

SIZES = ((1200, 800), (1200, 900), (1280, 720), (900, 1200))
WIDTHS = (0.15, 0.70)
"""Shares of the photo's width that the car takes; those from `LARGE` on have figures of their own."""

LARGE, FOUND = 0.30, 0.6
TURN = 4.0
HORIZON = (0.4, 0.55)
MARGIN = 16.0
"""Pixels at most that a crop of car_details' `val` has around its car."""
INSETS = 9
READ = ("auto", "whole", "box")
"""Which region the other predictors are given: the locator's, the whole photo, the true box."""


@dataclass(frozen=True, slots=True)
class Wide:
    """One made-up photo: `box` of the car in it, its `share` of the photo's width, and its label's number; the car may
    begin up to `inset` pixels inside its box, the same on every side."""

    pixels: NDArray[np.uint8]
    box: Corners
    share: float
    label: int
    inset: float = 0.0


@dataclass(frozen=True, slots=True)
class Cars:
    """Cars to place: RGBA images by number, their labels' numbers, and the predictor's head that gives them; `margin`
    is the most pixels that an image has around its car."""

    head: str
    labels: Sequence[int]
    image: Callable[[int], Image.Image]
    margin: float = 0.0


def street(photo: NDArray[np.uint8], size: tuple[int, int], horizon: float) -> Image.Image:
    """Strips of the photo's top and bottom stretched to `size`, so far out of focus that no part of its car is left."""
    behind, line = Image.fromarray(photo), round(size[1] * horizon)
    upper = behind.crop((0, 0, behind.width, max(1, behind.height // 16)))
    lower = behind.crop((0, behind.height - max(1, behind.height // 20), behind.width, behind.height))
    scene = Image.new("RGB", size)
    scene.paste(upper.resize((size[0], line), Image.Resampling.BICUBIC))
    scene.paste(lower.resize((size[0], size[1] - line), Image.Resampling.BICUBIC), (0, line))
    return scene.filter(ImageFilter.GaussianBlur(size[0] / 40))


def faded(crop: NDArray[np.uint8], edge: float = 0.04) -> Image.Image:
    """A crop whose outermost `edge` of each side fades to nothing."""
    rows, columns = crop.shape[:2]

    def ramp(length: int) -> NDArray[np.float64]:
        near = np.minimum(np.arange(length), np.arange(length)[::-1]) + 0.5
        return np.clip(near / (edge * length), 0, 1)

    alpha = np.minimum(ramp(rows)[:, None], ramp(columns)) * 255
    return Image.fromarray(np.dstack([crop, alpha.astype(np.uint8)]))


def placed(car: Image.Image, width: float, rng: Random) -> Image.Image:
    """The car, its fringe eroded, turned a little, cut to what is seen of it, `width` pixels wide."""
    car = car.copy()
    car.putalpha(car.getchannel("A").filter(ImageFilter.MinFilter(3)))
    car = car.rotate(rng.uniform(-TURN, TURN), Image.Resampling.BICUBIC, expand=True)
    car = car.crop(car.getchannel("A").point(lambda value: 255 * (value > 32)).getbbox() or (0, 0, *car.size))
    across = max(8, round(width))
    return car.resize((across, max(8, round(car.height * across / car.width))), Image.Resampling.BICUBIC)


def compose(
    car: Image.Image, others: Sequence[Image.Image], behind: NDArray[np.uint8], rng: Random
) -> tuple[NDArray[np.uint8], Corners, float]:
    """Photo, the car's box, and the share of the width that it takes. The `others` stand behind it, at most half as
    wide, about the horizon."""
    size = SIZES[int(rng.integers(len(SIZES)))]
    horizon = rng.uniform(*HORIZON)
    scene = street(behind, size, horizon)
    share = rng.uniform(*WIDTHS)
    main = placed(car, share * size[0], rng)
    if main.height > 0.9 * size[1]:  # a car seen from its end in a landscape photo
        share *= 0.9 * size[1] / main.height
        main = placed(car, share * size[0], rng)
    for other in others:
        small = placed(other, share * size[0] * rng.uniform(0.2, 0.5), rng)
        left = int(rng.integers(0, max(1, size[0] - small.width)))
        scene.paste(small, (left, max(0, round(horizon * size[1] - small.height * rng.uniform(0.3, 0.8)))), small)
    left = int(rng.integers(0, size[0] - main.width + 1))
    lowest = size[1] - main.height
    top = int(rng.integers(min(lowest, max(0, round(horizon * size[1] - main.height / 2))), lowest + 1))
    scene.paste(main, (left, top), main)
    return np.asarray(scene), (left, top, left + main.width, top + main.height), main.width / size[0]


class Scenes:
    """The photos: `cars` by the name of the predictor that is asked about them, others and streets from `data`."""

    def __init__(self, data: Path) -> None:
        """Raises `FileNotFoundError` where a pack is missing."""
        self.streets = Archive(data / "sound" / "val")
        self.street_names = self.streets.photos()
        heads = tasks.create(recipes.read("attributes"), data, Path("runs"))
        cutouts = [row for row in heads.samples["val"] if row.cutout]
        crops = tasks.create(recipes.read("car_details"), data, Path("runs"))
        self.cars = {
            "attributes": Cars(
                "orientation",
                [row.label for row in cutouts],
                lambda n: heads.archives[cutouts[n].archive].cutout(cutouts[n].file),
            ),
            "car_details": Cars(
                "label",
                [row.label for row in crops.val_rows],
                lambda n: faded(crops.archives["val"].photo(crops.val_rows[n].file)),
                MARGIN,
            ),
        }

    def photo(self, reader: str, number: int) -> Wide:
        """Photo `number` of those that `reader` is asked about; the same every time."""
        rng = np.random.default_rng((number, len(reader)))
        cars, small = self.cars[reader], self.cars["attributes"]
        chosen = int(rng.integers(len(cars.labels)))
        others = [small.image(int(n)) for n in rng.integers(0, len(small.labels), int(rng.integers(0, 4)))]
        behind = self.streets.photo(self.street_names[int(rng.integers(len(self.street_names)))])
        car = cars.image(chosen)
        pixels, box, share = compose(car, others, behind, rng)
        return Wide(pixels, box, share, cars.labels[chosen], cars.margin * (box[2] - box[0]) / car.width)


def overlap(found: Corners, box: Corners, inset: float = 0.0) -> float:
    """IoU of a box with the true one: of those from `box` to `inset` pixels inside it, the one that it fits best."""
    steps = np.linspace(0.0, inset, INSETS)[:, None] * [1, 1, -1, -1]
    return float(overlaps(np.array(found, np.float64), np.array(box, np.float64) + steps).max())


def located(locator: Vehicles, photo: Photo, box: Corners, inset: float = 0.0) -> tuple[float, Region | None]:
    """IoU of the main vehicle's box with the true one (0 where there is no main vehicle), and the region that the
    locator names first."""
    options, all_of_it = locator.specification.options(), whole(photo.header)
    batch = {name: value[None] for name, value in locator.prepare(photo, all_of_it, options).items()}
    output = {name: value[0] for name, value in locator.run(batch).items()}
    answer = locator.finish(output, photo.header, all_of_it, options)
    main = [(one.box.x1, one.box.y1, one.box.x2, one.box.y2) for one in answer.vehicles if one.main]
    if not main:
        return 0.0, None
    return overlap(main[0], box, inset), locator.regions(answer, photo.header)[0]


def right(
    reader: WeightedPredictor[Any, Any], head: str, photo: Photo, regions: Sequence[Region], label: int
) -> list[bool]:
    """Whether the reader's best label is the true one, region by region."""
    options = reader.specification.options()
    prepared = [reader.prepare(photo, region, options) for region in regions]
    output = reader.run({name: np.stack([one[name] for one in prepared]) for name in prepared[0]})
    return [bool(row.argmax() == label) for row in output[head]]


def figures(
    locator: Vehicles, readers: dict[str, WeightedPredictor[Any, Any]], scenes: Scenes, count: int
) -> dict[str, float]:
    """Over `count` photos a reader: `main`, the share of photos whose main vehicle is the placed car (IoU of 0.6 or
    more), `main_large` of those where it takes 30 % of the width or more, and each reader's share of right labels with
    the region that the locator names, the whole photo and the true box."""
    found: dict[str, list[bool]] = {"main": [], "main_large": []}
    for name, reader in readers.items():
        cars = scenes.cars[name]
        for number in range(count):
            wide = scenes.photo(name, number)
            photo = Photo(Header(wide.pixels.shape[1], wide.pixels.shape[0], ""), wide.pixels)
            fits, named = located(locator, photo, wide.box, wide.inset)
            hit = fits >= FOUND
            for key in ("main", f"main_{name}", *(["main_large"] if wide.share >= LARGE else [])):
                found.setdefault(key, []).append(hit)
            all_of_it = whole(photo.header)
            tight = [named or all_of_it, all_of_it, Region(*wide.box, "box")]
            margin = reader.specification.margin
            regions = [framed(tight[0], margin if named else 0.0, photo.header) or all_of_it, *tight[1:]]
            for key, is_right in zip(READ, right(reader, cars.head, photo, regions, wide.label), strict=True):
                found.setdefault(f"{name}_{cars.head}_{key}", []).append(is_right)
    return {key: round(float(np.mean(values)), 4) for key, values in found.items() if values}
