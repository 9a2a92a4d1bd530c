"""Photos that show the same have nearly the same hash, others have not."""

import io
from collections.abc import Callable

import numpy as np
import pytest
from PIL import Image

from tests.unit.training.data import sets
from training.data import duplicates


def saved(image: Image.Image, kind: str = "PNG", **options: int) -> bytes:
    file = io.BytesIO()
    image.save(file, kind, **options)
    return file.getvalue()


def turned(image: Image.Image) -> bytes:
    exif = Image.Exif()
    exif[0x0112] = 6  # to be shown turned to the right by 90 degrees
    file = io.BytesIO()
    image.transpose(Image.Transpose.ROTATE_90).save(file, "JPEG", quality=95, exif=exif)
    return file.getvalue()


CHANGES: list[Callable[[Image.Image], bytes]] = [
    lambda image: saved(image.resize((300, 200))),
    lambda image: saved(image, "JPEG", quality=40),
    lambda image: saved(image.point(lambda value: value * 0.8)),
    lambda image: saved(image.crop((6, 4, 594, 396))),
    turned,
]


@pytest.mark.parametrize("change", CHANGES)
@pytest.mark.parametrize("seed", range(3))
def test_the_same_picture_is_near(seed: int, change: Callable[[Image.Image], bytes]) -> None:
    data = sets.encoded(seed, 600, 400, patches=12)
    known = np.array([duplicates.perceptual_hash(data)], np.uint64)
    other = duplicates.perceptual_hash(change(Image.open(io.BytesIO(data))))
    assert duplicates.near(known, other).tolist() == [0]


def test_other_pictures_are_far() -> None:
    hashes = [duplicates.perceptual_hash(sets.encoded(seed, 600, 400, patches=12)) for seed in range(12)]
    known = np.array(hashes, np.uint64)
    assert [duplicates.near(known, one).tolist() for one in hashes] == [[n] for n in range(12)]


@pytest.mark.parametrize("data", [b"", b"no photo", sets.encoded()[:60]])
def test_what_is_no_photo_is_told(data: bytes) -> None:
    with pytest.raises(ValueError, match="the photo cannot be read: "):
        duplicates.perceptual_hash(data)
