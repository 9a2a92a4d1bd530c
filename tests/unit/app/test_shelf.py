"""The shelf's laws: what serves is swapped whole or not at all, changes take turns, what is lazy is loaded once."""

import asyncio
import gc
import threading
import weakref
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from app.ask import Ask
from app.batcher import Batcher, QueueFull
from app.changes import Change
from app.errors import DeadlineExceeded, NotReady, ShuttingDown, UnknownModel
from app.proof import Proof
from app.shelf import Shelf
from models.manifest import WeightsError
from models.predictor import Card
from tests.fakes import Brightness
from tests.gateway import reached, until
from tests.unit.app.doubler import Clock

pytestmark = pytest.mark.anyio

RELOAD, LOAD, UNLOAD = Change("reload", "one"), Change("load", "one"), Change("unload", "one")


class Workshop:
    """Makes a new fake whenever one is asked for, in versions 1, 2, 3, and so on; `shape` is done to each."""

    def __init__(self) -> None:
        self.made: list[Brightness] = []
        self.beside: list[str] = []
        self.shape: Callable[[Brightness], None] = lambda one: None
        self.error: Exception | None = None

    def make(self, name: str, version: str | None) -> Brightness:
        if self.error is not None:
            raise self.error
        one = Brightness(name)
        one.card = one.card.model_copy(update={"version": version or str(len(self.made) + 1)})
        self.shape(one)
        self.made.append(one)
        return one


@asynccontextmanager
async def shelved(
    workshop: Workshop, *names: str, settled: bool = True, **options: Any
) -> AsyncIterator[tuple[Shelf, Batcher]]:
    batcher = Batcher("cpu", **({"clock": options.pop("clock")} if "clock" in options else {}))
    made = {name: Brightness(name) for name in names or ("one",)}
    given = {"stuck_s": 30.0, **options}
    shelf = Shelf(made, batcher, workshop.make, lambda _: workshop.beside, Proof(batcher), **given)
    await batcher.start()
    shelf.start()
    if settled:
        await until(lambda: shelf.settled)
    try:
        yield shelf, batcher
    finally:
        await shelf.stop()
        for one in workshop.made:
            for event in (one.wait_load, one.wait_prepare, one.wait_run):
                if event is not None:
                    event.set()
        await batcher.stop(10)


def ask(name: str = "one") -> Ask:
    one = Brightness(name)
    return Ask(one, one.specification.options())


async def version(shelf: Shelf, wanted: str | None = None) -> str:
    return (await shelf.take(ask(), wanted, 30)).predictor.card.version


async def test_one_is_ready_once_a_photo_came_through_all_of_its_path() -> None:
    workshop = Workshop()

    def held(one: Brightness) -> None:
        one.wait_prepare = threading.Event()

    workshop.shape = held
    async with shelved(workshop, settled=False) as (shelf, batcher):
        await until(lambda: len(workshop.made) == 1)
        (one,) = workshop.made
        await reached(one.preparing)
        assert batcher.ready
        assert shelf.states() == {"one": "loading"}
        assert not shelf.ready
        assert one.wait_prepare is not None
        one.wait_prepare.set()
        await until(lambda: shelf.settled)
        assert shelf.ready
        assert one.rows == 1


@pytest.mark.parametrize("step", ["fail_load", "fail_prepare", "fail_run", "fail_finish"])
async def test_whatever_fails_on_the_path_keeps_it_from_being_ready(step: str) -> None:
    workshop = Workshop()
    workshop.shape = lambda one: setattr(one, step, ValueError("broken"))
    async with shelved(workshop) as (shelf, _):
        assert shelf.states() == {"one": "failed"}
        assert not shelf.ready
        assert "ValueError: broken" in (shelf.entry("one").reason or "")
        workshop.shape = lambda one: None
        assert (await shelf.do(LOAD)).failure is None
        assert shelf.ready


