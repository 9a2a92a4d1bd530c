"""Places for claims: so many and no more, free when their work is done, with a guess of when that is."""

import asyncio

import pytest

from app.errors import Overloaded
from app.places import FIRST_GUESS_S, Places


class Clock:
    now = 100.0

    def __call__(self) -> float:
        return self.now


def test_there_are_so_many_and_one_that_left_is_another_s() -> None:
    places = Places(2)
    first, _ = places.take(), places.take()
    with pytest.raises(Overloaded, match="at a time, 2"):
        places.take()
    first.leave()
    places.take()
    assert places.taken == 2


def test_who_is_refused_hears_when_to_come_again() -> None:
    clock = Clock()
    places = Places(2, clock)
    slow, _ = places.take(), places.take()
    assert refused(places).headers["Retry-After"] == f"{FIRST_GUESS_S:.0f}"
    assert refused(places).reason == "full"
    clock.now += 60
    slow.leave()
    places.take()
    assert refused(places).headers["Retry-After"] == "30", "one of two is free every half of what the last took"


def refused(places: Places) -> Overloaded:
    with pytest.raises(Overloaded) as caught:
        places.take()
    return caught.value


@pytest.mark.anyio
async def test_a_place_is_free_once_its_last_work_is_done() -> None:
    places, ends = Places(1), [asyncio.Event(), asyncio.Event()]
    tasks = [asyncio.ensure_future(end.wait()) for end in ends]
    places.take().leave(after=tasks)
    ends[1].set()
    await tasks[1]
    assert places.taken == 1
    ends[0].set()
    await tasks[0]
    await asyncio.sleep(0)
    assert places.taken == 0
