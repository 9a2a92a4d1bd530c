"""What finding the vehicle costs on photos cut to it: read twice only where something would be cut away."""

from functools import partial
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from models.photo import Photo, Region
from training import cropped
from training.cropped import Cropped


def test_photos_are_those_of_val_without_cutouts(data: Path) -> None:
    every = cropped.photos(data)
    assert [one.head for one in every["attributes"]] == ["color", "color", "type", "type", "type", "orientation"]
    assert len(every["car_details"]) == 2
    assert {one.pixels().shape for photos in every.values() for one in photos} == {(40, 60, 3)}
    assert not np.array_equal(every["attributes"][0].pixels(), every["attributes"][1].pixels())


def test_each_way_is_told_and_a_photo_that_is_not_cut_counts_for_both(monkeypatch: pytest.MonkeyPatch) -> None:
    """Photo 0 is cut to a wrong region, photo 1 to the right one, which alone is read rightly, photo 2 not at all."""
    regions = [Region(0, 0, 20, 20, "vehicle"), Region(50, 50, 80, 80, "vehicle"), None]

    def located(locator: Any, photo: Photo, box: Any) -> tuple[float, Region | None]:
        assert box == (0, 0, 200, 100)
        return 0.0, regions[int(photo.pixels[0, 0, 0])]

    def right(reader: Any, head: str, photo: Photo, asked: Any, label: int) -> list[bool]:
        number = int(photo.pixels[0, 0, 0])
        wholly = {0: True, 1: False, 2: True}[number]
        return [wholly if region.source == "whole" else number == 1 for region in asked]

    monkeypatch.setattr(cropped, "located", located)
    monkeypatch.setattr(cropped, "right", right)
    reader: Any = SimpleNamespace(specification=SimpleNamespace(margin=0.0))
    locator: Any = None
    every = [Cropped("color", 0, partial(np.full, (100, 200, 3), n, np.uint8)) for n in range(3)]
    assert cropped.figures(locator, {"attributes": reader}, {"attributes": every}) == {
        "attributes_color_cropped_auto": pytest.approx(2 / 3, abs=1e-4),
        "attributes_color_cropped_whole": pytest.approx(2 / 3, abs=1e-4),
    }
    assert cropped.figures(locator, {"attributes": reader}, {"attributes": every[1:]}) == {
        "attributes_color_cropped_auto": 1,
        "attributes_color_cropped_whole": 0.5,
    }