async def test_a_reload_swaps_and_those_admitted_before_keep_their_version() -> None:
    workshop = Workshop()
    async with shelved(workshop) as (shelf, batcher):
        old = await shelf.take(ask(), None, 30)
        outcome = await shelf.do(RELOAD)
        assert (outcome.state, outcome.version, outcome.failure) == ("ready", "2", None)
        new = await shelf.take(ask(), None, 30)
        assert (old.predictor.card.version, new.predictor.card.version) == ("1", "2")
        assert old.lane is not None
        item = {"pixels": np.full((8, 8, 3), 7, np.uint8)}
        await batcher.submit(old.lane, item, deadline=float("inf"))
        assert [one.rows for one in workshop.made] == [2, 1]


@pytest.mark.parametrize(
    ("step", "told"),
    [
        ("fail_load", "one: WeightsError: w.safetensors: broken"),
        ("fail_run", "one: WeightsError: w.safetensors: broken"),
        ("fail_prepare", "one: a photo fails on it: WeightsError: w.safetensors: broken"),
        ("fail_finish", "one: a photo fails on it: WeightsError: w.safetensors: broken"),
    ],
)
async def test_where_the_new_one_fails_the_old_one_serves_on(step: str, told: str) -> None:
    workshop = Workshop()
    async with shelved(workshop) as (shelf, batcher):
        workshop.shape = lambda one: setattr(one, step, WeightsError("w.safetensors: broken"))
        assert (await shelf.do(RELOAD)).failure == told
        assert shelf.ready
        assert await version(shelf) == "1"
        assert len(batcher._device.lanes) == 1
        workshop.shape = lambda one: None
        assert (await shelf.do(RELOAD)).failure is None
        assert await version(shelf) == "3"


@pytest.mark.parametrize(
    ("error", "told"),
    [
        (WeightsError("w.json: is broken"), "WeightsError: w.json: is broken"),
        (MemoryError("no room"), "MemoryError: no room"),
    ],
)
async def test_what_cannot_be_made_changes_nothing(error: Exception, told: str) -> None:
    workshop = Workshop()
    async with shelved(workshop) as (shelf, _):
        workshop.error = error
        assert (await shelf.do(RELOAD)).failure == told
        assert await version(shelf) == "1"
        assert shelf.ready


async def test_out_of_memory_while_it_is_warmed_leaves_the_old_one() -> None:
    workshop = Workshop()
    async with shelved(workshop) as (shelf, _):
        workshop.shape = lambda one: setattr(one, "fail_run", MemoryError("no room"))
        assert (await shelf.do(RELOAD)).failure == "one: MemoryError: no room"
        assert await version(shelf) == "1"


def card(**changes: Any) -> Callable[[Brightness], None]:
    def shape(one: Brightness) -> None:
        one.card = Card(**{**dict(one.card), **changes})

    return shape


async def test_foreign_labels_are_refused_and_more_labels_are_not() -> None:
    workshop = Workshop()
    async with shelved(workshop) as (shelf, _):
        workshop.shape = card(labels={"label": ["balloon", "string"]})
        assert "foreign labels: label has balloon, string" in ((await shelf.do(RELOAD)).failure or "")
        workshop.shape = card(labels={"label": ["dark", "bright", "blinding"]})
        assert (await shelf.do(RELOAD)).failure is None


@pytest.mark.parametrize(("what", "value"), [("drawable", False), ("legend", {"dent": (1, 2, 3)})])
async def test_another_form_of_the_answer_is_refused(what: str, value: Any) -> None:
    workshop = Workshop()
    async with shelved(workshop) as (shelf, _):

        def otherwise(one: Brightness) -> None:
            one.specification = replace(one.specification, **{what: value})

        workshop.shape = otherwise
        assert f"its {what} are not those that are served" in ((await shelf.do(RELOAD)).failure or "")
        assert await version(shelf) == "1"


