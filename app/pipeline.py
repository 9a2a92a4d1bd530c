"""The straight path of one photo: decode, locate, prepare, device, finish. Knows nothing of HTTP but its problems."""

import asyncio
import json
import logging
import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Generic, ParamSpec, TypeVar

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel

from app import batcher as batching
from app.batcher import Batcher
from app.budget import PixelBudget
from app.errors import (
    DeadlineExceeded,
    NotReady,
    Overloaded,
    PredictionFailed,
    Problem,
    ShuttingDown,
    from_photo_error,
)
from app.locate import Box, locate, parse_box, scale_for
from app.metrics import Metrics
from app.schemas import AnyPredictor, TaskTimings
from app.settings import Settings
from models.photo import Header, Limits, Photo, PhotoError, Region, decode, read_header
from models.predictor import Arrays, Options

P = ParamSpec("P")
T = TypeVar("T")
Clock = Callable[[], float]

log = logging.getLogger("carlens.pipeline")


@dataclass(frozen=True, slots=True)
class Ask:
    """One predictor asked with its options; `box` is the caller's region, where this predictor takes one."""

    predictor: AnyPredictor
    options: Options
    box: Box | None = None

    @property
    def name(self) -> str:
        return self.predictor.specification.name

    @classmethod
    def of(cls, predictor: AnyPredictor, options: Options) -> "Ask":
        """Raises `InvalidOption` where the box is none."""
        text = getattr(options, "box", None) if "box" in predictor.specification.regions else None
        return cls(predictor, options, None if text is None else parse_box(text))


@dataclass(frozen=True, slots=True)
class Call:
    """What of the request the path needs: its id for the log, and the clock's time when the answer is due."""

    request_id: str
    deadline: float


@dataclass(frozen=True, slots=True)
class Answer:
    """One predictor's answer, and the same as JSON."""

    value: BaseModel
    json: bytes
    timings: TaskTimings


@dataclass(frozen=True, slots=True)
class Seen:
    """What came of one photo, by predictor in the order asked."""

    header: Header
    decode_ms: float
    outcomes: dict[str, Answer | Problem]


@dataclass(frozen=True, slots=True)
class Drawn(Generic[T]):
    """One predictor's answer drawn on the photo; `picture` is what the caller's encoder made of it."""

    picture: T
    answer: Answer
    decode_ms: float
    draw_ms: float


@dataclass(frozen=True, slots=True)
class _Prepared:
    item: Arrays
    region: Region
    milliseconds: float


