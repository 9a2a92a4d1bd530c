"""The straight path of one photo: decode, locate, prepare, device, finish. Knows nothing of HTTP but its problems."""

import asyncio
import logging
import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from itertools import chain
from typing import Generic, ParamSpec, TypeVar

import numpy as np
from numpy.typing import NDArray

from app import along
from app.ask import Answer, Ask, Call, Loaded
from app.budget import PixelBudget
from app.engine import Engine
from app.errors import Problem, from_photo_error
from app.failures import problem_of
from app.finish import completed, finished
from app.locate import named, scale_for, source
from app.metrics import Metrics, Stage
from app.pixels import Pixels
from app.round import Outcome, Prepared, Round, Work, all_prepared, as_ms
from app.schemas import TaskTimings
from app.settings import Settings
from app.together import Joined, joined
from models.drawing import Drawn as Shape
from models.drawing import draw_caption, draw_instances
from models.join import Join
from models.language import Language
from models.language import language as texts
from models.photo import Header, Limits, Photo, PhotoError, Region, around, decode, framed, read_header, whole
from models.predictor import MOST_REGIONS

P = ParamSpec("P")
T = TypeVar("T")
Clock = Callable[[], float]

log = logging.getLogger("carlens.pipeline")


@dataclass(frozen=True, slots=True)
class Each:
    """One of the regions that a predictor found, and what those asked about every region said of it."""

    region: Region
    outcomes: dict[str, Outcome]


@dataclass(frozen=True, slots=True)
class Seen:
    """What came of one photo: by predictor in the order asked, of the region that is meant; and of each region."""

    header: Header
    decode_ms: float
    outcomes: dict[str, Outcome]
    each: list[Each] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Drawn(Generic[T]):
    """Answers drawn on the photo; `picture` is what the caller's encoder made of it."""

    picture: T
    answers: dict[str, Answer]
    decode_ms: float
    draw_ms: float


