"""The pixel budget: bounded, fair, and never lost."""

import asyncio

import pytest

from app.budget import PixelBudget

pytestmark = pytest.mark.anyio


async def ticks() -> None:
    for _ in range(5):
        await asyncio.sleep(0)


async def test_what_fits_does_not_wait() -> None:
    budget = PixelBudget(100)
    first, second = await budget.take(60), await budget.take(40)
    assert budget.free == 0
    first.release()
    first.release()
    assert budget.free == 60
    second.release()
    assert budget.free == 100


async def test_a_large_one_is_not_overtaken() -> None:
    budget = PixelBudget(100)
    held = await budget.take(60)
    large = asyncio.create_task(budget.take(80))
    await ticks()
    small = asyncio.create_task(budget.take(10))
    await ticks()
    assert not large.done()
    assert not small.done()
    held.release()
    await ticks()
    assert large.done()
    assert small.done()
    assert budget.free == 10


async def test_more_than_the_whole_goes_alone() -> None:
    budget = PixelBudget(100)
    held = await budget.take(1)
    giant = asyncio.create_task(budget.take(1000))
    await ticks()
    assert not giant.done()
    held.release()
    (await giant).release()
    assert budget.free == 100


async def test_one_that_gives_up_lets_those_behind_it_pass() -> None:
    budget = PixelBudget(100)
    held = await budget.take(60)
    large = asyncio.create_task(budget.take(80))
    small = asyncio.create_task(budget.take(10))
    await ticks()
    large.cancel()
    await ticks()
    assert small.done()
    held.release()
    small.result().release()
    assert budget.free == 100


@pytest.mark.parametrize("release_first", [True, False])
async def test_a_turn_that_comes_as_the_caller_gives_up_is_not_lost(release_first: bool) -> None:
    budget = PixelBudget(100)
    held = await budget.take(100)
    waiting = asyncio.create_task(budget.take(50))
    await ticks()
    if release_first:
        held.release()
        waiting.cancel()
    else:
        waiting.cancel()
        held.release()
    with pytest.raises(asyncio.CancelledError):
        await waiting
    assert budget.free == 100
    (await budget.take(100)).release()
