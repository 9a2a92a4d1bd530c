"""Close-ups of annotated photos: the same every time, their instances cut to them."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from training.closeups import EACH, CloseUps, clipped
from training.data.annotated import Annotated, Instance
from training.data.archive import Archive


def square(x: float, y: float, side: float, label: int = 0) -> Instance:
    return Instance(label, [np.array([[x, y], [x + side, y], [x + side, y + side], [x, y + side]], np.float32)])


@pytest.fixture
def archive(tmp_path: Path) -> Archive:
    (tmp_path / "val").mkdir()
    pixels = np.zeros((80, 100, 3), np.uint8)
    pixels[20:60, 30:70] = 255
    for name in ("a.png", "b.png"):
        Image.fromarray(pixels).save(tmp_path / "val" / name)
    return Archive(tmp_path / "val")


PHOTOS = [Annotated(4, "a.png", 100, 80, [square(30, 20, 39)]), Annotated(5, "b.png", 100, 80, [])]


def test_each_photo_with_an_instance_has_its_close_ups(archive: Archive) -> None:
    near = CloseUps(PHOTOS, archive)
    assert [photo.file for photo in near.photos] == ["a.png#1", "a.png#2"]
    assert len({photo.id for photo in near.photos}) == EACH
    for photo in near.photos:
        pixels = near.photo(photo.file)
        assert pixels.shape == (photo.height, photo.width, 3)
        assert 0.19 < photo.width / 100 < 0.61
        (one,) = photo.instances
        x1, y1, x2, y2 = (round(v) for v in one.box())
        assert (pixels[y1:y2, x1:x2] == 255).all()  # the outline lies on what is drawn
        assert pixels.sum() == pixels[y1:y2, x1:x2].sum()
    again = CloseUps(PHOTOS, archive)
    assert [(p.width, p.height) for p in again.photos] == [(p.width, p.height) for p in near.photos]
    other = CloseUps(PHOTOS, archive, seed=1)
    assert [(p.width, p.height) for p in other.photos] != [(p.width, p.height) for p in near.photos]


def test_an_instance_is_cut_to_the_part() -> None:
    found = clipped(square(10, 10, 20), 20, 0, 50, 50)
    assert found is not None
    assert found.box() == (0, 10, 11, 31)  # pixels 20 to 30, the last one whole
    assert not found.crowd


def test_what_shows_too_little_counts_neither_way() -> None:
    found = clipped(square(10, 10, 20), 27, 0, 50, 50)
    assert found is not None
    assert found.crowd
    assert clipped(square(10, 10, 20), 40, 0, 50, 50) is None
