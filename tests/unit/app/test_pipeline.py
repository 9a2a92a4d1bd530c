"""The path without HTTP: what is held, what is given back, and what becomes of each failure."""

import asyncio
import threading
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest

from app import batcher as batching
from app import errors
from app.ask import Answer, Ask, Call, Loaded
from app.batcher import Batcher
from app.metrics import Metrics
from app.pipeline import Pipeline
from app.settings import Settings
from models.photo import Header, decode
from models.predictor import Options
from tests.fakes import Brightness, Scores, photo
from tests.gateway import reached, until

pytestmark = pytest.mark.anyio

CALL = Call("r-1", float("inf"))


@asynccontextmanager
async def path(*predictors: Brightness, **settings: Any) -> AsyncIterator[Pipeline]:
    batcher = Batcher("cpu")
    served = {}
    for one in predictors:
        what = one.specification
        served[what.name] = Loaded(one, batcher.add(what.name, one.load, one.run, what.inputs, what.batch_sizes))
    await batcher.start()
    await until(lambda: batcher.ready)
    pipeline = Pipeline(Settings(device="cpu", **settings), served, batcher, Metrics())
    try:
        yield pipeline
    finally:
        await batcher.stop(5)
        pipeline.close()


async def test_pixels_are_given_back_before_the_device_answers() -> None:
    predictor = Brightness()
    async with path(predictor, max_decoded_pixels=10_000) as one:
        release = predictor.wait_run = threading.Event()
        predictor.running.clear()
        first = asyncio.create_task(one.look([Ask(predictor, Scores())], photo(100, 100, "PNG"), CALL))
        await reached(predictor.running)
        assert one._budget.free == 10_000
        predictor.preparing.clear()
        second = asyncio.create_task(one.look([Ask(predictor, Scores())], photo(100, 100, "PNG"), CALL))
        await reached(predictor.preparing)
        release.set()
        assert all(isinstance(seen.outcomes["brightness"], Answer) for seen in (await first, await second))


async def test_photos_over_the_budget_wait_before_decode(monkeypatch: pytest.MonkeyPatch) -> None:
    predictor = Brightness()
    decoded = threading.Semaphore(0)

    def counted(*arguments: Any) -> Any:
        decoded.release()
        return decode(*arguments)

    monkeypatch.setattr("app.pipeline.decode", counted)
    async with path(predictor, max_decoded_pixels=10_000, decode_threads=4) as one:
        release = predictor.wait_prepare = threading.Event()
        looking = [
            asyncio.create_task(one.look([Ask(predictor, Scores())], photo(100, 60, "PNG"), CALL)) for _ in range(3)
        ]
        await reached(predictor.preparing)
        await until(lambda: len(one._budget._waiting) == 2)
        assert decoded.acquire(blocking=False)
        assert not decoded.acquire(blocking=False)
        release.set()
        await asyncio.gather(*looking)
        assert one._budget.free == 10_000


@pytest.mark.parametrize("step", ["fail_prepare", "fail_run", "fail_finish", "fail_draw"])
async def test_nothing_is_held_after_a_failure(step: str) -> None:
    predictor = Brightness()
    async with path(predictor) as one:
        setattr(predictor, step, ValueError("x"))
        ask = Ask(predictor, Scores())
        if step == "fail_draw":
            with pytest.raises(errors.PredictionFailed):
                await one.draw([ask], photo(), CALL, lambda pixels: pixels)
        else:
            assert isinstance((await one.look([ask], photo(), CALL)).outcomes["brightness"], errors.PredictionFailed)
        assert one._budget.free == one._budget.total
        assert not +one._coming


async def test_what_is_made_at_full_size_counts_as_pixels_until_it_is_done() -> None:
    let, begun = threading.Event(), threading.Event()

    def work(fails: bool) -> str:
        begun.set()
        assert let.wait(30)
        if fails:
            raise ValueError("x")
        return "made"

    async with path(Brightness(), max_decoded_pixels=10_000, decode_threads=2) as one:
        for fails in (False, True):
            let.clear()
            begun.clear()
            making = asyncio.create_task(one.render(Header(100, 60, "JPEG"), work, fails))
            await reached(begun)
            assert one._budget.free == 4_000
            let.set()
            if fails:
                with pytest.raises(ValueError, match="x"):
                    await making
            else:
                assert (await making)[0] == "made"
            assert one._budget.free == 10_000


async def test_given_up_what_is_made_counts_until_its_thread_is_through() -> None:
    let, begun = threading.Event(), threading.Event()

    def work() -> None:
        begun.set()
        assert let.wait(30)

    async with path(Brightness(), max_decoded_pixels=10_000) as one:
        making = asyncio.create_task(one.render(Header(100, 60, "JPEG"), work))
        await reached(begun)
        making.cancel()
        await asyncio.sleep(0)
        assert one._budget.free == 4_000
        let.set()
        with pytest.raises(asyncio.CancelledError):
            await making
        assert one._budget.free == 10_000


async def test_nothing_is_held_after_a_bad_photo() -> None:
    predictor = Brightness()
    async with path(predictor) as one:
        for data in (b"GIF89a", photo(64, 48, "PNG")[:-30]):
            with pytest.raises(errors.UndecodableImage):
                await one.look([Ask(predictor, Scores())], data, CALL)
        assert one._budget.free == one._budget.total


async def test_cancelled_the_pixels_are_held_until_the_thread_is_through() -> None:
    predictor = Brightness()
    async with path(predictor) as one:
        release = predictor.wait_prepare = threading.Event()
        looking = asyncio.create_task(one.look([Ask(predictor, Scores())], photo(), CALL))
        await reached(predictor.preparing)
        looking.cancel()
        for _ in range(20):
            await asyncio.sleep(0)
        assert not looking.done()
        assert one._budget.free < one._budget.total
        release.set()
        with pytest.raises(asyncio.CancelledError):
            await looking
        assert one._budget.free == one._budget.total
        assert predictor.rows == 0


@pytest.mark.parametrize(
    ("error", "problem"),
    [
        (batching.QueueFull(3.0), errors.Overloaded),
        (batching.Expired(), errors.DeadlineExceeded),
        (batching.Stopping(), errors.ShuttingDown),
        (batching.NotServing("loading"), errors.NotReady),
        (batching.DeviceDied(), errors.NotReady),
        (batching.ItemFailed(), errors.PredictionFailed),
        (errors.InvalidOption("x"), errors.InvalidOption),
        (KeyError("secret"), errors.PredictionFailed),
    ],
)
async def test_every_error_is_a_problem_of_its_own(error: Exception, problem: type[errors.Problem]) -> None:
    predictor = Brightness()
    async with path(predictor) as one:

        async def submit(*_: Any, **__: Any) -> Any:
            raise error

        one._batcher.submit = submit  # type: ignore[method-assign]
        outcome = (await one.look([Ask(predictor, Scores())], photo(), CALL)).outcomes["brightness"]
    assert type(outcome) is problem
    assert "secret" not in outcome.detail


def test_a_box_matters_only_to_predictors_that_take_one() -> None:
    assert Ask.of(Brightness(), Scores(box="1,2,3,4")).box == (1, 2, 3, 4)
    assert Ask.of(Brightness(regions=("photo",)), Scores(box="nonsense")).box is None
    assert Ask.of(Brightness(options=Options), Options()).box is None
