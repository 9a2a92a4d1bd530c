"""Pixels are counted as they are decoded, and given back before more are asked for."""

import asyncio

import numpy as np
import pytest

from app.budget import PixelBudget
from app.pixels import Pixels, decoded_pixels
from models.photo import Header, Limits, Photo, decode, read_header
from tests.fakes import photo
from tests.gateway import until

pytestmark = pytest.mark.anyio

HEADER = Header(800, 400, "JPEG")


@pytest.mark.parametrize(
    ("kind", "scale", "pixels"),
    [
        ("JPEG", 1.0, 1001 * 500),
        ("JPEG", 0.51, 1001 * 500),
        ("JPEG", 0.5, 501 * 250),
        ("JPEG", 0.26, 501 * 250),
        ("JPEG", 0.25, 251 * 125),
        ("JPEG", 0.125, 126 * 63),
        ("JPEG", 0.001, 126 * 63),
        ("PNG", 0.001, 1001 * 500),
    ],
)
def test_pixels_are_counted_as_they_are_decoded(kind: str, scale: float, pixels: int) -> None:
    assert decoded_pixels(Header(1001, 500, kind), scale) == pixels


def test_the_count_is_what_the_decoder_does() -> None:
    for kind in ("JPEG", "PNG", "WEBP"):
        data = photo(333, 222, kind)
        header = read_header(data, Limits())
        for scale in (1.0, 0.6, 0.5, 0.3, 0.25, 0.2, 0.125, 0.01):
            height, width = decode(data, header, scale).pixels.shape[:2]
            assert decoded_pixels(header, scale) == width * height, (kind, scale)


def pixels(budget: PixelBudget, scales: list[float]) -> Pixels:
    async def decoded(scale: float) -> Photo:
        scales.append(scale)
        if scale == 0.3:
            raise ValueError("broken")
        return Photo(HEADER, np.zeros((2, 4, 3), np.uint8))

    return Pixels(HEADER, budget, decoded)


async def test_what_is_held_is_given_back_before_more_is_taken() -> None:
    """The whole budget is held coarse; the finer decode would otherwise wait for itself."""
    budget, scales = PixelBudget(800 * 400), list[float]()
    one = pixels(budget, scales)
    await one.at(0.5)
    assert budget.free == 800 * 400 * 3 // 4
    await asyncio.wait_for(one.at(1.0), 5)
    assert budget.free == 0
    one.release()
    one.release()
    assert budget.free == 800 * 400
    assert scales == [0.5, 1.0]


async def test_two_that_want_finer_pixels_do_not_wait_for_each_other() -> None:
    budget, scales = PixelBudget(800 * 400), list[float]()
    both = [pixels(budget, scales) for _ in range(2)]
    for one in both:
        await one.at(0.5)
    finer = [asyncio.create_task(one.at(1.0)) for one in both]
    await until(lambda: sum(task.done() for task in finer) == 1)
    next(one for one, task in zip(both, finer, strict=True) if task.done()).release()
    await asyncio.wait_for(asyncio.gather(*finer), 5)


async def test_fine_enough_is_what_the_format_offers() -> None:
    one = pixels(PixelBudget(10**6), [])
    assert not one.fine_enough(0.01)
    await one.at(0.2)  # which decodes at a quarter
    assert one.fine_enough(0.25)
    assert not one.fine_enough(0.26)


async def test_a_failed_decode_holds_nothing_once_released() -> None:
    budget = PixelBudget(800 * 400)
    one = pixels(budget, [])
    with pytest.raises(ValueError, match="broken"):
        await one.at(0.3)
    one.release()
    assert budget.free == budget.total
    with pytest.raises(RuntimeError, match="not held"):
        _ = one.photo
