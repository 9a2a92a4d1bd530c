"""The photos that are sent: seeded scenes of gradients, shapes and 1/f noise, which compress as photos do."""

import io
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw

SIZES = {"small": (500, 375), "web": (1600, 1200), "phone": (4032, 3024)}
"""Width and height in pixels."""

QUALITY = 88
TILE = 1024
ROUGHNESS = {"small": 12.0, "web": 14.0, "phone": 15.0}
"""Standard deviation of the noise in grey levels, found by trial: 1.5 to 3 bits a pixel."""


def texture(seed: int, side: int = TILE) -> NDArray[np.float32]:
    """Noise whose amplitude falls as 1/f, as natural scenes' does (Field 1987): (side, side), mean 0, deviation 1. Its
    edges fit each other."""
    white = np.fft.rfft2(np.random.default_rng(seed).standard_normal((side, side)))
    frequency = np.hypot(np.fft.fftfreq(side)[:, None], np.fft.rfftfreq(side)[None, :])
    frequency[0, 0] = np.inf
    noise = np.fft.irfft2(white / frequency, s=(side, side))
    scaled: NDArray[np.float32] = (noise / noise.std()).astype(np.float32)
    return scaled


def scene(width: int, height: int, roughness: float, seed: int = 7) -> NDArray[np.uint8]:
    """A street with a car: RGB uint8 (height, width, 3), the same for the same arguments."""
    ramp = np.linspace(0.0, 1.0, height, dtype=np.float32)[:, None]
    sky, road = np.array([150, 180, 215], np.float32), np.array([88, 86, 84], np.float32)
    pixels = np.broadcast_to((sky * (1 - ramp) + road * ramp)[:, None, :], (height, width, 3)).astype(np.uint8)
    image = Image.fromarray(pixels)
    _car(ImageDraw.Draw(image), width, height)
    rows, columns = -(-height // TILE), -(-width // TILE)
    grey = np.tile(texture(seed), (rows, columns))[:height, :width] * roughness
    grain = np.random.default_rng(seed + 1).standard_normal((height, width), dtype=np.float32) * (roughness / 4)
    return np.clip(np.asarray(image, np.float32) + (grey + grain)[..., None], 0, 255).astype(np.uint8)


def _car(draw: ImageDraw.ImageDraw, width: int, height: int) -> None:
    """A red saloon from its side over two thirds of the width."""

    def at(*points: tuple[float, float]) -> list[tuple[float, float]]:
        return [(x * width, y * height) for x, y in points]

    paint, glass = (176, 28, 32), (54, 66, 78)
    draw.ellipse(at((0.12, 0.76), (0.90, 0.84)), fill=(50, 49, 48))  # the shadow
    draw.rounded_rectangle(at((0.14, 0.52), (0.88, 0.75)), radius=height * 0.06, fill=paint)
    draw.polygon(at((0.28, 0.54), (0.38, 0.36), (0.64, 0.36), (0.76, 0.54)), fill=paint)
    draw.polygon(at((0.315, 0.53), (0.39, 0.39), (0.50, 0.39), (0.50, 0.53)), fill=glass)
    draw.polygon(at((0.515, 0.53), (0.515, 0.39), (0.63, 0.39), (0.715, 0.53)), fill=glass)
    draw.line(at((0.508, 0.40), (0.508, 0.73)), fill=(120, 18, 22), width=max(1, width // 400))
    draw.rectangle(at((0.14, 0.57), (0.17, 0.61)), fill=(230, 225, 190))
    draw.rectangle(at((0.86, 0.57), (0.88, 0.61)), fill=(235, 80, 60))
    for middle in (0.29, 0.73):
        across, down = 0.065, 0.065 * width / height
        draw.ellipse(at((middle - across, 0.75 - down), (middle + across, 0.75 + down)), fill=(24, 24, 25))
        draw.ellipse(
            at((middle - across / 2, 0.75 - down / 2), (middle + across / 2, 0.75 + down / 2)), fill=(150,) * 3
        )


def jpeg(name: str) -> bytes:
    """The photo of that name in `SIZES`, baseline JPEG."""
    file = io.BytesIO()
    Image.fromarray(scene(*SIZES[name], ROUGHNESS[name])).save(file, "JPEG", quality=QUALITY)
    return file.getvalue()


def bits_per_pixel(data: bytes) -> float:
    """Bits of the file for each pixel of its photo."""
    with Image.open(io.BytesIO(data)) as image:
        return 8 * len(data) / (image.width * image.height)


def write(folder: Path, names: list[str]) -> dict[str, Path]:
    """The photos as files in `folder`, by name. Raises `ValueError` where one does not compress as a photo does."""
    folder.mkdir(parents=True, exist_ok=True)
    paths = {}
    for name in names:
        data = jpeg(name)
        if not 1.5 <= bits_per_pixel(data) <= 3.0:
            raise ValueError(f"the photo {name} has {bits_per_pixel(data):.2f} bits a pixel, expected 1.5 to 3")
        paths[name] = folder / f"{name}.jpg"
        paths[name].write_bytes(data)
    return paths