async def test_changes_take_turns_and_those_not_begun_are_shared() -> None:
    workshop = Workshop()
    async with shelved(workshop) as (shelf, _):
        release = threading.Event()
        workshop.shape = lambda one: setattr(one, "wait_load", release)
        first = asyncio.create_task(shelf.do(RELOAD))
        await until(lambda: len(workshop.made) == 2)
        others = [asyncio.create_task(shelf.do(RELOAD)) for _ in range(20)]
        await asyncio.sleep(0)
        assert await version(shelf) == "1"
        release.set()
        assert (await first).version == "2"
        assert {outcome.version for outcome in await asyncio.gather(*others)} == {"3"}
        assert len(workshop.made) == 3


async def test_who_leaves_does_not_stop_the_change() -> None:
    workshop = Workshop()
    async with shelved(workshop) as (shelf, _):
        release = threading.Event()
        workshop.shape = lambda one: setattr(one, "wait_load", release)
        asking = asyncio.create_task(shelf.do(RELOAD))
        await until(lambda: len(workshop.made) == 2)
        asking.cancel()
        release.set()
        await until(lambda: shelf.entry("one").version == "2")


async def test_versions_side_by_side_are_chosen_by_name() -> None:
    workshop = Workshop()
    workshop.beside = ["1.1.0+b"]
    async with shelved(workshop) as (shelf, _):
        assert shelf.entry("one").versions == ["1", "1.1.0+b"]
        assert [await version(shelf, wanted) for wanted in (None, "1", "1.1.0+b", "1.1.0 b")] == [
            "1",
            "1",
            "1.1.0+b",
            "1.1.0+b",
        ]
        with pytest.raises(UnknownModel, match=r"one has no version '2'. There are: 1, 1.1.0\+b."):
            await version(shelf, "2")
        workshop.beside = []
        await shelf.do(RELOAD)
        assert shelf.entry("one").versions == ["3"]


async def test_where_one_version_fails_none_is_swapped() -> None:
    workshop = Workshop()
    async with shelved(workshop) as (shelf, batcher):
        workshop.beside = ["9"]
        workshop.shape = lambda one: setattr(one, "fail_load", ValueError("x") if one.card.version == "9" else None)
        assert (await shelf.do(RELOAD)).failure == "one: ValueError: x"
        assert shelf.entry("one").versions == ["1"]
        assert len(batcher._device.lanes) == 1


async def test_one_that_was_put_away_is_not_wanted_and_says_what_to_do() -> None:
    workshop = Workshop()
    async with shelved(workshop, "one", "two") as (shelf, _):
        outcome = await shelf.do(UNLOAD)
        assert (outcome.state, outcome.versions) == ("unloaded", [])
        assert shelf.ready
        assert shelf.states() == {"two": "ready"}
        assert list(shelf.served) == ["two"]
        assert (shelf.offers("one"), shelf.offers("two")) == (False, True)
        with pytest.raises(NotReady, match="POST /v1/models/one/load"):
            await version(shelf)
        await shelf.do(Change("reload"))
        assert shelf.states() == {"two": "ready"}
        await shelf.do(LOAD)
        assert list(shelf.states()) == ["one", "two"]
        assert await version(shelf) == "4"


async def test_what_was_put_away_or_swapped_is_freed() -> None:
    workshop = Workshop()
    async with shelved(workshop) as (shelf, _):
        for change in (RELOAD, UNLOAD):
            await shelf.do(LOAD)
            held = await shelf.take(ask(), None, 30)
            gone = weakref.ref(workshop.made.pop())
            workshop.made.clear()
            await shelf.do(change)
            gc.collect()
            assert gone() is not None, "a request still holds it"
            del held
            gc.collect()
            assert gone() is None


async def test_what_is_lazy_is_loaded_once_by_the_first_who_ask() -> None:
    workshop = Workshop()
    async with shelved(workshop, "one", "two", lazy=["one"]) as (shelf, _):
        assert shelf.ready
        assert shelf.entry("one").state == "unloaded"
        assert {await one for one in [asyncio.create_task(version(shelf)) for _ in range(20)]} == {"2"}
        assert [one.specification.name for one in workshop.made] == ["two", "one"]
        await shelf.do(UNLOAD)
        assert await version(shelf) == "3"


