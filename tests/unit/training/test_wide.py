"""Made-up wide photos hold the car where they say; the locator is measured against that."""

from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from PIL import Image

from models.photo import Header, Photo, Region
from training import wide


def car(width: int = 160, height: int = 80) -> Image.Image:
    """A magenta car on nothing."""
    pixels = np.zeros((height, width, 4), np.uint8)
    pixels[4:-4, 6:-6] = (255, 0, 255, 255)
    return Image.fromarray(pixels, "RGBA")


GREY = np.full((120, 200, 3), 120, np.uint8)


@pytest.mark.parametrize("seed", range(12))
def test_the_car_lies_in_its_box_and_takes_its_share(seed: int) -> None:
    pixels, (x1, y1, x2, y2), share = wide.compose(car(), [], GREY, np.random.default_rng(seed))
    height, width = pixels.shape[:2]
    assert (width, height) in wide.SIZES
    assert 0 <= x1 < x2 <= width
    assert 0 <= y1 < y2 <= height
    assert share == pytest.approx((x2 - x1) / width)
    assert share <= wide.WIDTHS[1] + 1 / width
    ys, xs = np.nonzero((pixels[..., 0] > 200) & (pixels[..., 1] < 90))
    assert (xs.min(), xs.max()) == pytest.approx((x1, x2 - 1), abs=8)
    assert (ys.min(), ys.max()) == pytest.approx((y1, y2 - 1), abs=8)


def test_a_tall_car_still_fits() -> None:
    pixels, (_, y1, _, y2), share = wide.compose(car(80, 200), [], GREY, np.random.default_rng(3))
    assert y2 - y1 <= pixels.shape[0]
    assert share > 0


def test_others_are_smaller_and_behind() -> None:
    """Yellow cars beside, at most half as wide as the magenta one, which hides what it stands before."""
    yellow = Image.fromarray(np.full((40, 80, 4), (255, 255, 0, 255), np.uint8), "RGBA")
    alone, box, share = wide.compose(car(), [], GREY, np.random.default_rng(5))
    beside, _, _ = wide.compose(car(), [yellow, yellow, yellow], GREY, np.random.default_rng(5))
    seen = (beside[..., 0] > 200) & (beside[..., 1] > 200) & (beside[..., 2] < 90)
    assert seen.any()
    assert not ((alone[..., 0] > 200) & (alone[..., 1] > 200)).any()
    assert box[2] - box[0] == pytest.approx(share * alone.shape[1])


def test_a_street_shows_nothing_of_the_car_in_the_photo() -> None:
    """Red where the car stands, blue above and green below: no red is left."""
    photo = np.zeros((160, 200, 3), np.uint8)
    photo[:10], photo[10:150], photo[150:] = (0, 0, 200), (200, 0, 0), (0, 200, 0)
    scene = np.asarray(wide.street(photo, (400, 300), 0.5))
    assert scene.shape == (300, 400, 3)
    assert scene[..., 0].max() == 0
    assert scene[20, 200].argmax() == 2
    assert scene[280, 200].argmax() == 1


def test_a_crop_fades_at_its_edges() -> None:
    alpha = np.asarray(wide.faded(np.full((100, 200, 3), 90, np.uint8)))[..., 3]
    assert alpha[50, 100] == 255
    assert alpha[50, 0] < 40
    assert alpha[0, 100] < 60


