"""The bench's photos compress as photos do, and are the same every time."""

import io
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tests.bench.compare import photos


@pytest.mark.parametrize("name", ["small", "web"])
def test_a_photo_has_the_bits_of_one(name: str) -> None:
    data = photos.jpeg(name)
    assert 1.5 <= photos.bits_per_pixel(data) <= 3.0
    with Image.open(io.BytesIO(data)) as image:
        assert (image.format, image.size) == ("JPEG", photos.SIZES[name])


def test_a_scene_is_the_same_every_time() -> None:
    assert photos.jpeg("small") == photos.jpeg("small")


def test_bits_are_counted_by_the_pixel() -> None:
    file = io.BytesIO()
    Image.new("RGB", (80, 10)).save(file, "PNG")
    assert photos.bits_per_pixel(file.getvalue()) == len(file.getvalue()) / 100


def test_the_noise_falls_as_one_over_f() -> None:
    power = np.abs(np.fft.rfft2(photos.texture(3, 256).astype(np.float64)))
    radius = np.hypot(np.fft.fftfreq(256)[:, None], np.fft.rfftfreq(256)[None, :])
    low = power[(radius > 0.02) & (radius < 0.04)].mean()
    high = power[(radius > 0.2) & (radius < 0.4)].mean()
    assert 8 < low / high < 12.5  # ten times the frequency, a tenth of the amplitude


def test_a_photo_that_is_too_smooth_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(photos.ROUGHNESS, "small", 0.0)
    with pytest.raises(ValueError, match="bits a pixel"):
        photos.write(tmp_path, ["small"])