async def test_who_waits_for_a_lazy_one_waits_no_longer_than_its_deadline() -> None:
    workshop = Workshop()
    release = threading.Event()
    workshop.shape = lambda one: setattr(one, "wait_load", release)
    async with shelved(workshop, lazy=["one"]) as (shelf, _):
        patient = asyncio.create_task(version(shelf))
        await until(lambda: len(workshop.made) == 1)
        with pytest.raises(DeadlineExceeded):
            await shelf.take(ask(), None, 0.01)
        release.set()
        assert await patient == "1"
        assert len(workshop.made) == 1


async def test_what_a_lazy_one_counts_on_is_loaded_with_it() -> None:
    workshop = Workshop()
    async with shelved(workshop, "one", "finder", lazy=["one", "finder"]) as (shelf, _):
        reader = Brightness("one", regions=("finder", "photo"))
        await shelf.take(Ask(reader, reader.specification.options()), None, 30)
        assert [entry.state for entry in shelf.entries] == ["ready", "ready"]


async def test_one_that_fails_on_a_drawn_photo_too_is_not_ready_until_one_comes_through() -> None:
    workshop = Workshop()
    async with shelved(workshop) as (shelf, batcher):
        (one,) = workshop.made
        taken = await shelf.take(ask(), None, 30)
        assert taken.lane is not None

        async def submit() -> None:
            assert taken.lane is not None
            item = {"pixels": np.full((8, 8, 3), 7, np.uint8)}
            await batcher.submit(taken.lane, item, deadline=float("inf"))

        one.fail_run = RuntimeError("an illegal memory access was encountered")
        with pytest.raises(Exception, match="failed on this item"):
            await submit()
        await until(lambda: shelf.entry("one").doubt is not None)
        assert shelf.states() == {"one": "failed"}
        assert not shelf.ready
        one.fail_run = None
        shelf.look_again()
        await until(lambda: shelf.ready)


async def test_a_bad_item_alone_is_no_doubt_for_long() -> None:
    workshop = Workshop()
    async with shelved(workshop) as (shelf, _):
        (one,) = workshop.made
        tried = one.rows
        shelf._doubted(shelf.entry("one").serving.lane)
        await until(lambda: one.rows > tried and not shelf._proving)
        assert shelf.ready


async def test_a_device_that_hangs_is_not_ready() -> None:
    workshop, clock = Workshop(), Clock()
    async with shelved(workshop, clock=clock, stuck_s=20.0) as (shelf, batcher):
        (one,) = workshop.made
        release = one.wait_run = threading.Event()
        one.running.clear()
        lane = shelf.entry("one").serving.lane
        item = {"pixels": np.full((8, 8, 3), 7, np.uint8)}
        hanging = asyncio.create_task(batcher.submit(lane, item, deadline=float("inf")))
        await reached(one.running)
        clock.now += 19
        assert shelf.ready
        clock.now += 2
        assert not shelf.ready
        assert shelf.states() == {"one": "ready"}
        release.set()
        await hanging
        assert shelf.ready


async def test_what_cannot_be_tried_for_too_many_others_is_no_verdict() -> None:
    workshop = Workshop()

    async with shelved(workshop) as (shelf, batcher):

        async def full(*_: Any, **__: Any) -> Any:
            raise QueueFull(1.0)

        tried = batcher.submit
        batcher.submit = full  # type: ignore[method-assign]
        shelf._doubted(shelf.entry("one").serving.lane)
        await until(lambda: not shelf._proving)
        assert shelf.ready
        batcher.submit = tried  # type: ignore[method-assign]


async def test_who_waits_for_a_change_when_the_service_stops_is_told_so() -> None:
    workshop = Workshop()
    async with shelved(workshop) as (shelf, _):
        release = threading.Event()
        workshop.shape = lambda one: setattr(one, "wait_load", release)
        asking = asyncio.create_task(shelf.do(RELOAD))
        await until(lambda: len(workshop.made) == 2)
        await shelf.stop()
        with pytest.raises(ShuttingDown):
            await asking
        with pytest.raises(ShuttingDown):
            await shelf.do(RELOAD)
        release.set()