class Locator:
    """Finds what the test says, or nothing."""

    def __init__(self, found: Region | None) -> None:
        self.found = found
        self.specification = self

    def options(self) -> None:
        return None

    def prepare(self, photo: Photo, region: Region, options: None) -> dict[str, np.ndarray]:
        return {"image": np.zeros((2, 2, 3), np.uint8)}

    def run(self, batch: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
        return batch

    def finish(self, output: Any, header: Header, region: Region, options: None) -> Any:
        vehicles = [SimpleNamespace(box=self.found, main=True)] if self.found else []
        return SimpleNamespace(vehicles=vehicles)

    def regions(self, answer: Any, header: Header) -> list[Region]:
        return [answer.vehicles[0].box]


@pytest.mark.parametrize(
    ("found", "overlap"),
    [
        (Region(10, 10, 110, 60, "vehicle"), 1.0),
        (Region(10, 10, 110, 35, "vehicle"), 0.5),
        (Region(200, 200, 210, 210, "vehicle"), 0.0),
        (None, 0.0),
    ],
)
def test_how_far_the_main_vehicle_is_the_placed_car(found: Region | None, overlap: float) -> None:
    photo = Photo(Header(300, 300, ""), np.zeros((300, 300, 3), np.uint8))
    locator: Any = Locator(found)
    told, named = wide.located(locator, photo, (10, 10, 110, 60))
    assert told == pytest.approx(overlap)
    assert named == found


def test_a_crop_s_car_may_lie_anywhere_within_the_margin() -> None:
    """A crop of 200 x 100 with up to 16 px around its car: boxes that far inside it fit, and no further ones."""
    box = (100.0, 100.0, 300.0, 200.0)
    assert wide.overlap(box, box, 16) == 1
    assert wide.overlap((108, 108, 292, 192), box, 16) == pytest.approx(1)
    assert wide.overlap((116, 116, 284, 184), box, 16) == pytest.approx(1)
    assert wide.overlap((116, 116, 284, 184), box) == pytest.approx(168 * 68 / 20000)
    assert wide.overlap((126, 126, 274, 174), box, 16) == pytest.approx(148 * 48 / (168 * 68))
    assert wide.overlap((400, 100, 600, 200), box, 16) == 0


def test_a_photo_of_a_crop_says_how_far_its_car_may_lie_inside() -> None:
    cars = wide.Cars("label", [7], lambda n: car(200, 100), margin=16)
    scenes: Any = wide.Scenes.__new__(wide.Scenes)
    scenes.cars = {"car_details": cars, "attributes": wide.Cars("orientation", [0], lambda n: car())}
    scenes.streets, scenes.street_names = SimpleNamespace(photo=lambda name: GREY), ["street"]
    made, cutout = scenes.photo("car_details", 3), scenes.photo("attributes", 3)
    assert made.label == 7
    assert made.inset == pytest.approx(0.08 * (made.box[2] - made.box[0]))
    assert cutout.inset == 0


def test_figures_tell_who_read_what(monkeypatch: pytest.MonkeyPatch) -> None:
    """The locator is right in every photo; the reader is right on the true box and on what the locator names."""
    photos = [
        wide.Wide(np.zeros((100, 200, 3), np.uint8), (20, 20, 20 + w, 60), w / 200, 0) for w in (40, 80, 120, 160)
    ]

    def located(locator: Any, photo: Photo, box: wide.Corners, inset: float) -> tuple[float, Region | None]:
        if box[2] - box[0] == 40:
            return 0.0, None  # the smallest is missed
        return 0.9, Region(*box, "vehicle")

    def right(reader: Any, head: str, photo: Photo, regions: Any, label: int) -> list[bool]:
        return [region.source != "whole" for region in regions]

    monkeypatch.setattr(wide, "located", located)
    monkeypatch.setattr(wide, "right", right)
    cars = {"car_details": wide.Cars("label", [0], lambda n: car())}
    scenes: Any = SimpleNamespace(cars=cars, photo=lambda reader, number: photos[number])
    reader: Any = SimpleNamespace(specification=SimpleNamespace(margin=0.0))
    locator: Any = None
    assert wide.figures(locator, {"car_details": reader}, scenes, 4) == {
        "main": 0.75,
        "main_large": 1.0,
        "main_car_details": 0.75,
        "car_details_label_auto": 0.75,
        "car_details_label_whole": 0.0,
        "car_details_label_box": 1.0,
    }
