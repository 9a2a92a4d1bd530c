"""Changes to photos: the same for the same seed, mirrored when they say so, and cut-outs that cover."""

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
from PIL import Image

from training import augment
from training.augment import Pixels, Strength

STILL = Strength(flip=0, rotate=0, warp=0, margin=0, cut=0, light=0, colour=0, soften=0)


def photo(width: int = 60, height: int = 40) -> Pixels:
    """Dark at the left, bright at the right, and some texture."""
    ramp = np.tile(np.linspace(20, 220, width), (height, 1))[..., None] + np.zeros(3)
    noise = np.random.default_rng(0).normal(scale=3, size=ramp.shape)
    result: Pixels = np.clip(ramp + noise, 0, 255).astype(np.uint8)
    return result


def brighter_right(pixels: Pixels) -> bool:
    half = pixels.shape[1] // 2
    return bool(pixels[:, half:].mean() > pixels[:, :half].mean())


CHANGES: dict[str, Callable[[np.random.Generator], Pixels]] = {
    "vary": lambda rng: augment.vary(photo(), 32, Strength(colour=0.3, soften=1), rng)[0],
    "jitter": lambda rng: np.asarray(augment.jitter(Image.fromarray(photo()), Strength(), rng)),
    "light": lambda rng: np.asarray(augment.light(Image.fromarray(photo()), 0.3, rng)),
    "soften": lambda rng: np.asarray(augment.soften(Image.fromarray(photo()), rng)),
    "noise": lambda rng: np.asarray(augment.noise(Image.fromarray(photo()), rng)),
    "gamma": lambda rng: np.asarray(augment.gamma(Image.fromarray(photo()), rng)),
    "paste": lambda rng: augment.paste(cutout(), photo(), rng),
}


def cutout(width: int = 30, height: int = 20) -> Image.Image:
    """A green car, opaque in all but a frame of four pixels that is transparent and red."""
    pixels = np.zeros((height + 8, width + 8, 4), np.uint8)
    pixels[..., 0] = 255
    pixels[4:-4, 4:-4] = (0, 255, 0, 255)
    return Image.fromarray(pixels, "RGBA")


@pytest.mark.parametrize("name", CHANGES)
def test_a_seed_decides_all(name: str) -> None:
    change = CHANGES[name]
    np.testing.assert_array_equal(change(np.random.default_rng(5)), change(np.random.default_rng(5)))
    others = [change(np.random.default_rng(seed)) for seed in range(6)]
    assert any(o.shape != others[0].shape or (o != others[0]).any() for o in others[1:])


@pytest.mark.parametrize("name", CHANGES)
def test_what_comes_out_is_rgb(name: str) -> None:
    pixels = CHANGES[name](np.random.default_rng(1))
    assert pixels.dtype == np.uint8
    assert pixels.ndim == 3
    assert pixels.shape[2] == 3


def test_no_strength_is_no_change_but_the_size() -> None:
    pixels, mirrored = augment.vary(photo(), 32, STILL, np.random.default_rng(0))
    assert not mirrored
    plain = np.asarray(Image.fromarray(photo()).resize((32, 32), Image.Resampling.BILINEAR))
    assert np.abs(pixels.astype(int) - plain.astype(int)).max() <= 1


@pytest.mark.parametrize("flip", [0.0, 0.5, 1.0])
def test_mirrored_is_what_it_says(flip: float) -> None:
    strength = Strength(flip=flip, soften=0.5)
    told = []
    for seed in range(24):
        pixels, mirrored = augment.vary(photo(), 24, strength, np.random.default_rng(seed))
        assert brighter_right(pixels) != mirrored
        told.append(mirrored)
    assert (flip == 0) == (not any(told))
    assert (flip == 1) == all(told)


@pytest.mark.parametrize("size", [(60, 40), (9, 200), (8, 8), (3, 2)])
def test_photos_of_every_size_are_varied(size: tuple[int, int]) -> None:
    for seed in range(6):
        pixels, _ = augment.vary(photo(*size), 16, Strength(soften=1), np.random.default_rng(seed))
        assert pixels.shape == (16, 16, 3)


def test_the_frame_is_loosened_and_tightened_but_never_black() -> None:
    grey = Image.fromarray(np.full((50, 70, 3), 128, np.uint8))
    strength = Strength(rotate=0, warp=0, margin=0.2, cut=0.1)
    sizes = set()
    for seed in range(12):
        varied = np.asarray(augment.jitter(grey, strength, np.random.default_rng(seed)))
        assert (varied == 128).all()
        sizes.add(varied.shape)
        assert 50 * 0.79 <= varied.shape[0] <= 50 * 1.41
    assert len(sizes) > 6


def ratio_of_a_square(strength: Strength, seed: int) -> float:
    """Width by height of what was a square, after `jitter`."""
    pixels = np.zeros((200, 300, 3), np.uint8)
    pixels[60:140, 110:190] = 255
    seen = np.asarray(augment.jitter(Image.fromarray(pixels), strength, np.random.default_rng(seed)))[..., 0] > 127
    return float(seen.any(axis=0).sum() / seen.any(axis=1).sum())


