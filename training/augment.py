"""Random changes to photos, drawn from a generator that the caller seeds: uint8 RGB in, uint8 RGB out."""

import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageEnhance, ImageFilter

Pixels = NDArray[np.uint8]
Random = np.random.Generator


@dataclass(frozen=True, slots=True)
class Strength:
    """How far each change may go; 0 leaves it out. `margin` and `cut` are shares of a side; `aspect` stretches one side
    against the other, by a factor of up to 1 + `aspect`."""

    flip: float = 0.5
    rotate: float = 5.0
    warp: float = 0.05
    margin: float = 0.12
    cut: float = 0.06
    aspect: float = 0.0
    light: float = 0.2
    colour: float = 0.0
    soften: float = 0.3


def mirrored_labels(labels: Sequence[str], pairs: Mapping[str, str]) -> list[int]:
    """For each label the number of the one that it becomes in a mirrored photo: that of its pair, else its own.

    Raises `ValueError` where a pair names no label.
    """
    swapped = {**pairs, **{b: a for a, b in pairs.items()}}
    unknown = sorted(set(swapped) - set(labels))
    if unknown:
        raise ValueError(f"mirror: {', '.join(unknown)} are not among the labels {', '.join(labels)}")
    return [list(labels).index(swapped.get(label, label)) for label in labels]


def jitter(image: Image.Image, strength: Strength, rng: Random) -> Image.Image:
    """Rotation, perspective, a looser or tighter frame and a stretch, in one resampling; the outside is mirrored."""
    width, height = image.size
    stretch = 1 + strength.aspect
    # A stretch widens the loosest frame by its square root on one side; the photo has to reach that far.
    reach = strength.margin + (np.sqrt(stretch) - 1) * (0.5 + strength.margin)
    pad_x, pad_y = round(width * reach), round(height * reach)
    pixels = np.pad(
        np.asarray(image),
        ((pad_y, pad_y), (pad_x, pad_x), (0, 0)),
        mode="reflect" if min(width, height) > 8 else "edge",
    )
    grow = rng.uniform(-strength.cut, strength.margin, 4)
    left, right = pad_x - grow[0] * width, pad_x + width + grow[1] * width
    top, bottom = pad_y - grow[2] * height, pad_y + height + grow[3] * height
    corners = np.array([[left, top], [left, bottom], [right, bottom], [right, top]])
    corners += rng.uniform(-strength.warp, strength.warp, (4, 2)) * (width, height) / 2
    angle = np.deg2rad(rng.uniform(-strength.rotate, strength.rotate))
    centre = corners.mean(axis=0)
    turn = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    if strength.aspect:  # no draw without it, so that runs without it stay as they were
        side = stretch ** (rng.uniform(-1, 1) / 2)
        turn = turn * (side, 1 / side)
    corners = (corners - centre) @ turn.T + centre
    size = (max(8, round(right - left)), max(8, round(bottom - top)))
    return Image.fromarray(pixels).transform(
        size, Image.Transform.QUAD, tuple(corners.ravel()), Image.Resampling.BILINEAR
    )


def light(image: Image.Image, amount: float, rng: Random) -> Image.Image:
    """Brightness and contrast, each by a factor in 1 ± amount."""
    image = ImageEnhance.Brightness(image).enhance(rng.uniform(1 - amount, 1 + amount))
    return ImageEnhance.Contrast(image).enhance(rng.uniform(1 - amount, 1 + amount))


def soften(image: Image.Image, rng: Random) -> Image.Image:
    """One of: fewer pixels, JPEG compression, blur, noise, gamma; so that no head learns which set a photo is of."""
    choice = rng.integers(5)
    if choice == 0:
        factor = rng.uniform(0.4, 0.9)
        small = (max(16, round(image.width * factor)), max(16, round(image.height * factor)))
        return image.resize(small, Image.Resampling.BILINEAR)
    if choice == 1:
        buffer = io.BytesIO()
        image.save(buffer, "JPEG", quality=int(rng.integers(30, 90)))
        return Image.open(buffer).convert("RGB")
    if choice == 2:
        return image.filter(ImageFilter.GaussianBlur(rng.uniform(0.3, 1.2)))
    return noise(image, rng) if choice == 3 else gamma(image, rng)


def noise(image: Image.Image, rng: Random) -> Image.Image:
    """A sensor's noise: normal, of mean 0 so that no colour shifts, its deviation 2 to 8 of 255 levels."""
    pixels = np.asarray(image, np.float32)
    grain = rng.standard_normal(pixels.shape, np.float32) * rng.uniform(2, 8)
    return Image.fromarray(np.clip(np.rint(pixels + grain), 0, 255).astype(np.uint8))


def gamma(image: Image.Image, rng: Random) -> Image.Image:
    """Another tone curve: each level to a power of 0.8 to 1.25, the same for all channels; black and white stay."""
    power = 1.25 ** rng.uniform(-1, 1)
    curve = np.rint(255 * (np.arange(256) / 255) ** power).astype(int).tolist()
    return image.point(curve * len(image.getbands()))


def vary(pixels: Pixels, side: int, strength: Strength, rng: Random) -> tuple[Pixels, bool]:
    """A varied photo scaled to `side` x `side`, and whether it was mirrored."""
    image = Image.fromarray(pixels)
    mirrored = bool(rng.random() < strength.flip)
    if mirrored:
        image = image.transpose(Image.Transpose.FLIP_LEFT_RIGHT)
    image = jitter(image, strength, rng)
    if strength.light:
        image = light(image, strength.light, rng)
    if strength.colour:
        image = ImageEnhance.Color(image).enhance(rng.uniform(1 - strength.colour, 1 + strength.colour))
    if rng.random() < strength.soften:
        image = soften(image, rng)
    return np.asarray(image.resize((side, side), Image.Resampling.BILINEAR)), mirrored


def paste(cutout: Image.Image, background: Pixels, rng: Random) -> Pixels:
    """A cut-out car on a stretch of another photo, its fringe eroded by a pixel; the car fills most of the frame."""
    car = cutout.copy()
    car.putalpha(car.getchannel("A").filter(ImageFilter.MinFilter(3)))
    box = car.getchannel("A").getbbox() or (0, 0, *car.size)
    car = car.crop(box)
    width = round(car.width * rng.uniform(1.02, 1.3))
    height = round(car.height * rng.uniform(1.02, 1.3))
    behind = Image.fromarray(background)
    share = rng.uniform(0.5, 1.0)
    cut = (max(2, round(behind.width * share)), max(2, round(behind.height * share)))
    x, y = rng.integers(0, behind.width - cut[0] + 1), rng.integers(0, behind.height - cut[1] + 1)
    scene = behind.crop((int(x), int(y), int(x) + cut[0], int(y) + cut[1])).resize(
        (width, height), Image.Resampling.BILINEAR
    )
    if rng.random() < 0.5:
        scene = scene.filter(ImageFilter.GaussianBlur(rng.uniform(1, 6)))
    scene.paste(car, (int(rng.integers(0, width - car.width + 1)), int(rng.integers(0, height - car.height + 1))), car)
    return np.asarray(scene)