class Pipeline:
    """Photos through the predictors. One per app; `close` when no more calls come."""

    def __init__(
        self,
        settings: Settings,
        served: Mapping[str, Loaded],
        batcher: Engine,
        metrics: Metrics,
        joins: Sequence[Join] = (),
        clock: Clock = time.monotonic,
    ) -> None:
        self.served = served  # changes while photos are on their way
        self.joins = joins
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
                self._batcher.admit(ask.lane or ask.name, call.deadline, items=self._coming[ask.name] + 1)
            except Exception as error:
                refused[ask.name] = problem_of(error, ask.name, call.request_id)
        return refused

    async def look(self, asks: Sequence[Ask], data: bytes, call: Call) -> Seen:
        """One decode, all predictors at once. Raises a `Problem` where the photo or a box is at fault."""
        began = self.clock()
        pixels = await self._open(data, asks, call)
        try:
            done = await self._answers(asks, pixels, call)
        finally:
            pixels.release()
        every = [ask for ask in asks if ask.every]
        each = [
            Each(region, {ask.name: done.outcomes[ask.name][n] for ask in every if done.sources[ask.name] == by})
            for by, regions in done.regions.items()
            for n, region in enumerate(regions or [])
        ]
        first = {ask.name: done.outcomes[ask.name][0] for ask in asks}
        return Seen(pixels.header, done.decode_ms(began), first, [one for one in each if one.outcomes])

    async def inspect(
        self, asks: Sequence[Ask], refused: Mapping[str, Problem], data: bytes, call: Call, language: Language
    ) -> tuple[Seen, Joined, float]:
        """The same, what the answers tell together, and the milliseconds that took; `refused` are those that were asked
        and not admitted."""
        seen = await self.look(asks, data, call)
        began, vehicles = self.clock(), [one.region for one in seen.each]
        outcomes = {**refused, **seen.outcomes}
        together = await self._in_thread(joined, self.joins, outcomes, seen.header, language, vehicles)
        return seen, together, self._since(began)

    async def draw(
        self, asks: Sequence[Ask], data: bytes, call: Call, encode: Callable[[NDArray[np.uint8]], T]
    ) -> Drawn[T]:
        """The answers drawn on the photo at full size, those of the first on top; `encode` makes a file of the pixels,
        in a worker thread. Raises the first `Problem` there is: a picture cannot say what is missing."""
        began = self.clock()
        pixels = await self._open(data, asks, call)
        try:
            await pixels.at(1.0)
            done = await self._answers(asks, pixels, call, keep=True)
            answers: dict[str, Answer] = {}
            for ask in asks:
                outcome = done.outcomes[ask.name][0]
                if isinstance(outcome, Problem):
                    raise outcome
                answers[ask.name] = outcome
            drawing = self.clock()
            answers = (await self._in_thread(joined, self.joins, answers, pixels.header, texts())).answers
            shapes, lines = list[Shape](), list[str]()
            for ask in asks:
                try:
                    shapes += ask.predictor.shapes(answers[ask.name].value)
                    lines += ask.predictor.caption(answers[ask.name].value)
                except Exception as error:
                    raise problem_of(error, ask.name, call.request_id) from error
            full = pixels.photo.pixels
            picture = await self._in_thread(lambda: encode(draw_caption(draw_instances(full, shapes), lines)))
            return Drawn(picture, answers, done.decode_ms(began), self._since(drawing))
        finally:
            pixels.release()

    async def render(self, header: Header, work: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> tuple[T, float]:
        """What `work` makes at the photo's full size, in a worker thread, and the milliseconds it took. Those pixels
        count against the budget as decoded ones do."""
        held = await self._budget.take(header.width * header.height)
        began = self.clock()
        try:
            return await self._in_thread(work, *args, **kwargs), self._since(began)
        finally:
            held.release()

    async def _open(self, data: bytes, asks: Sequence[Ask], call: Call) -> Pixels:
        """The photo by its header; every box lies in it. Nothing is decoded yet."""
        header = await self._header(data, asks)
        for ask in asks:
            named(ask.box, header)
        return Pixels(header, self._budget, lambda scale: self._decode(data, header, scale, asks, call))

    async def _answers(self, asks: Sequence[Ask], pixels: Pixels, call: Call, keep: bool = False) -> Round:
        """All asks, whoever finds regions for them, and whoever completes them, answered. The photo is decoded as fine
        as is needed, and given back as soon as nobody needs it, unless it is to be kept."""
        done = Round({a.name: source(a.predictor.specification, a.box, a.options, self.served) for a in asks})
        completers = along.completers(asks, done.sources, self.served)
        rest = [*asks, *along.locators(asks, done.sources, self.served), *chain(*completers.values())]
        try:
            async with asyncio.TaskGroup() as group:
                while rest:
                    waiting = {ask.name for ask in rest}
                    able = [ask for ask in rest if done.sources[ask.name] not in waiting]
                    # who completes an answer waits for all of it, and others need not wait with them
                    turn = [ask for ask in able if not ask.only] or able
                    rest = [ask for ask in rest if ask not in turn]
                    await self._begin(turn, done, pixels, call, group)
                await all_prepared(done.works)
                if not keep:
                    pixels.release()  # the next photo may be decoded while this one waits for the device
        except ExceptionGroup as several:
            raise several.exceptions[0] from several  # the decoder's: what fails in a task is its answer
        done.outcomes = {name: [work.answering.result() for work in works] for name, works in done.works.items()}
        for ask in asks:
            if ask.name in completers:
                done.outcomes[ask.name][0] = await self._completed(ask, completers[ask.name], done, call)
        return done

    async def _begin(
        self, asks: Sequence[Ask], done: Round, pixels: Pixels, call: Call, group: asyncio.TaskGroup
    ) -> None:
        """Sets predictors to work whose regions can be told now, on pixels that are fine enough for all of them."""
        header = pixels.header
        regions = {ask.name: await self._regions(ask, done, header, call) for ask in asks}
        scales = (scale_for(ask.predictor.specification, region) for ask in asks for region in regions[ask.name])
        if not pixels.fine_enough(scale := max(scales, default=0.0)):
            await all_prepared(done.works)
            await pixels.at(scale)
        if done.decoded is None:
            done.decoded = self.clock()
        for ask in asks:
            located = done.sources[ask.name] in done.works
            locate_ms = call.trail.add("locate", done.decoded, self.clock(), ask.name) if located else None
            done.works[ask.name] = []
            for region in regions[ask.name]:
                preparing = group.create_task(self._prepare(ask, pixels.photo, region, call, locate_ms))
                answering = group.create_task(self._answer(ask, preparing, header, call))
                done.works[ask.name].append(Work(ask, preparing, answering))

    async def _completed(self, ask: Ask, by: Sequence[Ask], done: Round, call: Call) -> Outcome:
        """The answer with what others said of its regions. Where they fail it stays as it was, and the log says so."""
        outcome = done.outcomes[ask.name][0]
        if isinstance(outcome, Problem):
            return outcome
        said = []
        for one in by:
            outcomes = list(zip(done.regions[ask.name] or [], done.outcomes[one.name], strict=True))
            said.append((one.name, [(region, given.value) for region, given in outcomes if isinstance(given, Answer)]))
            for failed in {given.detail: given for _, given in outcomes if isinstance(given, Problem)}.values():
                log.warning("request %s: %s left %s as it was: %r", call.request_id, one.name, ask.name, failed)
        try:
            value, encoded = await self._in_thread(completed, ask, outcome.value, said)
        except Exception as error:
            log.exception("request %s: %s could not be completed", call.request_id, ask.name, exc_info=error)
            return outcome
        timings = outcome.timings.model_copy(update={"complete": self._since(done.found[ask.name])})
        return Answer(value, encoded, timings)

    async def _regions(self, ask: Ask, done: Round, header: Header, call: Call) -> list[Region]:
        """What the predictor reads: at least one region, all of the photo where nothing was found, unless it is asked
        about what was found only."""
        name, margin = done.sources[ask.name], ask.predictor.specification.margin
        if name not in done.works:
            return [named(ask.box, header)]
        if name not in done.regions:
            done.regions[name] = await self._found(name, done.works[name][0], header, call)
            done.found[name] = self.clock()
        found = done.regions[name]
        if ask.only:
            return found or []
        if found is None:
            return [replace(whole(header), fallback=True)]
        if ask.every:
            return [cut for region in found if (cut := around(region, margin, header))] or [whole(header)]
        return [framed(region, margin, header) or whole(header) for region in found[:1]] or [whole(header)]

    async def _found(self, name: str, work: Work, header: Header, call: Call) -> list[Region] | None:
        """The regions in the answer of the predictor `name`; None where it failed, which is counted."""
        outcome = await work.answering
        try:
            if isinstance(outcome, Problem):
                raise outcome
            regions = work.ask.predictor.regions(outcome.value, header)
            found = [region for region in regions if around(region, 0.0, header)][:MOST_REGIONS]
        except Exception as error:
            self._metrics.located(name, "failed")
            log.warning("request %s: %s failed, so nothing is known of its regions: %r", call.request_id, name, error)
            return None
        self._metrics.located(name, "found" if found else "none")
        return found

    async def _header(self, data: bytes, asks: Sequence[Ask]) -> Header:
        try:
            return await self._in_thread(read_header, data, self._limits)
        except PhotoError as error:
            raise self._bad_input(error, asks) from error

    async def _decode(self, data: bytes, header: Header, scale: float, asks: Sequence[Ask], call: Call) -> Photo:
        try:
            photo, began, ended = await self._in_thread(self._timed, decode, data, header, scale)
        except PhotoError as error:
            raise self._bad_input(error, asks) from error
        self._passed(call, "decode", began, ended)
        return photo

    def _timed(self, work: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> tuple[T, float, float]:
        began = self.clock()
        return work(*args, **kwargs), began, self.clock()

    def _passed(self, call: Call, stage: Stage, began: float, ended: float, name: str | None = None) -> None:
        self._metrics.stage(stage, ended - began, name)
        call.trail.add(stage, began, ended, name)

    def _bad_input(self, error: PhotoError, asks: Sequence[Ask]) -> Problem:
        for ask in asks:
            self._metrics.rejected(ask.name, "bad_input")
        return from_photo_error(error)

    async def _prepare(
        self, ask: Ask, photo: Photo, region: Region, call: Call, locate_ms: float | None
    ) -> Prepared | Problem:
        began = self.clock()
        self._coming[ask.name] += 1
        try:
            item = await self._in_thread(ask.predictor.prepare, photo, region, ask.options)
            ended = self.clock()
            self._passed(call, "prepare", began, ended, ask.name)
            return Prepared(item, region, as_ms(ended - began), locate_ms)
        except Exception as error:
            return problem_of(error, ask.name, call.request_id)
        finally:
            self._coming[ask.name] -= 1

    async def _answer(
        self, ask: Ask, preparing: "asyncio.Task[Prepared | Problem]", header: Header, call: Call
    ) -> Outcome:
        prepared = await preparing
        if isinstance(prepared, Problem):
            return prepared
        try:
            row = await self._batcher.submit(ask.lane or ask.name, prepared.item, deadline=call.deadline)
            began = self.clock()
            value, encoded = await self._in_thread(finished, ask, row.output, header, prepared.region)
            ended = self.clock()
        except Exception as error:
            return problem_of(error, ask.name, call.request_id)
        timings = TaskTimings(
            locate=prepared.locate_ms,
            prepare=prepared.milliseconds,
            queue=round(row.queue_s * 1000, 2),
            device=round(row.device_s * 1000, 2),
            finish=as_ms(ended - began),
        )
        self._passed(call, "queue", row.taken - row.queue_s, row.taken, ask.name)
        call.trail.add("device", row.batch.started, row.batch.ended, ask.name, row.batch)
        self._passed(call, "finish", began, ended, ask.name)
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
                waiting.exception()  # looked at, or asyncio would report it: nobody waits for it any more
            raise

    def _since(self, began: float) -> float:
        return as_ms(self.clock() - began)