class Pipeline:
    """Photos through the predictors. One per app; `close` when no more calls come."""

    def __init__(
        self,
        settings: Settings,
        predictors: Mapping[str, AnyPredictor],
        batcher: Batcher,
        metrics: Metrics,
        clock: Clock = time.monotonic,
    ) -> None:
        self.predictors = dict(predictors)
        self.clock = clock
        self._batcher = batcher
        self._metrics = metrics
        self._limits = Limits(max_pixels=settings.max_pixels, max_side=settings.max_side)
        self._budget = PixelBudget(settings.max_decoded_pixels)
        self._pool = ThreadPoolExecutor(settings.decoders, thread_name_prefix="carlens-photo")
        self._coming: Counter[str] = Counter()

    def close(self) -> None:
        self._pool.shutdown(wait=False, cancel_futures=True)

    def admit(self, asks: Sequence[Ask], call: Call) -> dict[str, Problem]:
        """At the door, before anything is read: the predictors that cannot answer in time, with the reason."""
        refused: dict[str, Problem] = {}
        for ask in asks:
            try:
                # photos that are being decoded will stand in the queue before this one
                self._batcher.admit(ask.name, call.deadline, items=self._coming[ask.name] + 1)
            except Exception as error:
                refused[ask.name] = self._problem(error, ask.name, call.request_id)
        return refused

    async def look(self, asks: Sequence[Ask], data: bytes, call: Call) -> Seen:
        """One decode, all predictors at once. Raises a `Problem` where the photo or a box is at fault."""
        began = self.clock()
        header = await self._header(data, asks)
        regions = [locate(ask.predictor.specification, ask.box, header) for ask in asks]
        scale = max(scale_for(ask.predictor.specification, region) for ask, region in zip(asks, regions, strict=True))
        held = await self._budget.take(decoded_pixels(header, scale))
        try:
            photo = await self._decode(data, header, scale, asks)
            decode_ms = self._since(began)
            async with asyncio.TaskGroup() as group:
                preparing = [
                    group.create_task(self._prepare(ask, photo, region, call))
                    for ask, region in zip(asks, regions, strict=True)
                ]
                answering = [
                    group.create_task(self._answer(ask, prepared, header, call))
                    for ask, prepared in zip(asks, preparing, strict=True)
                ]
                del photo
                await asyncio.wait(preparing)
                held.release()  # the pixels are gone, the next photo may be decoded while this one waits for the device
        finally:
            held.release()
        return Seen(header, decode_ms, {ask.name: task.result() for ask, task in zip(asks, answering, strict=True)})

    async def draw(self, ask: Ask, data: bytes, call: Call, encode: Callable[[NDArray[np.uint8]], T]) -> Drawn[T]:
        """The answer drawn on the photo at full size; `encode` makes a file of the pixels, in a worker thread."""
        began = self.clock()
        header = await self._header(data, [ask])
        region = locate(ask.predictor.specification, ask.box, header)
        held = await self._budget.take(header.width * header.height)
        try:
            photo = await self._decode(data, header, 1.0, [ask])
            decode_ms = self._since(began)
            prepared = await self._prepare(ask, photo, region, call)
            answer = prepared if isinstance(prepared, Problem) else await self._finish(ask, prepared, header, call)
            if isinstance(answer, Problem):
                raise answer
            began = self.clock()
            try:
                picture = await self._in_thread(lambda: encode(ask.predictor.draw(photo, answer.value)))
            except Exception as error:
                raise self._problem(error, ask.name, call.request_id) from error
            return Drawn(picture, answer, decode_ms, self._since(began))
        finally:
            held.release()

    async def _header(self, data: bytes, asks: Sequence[Ask]) -> Header:
        try:
            return await self._in_thread(read_header, data, self._limits)
        except PhotoError as error:
            raise self._bad_input(error, asks) from error

    async def _decode(self, data: bytes, header: Header, scale: float, asks: Sequence[Ask]) -> Photo:
        try:
            photo, seconds = await self._in_thread(self._timed, decode, data, header, scale)
        except PhotoError as error:
            raise self._bad_input(error, asks) from error
        self._metrics.stage("decode", seconds)
        return photo

    def _timed(self, work: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> tuple[T, float]:
        began = self.clock()
        return work(*args, **kwargs), self.clock() - began

    def _bad_input(self, error: PhotoError, asks: Sequence[Ask]) -> Problem:
        for ask in asks:
            self._metrics.rejected(ask.name, "bad_input")
        return from_photo_error(error)

    async def _prepare(self, ask: Ask, photo: Photo, region: Region, call: Call) -> _Prepared | Problem:
        began = self.clock()
        self._coming[ask.name] += 1
        try:
            item = await self._in_thread(ask.predictor.prepare, photo, region, ask.options)
            milliseconds = self._since(began)
            self._metrics.stage("prepare", milliseconds / 1000, ask.name)
            return _Prepared(item, region, milliseconds)
        except Exception as error:
            return self._problem(error, ask.name, call.request_id)
        finally:
            self._coming[ask.name] -= 1

    async def _answer(
        self, ask: Ask, preparing: "asyncio.Task[_Prepared | Problem]", header: Header, call: Call
    ) -> Answer | Problem:
        prepared = await preparing
        return prepared if isinstance(prepared, Problem) else await self._finish(ask, prepared, header, call)

    async def _finish(self, ask: Ask, prepared: _Prepared, header: Header, call: Call) -> Answer | Problem:
        try:
            row = await self._batcher.submit(ask.name, prepared.item, deadline=call.deadline)
            began = self.clock()
            value, encoded = await self._in_thread(_finished, ask, row.output, header, prepared.region)
        except Exception as error:
            return self._problem(error, ask.name, call.request_id)
        timings = TaskTimings(
            prepare=prepared.milliseconds,
            queue=round(row.queue_s * 1000, 2),
            device=round(row.device_s * 1000, 2),
            finish=self._since(began),
        )
        self._metrics.stage("queue", row.queue_s, ask.name)
        self._metrics.stage("finish", timings.finish / 1000, ask.name)
        return Answer(value, encoded, timings)

    async def _in_thread(self, work: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """`work` in the pool. Cancelled, it ends when the thread has: until then the pixels are in use."""
        submitted = self._pool.submit(work, *args, **kwargs)
        waiting = asyncio.wrap_future(submitted)
        try:
            return await asyncio.shield(waiting)
        except asyncio.CancelledError:
            if not submitted.cancel():
                await asyncio.wait([waiting])
            raise

    def _since(self, began: float) -> float:
        return round((self.clock() - began) * 1000, 2)

    def _problem(self, error: Exception, name: str, request_id: str) -> Problem:
        match error:
            case Problem():
                return error
            case batching.QueueFull():
                return Overloaded(
                    f"More photos wait for {name} than can be answered in time. Try again after Retry-After.",
                    retry_after_s=error.retry_after_s,
                )
            case batching.Expired():
                return DeadlineExceeded(f"The answer of {name} was not ready before the deadline. Allow more time.")
            case batching.Stopping():
                return ShuttingDown("The service is stopping. Send the photo again: another instance may answer.")
            case batching.NotServing():
                return NotReady(
                    f"The predictor {name} is not ready. /health/ready says which are.",
                    extra={"predictors": {name: error.state}},
                )
            case batching.DeviceDied():
                log.error("device died under %s, request %s", name, request_id)
                return NotReady(f"The device of {name} has stopped. /health/ready says which predictors are ready.")
        failed = PredictionFailed(f"The {name} predictor failed on this photo. The log has it under this request_id.")
        failed.__cause__ = error  # for the log, written where the problem is told
        return failed


def _finished(ask: Ask, output: Arrays, header: Header, region: Region) -> tuple[BaseModel, bytes]:
    specification = ask.predictor.specification
    value = ask.predictor.finish(output, header, region, ask.options)
    if not isinstance(value, specification.answer):
        raise TypeError(f"{specification.name}.finish gave {type(value).__name__}, not {specification.answer.__name__}")
    plain = value.model_dump(mode="json", by_alias=True)
    return value, json.dumps(plain, allow_nan=False, ensure_ascii=False, separators=(",", ":")).encode()


def decoded_pixels(header: Header, scale: float) -> int:
    """Pixels that `decode` will hold: a JPEG comes at 1, 1/2, 1/4 or 1/8, the next that is no smaller than `scale`."""
    step = 1
    while header.format == "JPEG" and step < 8 and scale * step * 2 <= 1:
        step *= 2
    return -(-header.width // step) * -(-header.height // step)