def test_one_side_is_stretched_against_the_other_within_bounds() -> None:
    ratios = [ratio_of_a_square(replace(STILL, aspect=0.2), seed) for seed in range(40)]
    rounding = 1.02
    assert 1 / 1.2 / rounding < min(ratios) < 0.9
    assert 1.1 < max(ratios) < 1.2 * rounding
    assert {ratio_of_a_square(STILL, seed) for seed in range(5)} == {1.0}


@pytest.mark.parametrize("margin", [0.0, 0.2])
def test_a_stretched_photo_has_no_black_edge(margin: float) -> None:
    grey = Image.fromarray(np.full((50, 70, 3), 128, np.uint8))
    strength = replace(STILL, aspect=0.5, margin=margin)
    for seed in range(20):
        assert (np.asarray(augment.jitter(grey, strength, np.random.default_rng(seed))) == 128).all()


def test_every_way_to_soften_is_drawn() -> None:
    flat, edge = np.full((40, 40, 3), 100, np.uint8), np.full((40, 40, 3), 60, np.uint8)
    edge[:, 20:] = 160
    drawn = set()
    for seed in range(60):
        even = np.asarray(augment.soften(Image.fromarray(flat), np.random.default_rng(seed)))
        sharp = np.asarray(augment.soften(Image.fromarray(edge), np.random.default_rng(seed)))
        if even.shape != flat.shape:
            drawn.add("fewer pixels")
        elif even.std() > 1:
            drawn.add("noise")
        elif even.mean() != 100:
            drawn.add("gamma")
        elif abs(int(sharp[20, 19, 0]) - int(sharp[20, 20, 0])) < 95:
            drawn.add("blur")
        else:
            drawn.add("compression")
    assert drawn == {"fewer pixels", "noise", "gamma", "blur", "compression"}


def test_noise_is_mild_and_shifts_no_colour() -> None:
    paint = np.full((100, 100, 3), (180, 90, 40), np.uint8)
    deviations = []
    for seed in range(20):
        noisy = np.asarray(augment.noise(Image.fromarray(paint), np.random.default_rng(seed)), np.float64)
        np.testing.assert_allclose(noisy.mean(axis=(0, 1)), (180, 90, 40), atol=0.35)
        deviations.append(noisy.std(axis=(0, 1)).mean())
    assert min(deviations) > 1.9
    assert max(deviations) < 8.2
    assert max(deviations) - min(deviations) > 2


def test_gamma_is_mild_and_the_same_for_all_channels() -> None:
    ramp = np.repeat(np.arange(256, dtype=np.uint8)[None, :, None], 3, axis=2)
    middles = []
    for seed in range(20):
        curve = np.asarray(augment.gamma(Image.fromarray(ramp), np.random.default_rng(seed)))[0]
        assert (curve == curve[:, :1]).all()
        assert (np.diff(curve[:, 0].astype(int)) >= 0).all()
        assert curve[0, 0] == 0
        assert curve[255, 0] == 255
        middles.append(int(curve[128, 0]))
    assert 255 * (128 / 255) ** 1.25 - 1 <= min(middles) < 120
    assert 136 < max(middles) <= 255 * (128 / 255) ** 0.8 + 1


def test_light_changes_brightness_within_its_bounds() -> None:
    grey = Image.fromarray(np.full((8, 8, 3), 100, np.uint8))
    means = [np.asarray(augment.light(grey, 0.2, np.random.default_rng(seed))).mean() for seed in range(40)]
    assert min(means) >= 79
    assert max(means) <= 121
    assert max(means) - min(means) > 20


def green(pixels: Pixels) -> np.ndarray[tuple[int, ...], np.dtype[np.bool_]]:
    return np.asarray((pixels[..., 1] > 250) & (pixels[..., 0] < 5))


def test_a_pasted_car_covers_most_of_the_scene_and_keeps_its_size() -> None:
    background = np.full((50, 50, 3), 77, np.uint8)
    for seed in range(12):
        scene = augment.paste(cutout(), background, np.random.default_rng(seed))
        car = green(scene)
        # One pixel a side is eroded off the car's 30 x 20.
        assert car.sum() == 28 * 18
        assert car.mean() > 0.5 / 1.3
        assert (scene[~car] == 77).all()  # the red fringe is gone, the background everywhere else


def test_a_car_without_any_pixel_fails_nothing() -> None:
    empty = Image.new("RGBA", (20, 10), (255, 0, 0, 0))
    scene = augment.paste(empty, np.full((5, 5, 3), 9, np.uint8), np.random.default_rng(0))
    assert (scene == 9).all()


def test_the_cutout_is_left_alone() -> None:
    car = cutout()
    before = np.asarray(car).copy()
    augment.paste(car, photo(), np.random.default_rng(0))
    np.testing.assert_array_equal(np.asarray(car), before)
