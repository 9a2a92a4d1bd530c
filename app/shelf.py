"""What is served now: every predictor in its versions, brought in, swapped and put away while photos are answered."""

import asyncio
import gc
import logging
import weakref
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from app import fits, memory
from app.ask import Ask, Loaded
from app.changes import Change, Outcome
from app.engine import Engine
from app.errors import DeadlineExceeded, NotReady, ShuttingDown, UnknownModel, shown
from app.lane import ItemFailed, Lane, Unanswered
from app.schemas import AnyPredictor
from models.predictor import State

log = logging.getLogger("carlens.shelf")

Make = Callable[[str, str | None], AnyPredictor]
"""Makes the predictor of that name anew from its files, or the version that lies beside it."""

Versions = Callable[[str], Sequence[str]]
"""The versions that lie beside the predictor of that name."""

Prove = Callable[[Loaded], Awaitable[None]]
"""Takes a photo through all of the predictor's path, and raises what fails."""


@dataclass(slots=True)
class Entry:
    """One name. `serving` answers who asks for no version; until something is loaded, and after it was put away, it
    holds the predictor as it was made at the start, whose lane takes nothing; `coming` is the lane that is being
    loaded. `doubt` is why a photo failed of late."""

    made: AnyPredictor
    lazy: bool
    serving: Loaded
    state: State = "loading"
    reason: str | None = None
    doubt: str | None = None
    beside: dict[str, Loaded] = field(default_factory=dict)
    coming: Lane | None = None

    @property
    def name(self) -> str:
        return self.made.specification.name

    @property
    def condition(self) -> State:
        """The state, or `failed` while a photo and a drawn one have failed."""
        if self.doubt:
            return "failed"
        return self.serving.lane.state if self.state == "ready" else self.state

    @property
    def missing(self) -> str:
        """Which copies of it are not there, though it may answer without them; empty where all are."""
        lane = self.coming if self.state == "loading" else self.serving.lane
        return lane.missing if lane else ""

    @property
    def version(self) -> str:
        return self.serving.predictor.card.version

    @property
    def versions(self) -> list[str]:
        """Those that can be asked for, the one that serves first."""
        return [self.version, *self.beside] if self.state == "ready" else []


class Shelf:
    """One for an app; all methods are called on its event loop. `served` is what photos may be shown to now, by name:
    also those that are still to be loaded, or failed, and refuse what comes; not those that were put away on purpose.

    Changes are made one at a time, in the order in which they were asked for, because each needs memory for two. Those
    who ask for a change that has not begun yet share it. `made` are predictors that were never loaded; those named in
    `lazy` are loaded when they are asked first. `stuck_s` is how long an item may wait or a batch may run, in seconds.
    """

    def __init__(
        self,
        made: Mapping[str, AnyPredictor],
        batcher: Engine,
        make: Make,
        versions: Versions,
        prove: Prove,
        *,
        lazy: Iterable[str] = (),
        stuck_s: float,
    ) -> None:
        lazy = set(lazy)
        self.served: dict[str, Loaded] = {}
        self._entries = {
            name: Entry(one, name in lazy, closed(one, "unloaded"), "unloaded") for name, one in made.items()
        }
        self._batcher = batcher
        self._make, self._versions, self._prove = make, versions, prove
        self._stuck_s = stuck_s
        self._lock = asyncio.Lock()
        self._queued: dict[Change, asyncio.Task[Outcome]] = {}
        self._tasks: set[asyncio.Task[Any]] = set()
        self._stopped = False
        self._proving: set[str] = set()

    def start(self) -> None:
        """Begins to load all that is not lazy."""
        self._batcher.on_doubt(self._doubted)
        first = [entry for entry in self._entries.values() if not entry.lazy]
        for entry in first:
            self._close(entry, "loading")
        self._keep(asyncio.create_task(self._begin(first)))

    async def _begin(self, first: list[Entry]) -> None:
        """Together, so that one is read and loaded while another warms up; no change is made meanwhile."""
        async with self._lock:
            await asyncio.gather(*(self._bring(entry) for entry in first))

    async def stop(self) -> None:
        """Nothing is changed any more; who waits for a change is told so."""
        self._stopped = True
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    @property
    def settled(self) -> bool:
        """Whether no predictor is loading any more."""
        return all(entry.state != "loading" for entry in self._entries.values())

    @property
    def ready(self) -> bool:
        """Whether every wanted predictor can answer, and the device takes photos and runs them."""
        return self.running and all(state == "ready" for state in self.states().values())

    @property
    def running(self) -> bool:
        """Whether the device takes photos and runs them."""
        return self._batcher.taking and not self.stuck

    @property
    def leaving(self) -> bool:
        """Whether the service is about to stop, or stops."""
        return self._batcher.leaving

    @property
    def stuck(self) -> bool:
        """Whether what waits for the device, or runs on it, does so for too long."""
        return self._batcher.oldest_s > self._stuck_s

    def states(self) -> dict[str, State]:
        """Of every wanted predictor. One on which a photo failed of late, and then a drawn one, has failed until a
        drawn one comes through."""
        wanted = {name: one for name, one in self._entries.items() if not one.lazy and one.state != "unloaded"}
        return {name: "loading" if one.missing and not one.doubt else one.condition for name, one in wanted.items()}

    def look_again(self) -> None:
        """Where a predictor is in doubt, sends another drawn photo; whoever asks for health calls this."""
        for entry in self._entries.values():
            if entry.doubt:
                self._doubted(entry.serving.lane)

    def offers(self, name: str) -> bool:
        """Whether it is asked where nobody names whom to ask: not one that was put away on purpose."""
        entry = self._entries[name]
        return entry.lazy or entry.state != "unloaded"

    def entry(self, name: str) -> Entry:
        """Raises `UnknownModel`."""
        if name not in self._entries:
            served = ", ".join(self._entries) or "none"
            raise UnknownModel(f"No model is called {shown(name)}. Served are: {served}.")
        return self._entries[name]

    @property
    def entries(self) -> list[Entry]:
        return list(self._entries.values())

    def loaded(self, name: str, version: str | None = None) -> Loaded:
        """What answers for that name and version. Raises `UnknownModel`."""
        entry = self.entry(name)
        version = version and version.replace(" ", "+")  # how a plus sign that was not escaped comes in a query
        if version is None or version == entry.version:
            return entry.serving
        if version not in entry.beside:
            there = ", ".join(entry.versions) or "none now"
            raise UnknownModel(f"{name} has no version {shown(version)}. There are: {there}.")
        return entry.beside[version]

    async def take(self, ask: Ask, version: str | None, seconds: float) -> Ask:
        """The ask with the version that answers it, however long that takes. What is lazy is loaded first, with those
        it counts on, within `seconds`. Raises `NotReady`, `UnknownModel`, `DeadlineExceeded`."""
        specification = ask.predictor.specification
        try:
            async with asyncio.timeout(seconds):
                for name in (ask.name, *specification.finders, *specification.completed_by):
                    entry = self._entries.get(name)
                    if entry is not None and entry.lazy and entry.state in ("unloaded", "loading"):
                        await self.do(Change("load", name))
        except TimeoutError as error:
            raise DeadlineExceeded(
                f"{ask.name} is loaded when it is asked first, and was not before the deadline. Ask again in a while."
            ) from error
        loaded = self.loaded(ask.name, version)
        if self._entries[ask.name].state == "unloaded":
            raise NotReady(
                f"{ask.name} was unloaded. POST /v1/models/{ask.name}/load brings it back.",
                extra={"predictors": {ask.name: "unloaded"}},
            )
        return replace(ask, predictor=loaded.predictor, lane=loaded.lane)

    async def do(self, change: Change) -> Outcome:
        """Makes the change, also when whoever asked for it does not wait for the end. Without a name, of all that are
        not unloaded, one after another; the log tells what came of each. Raises `ShuttingDown`."""
        if change.name is not None:
            return await self._ordered(change)
        names = [name for name, entry in self._entries.items() if entry.state != "unloaded"]
        failures = [(await self.do(replace(change, name=name))).failure for name in names]
        told = "; ".join(failure for failure in failures if failure)
        return Outcome("failed" if told else "ready", failure=told or None)

    async def _ordered(self, change: Change) -> Outcome:
        if self._stopped:
            raise ShuttingDown("The service is stopping: no model is changed any more.")
        task = self._order(change)
        try:
            return await asyncio.shield(task)
        except asyncio.CancelledError:
            if task.cancelled():
                raise ShuttingDown("The service is stopping: the model was not changed.") from None
            raise

    def _order(self, change: Change) -> asyncio.Task[Outcome]:
        if change not in self._queued:
            task = self._queued[change] = asyncio.create_task(self._change(change))
            self._keep(task)
        return self._queued[change]

    def _keep(self, task: "asyncio.Task[Any]") -> None:
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _change(self, change: Change) -> Outcome:
        assert change.name is not None
        entry = self._entries[change.name]
        try:
            async with self._lock:
                del self._queued[change]  # who asks from now on may want what is written from now on
                return await self._made(change, entry)
        finally:
            if self._queued.get(change) is asyncio.current_task():
                del self._queued[change]

    async def _made(self, change: Change, entry: Entry) -> Outcome:
        failure, before = None, entry.state
        if change.action == "unload":
            self._put_away(entry)
        elif change.action == "reload" or before != "ready":
            failure = await self._bring(entry)
        if before == "ready" and change.action != "load":
            await asyncio.to_thread(gc.collect)  # what is of no more use may hang in a circle of references
        return Outcome(entry.state, entry.version, entry.versions, failure)

    async def _bring(self, entry: Entry) -> str | None:
        """Loads what lies in the files now, beside what serves, and swaps; the reason where that failed."""
        served = entry.state == "ready"
        if not served:
            entry.reason = None
            self._close(entry, "loading")
        fresh: dict[str | None, Loaded] = {}
        try:
            for version, predictor in (await asyncio.to_thread(self._read, entry)).items():
                fresh[version] = await self._load(predictor, version)
        except Exception as error:
            for loaded in fresh.values():
                self._batcher.retire(loaded.lane)
            told = f"{type(error).__name__}: {error}" if not isinstance(error, Failed) else str(error)
            log.error("%s is not loaded%s: %s", entry.name, ", and serves on as it was" if served else "", told)
            if not served:
                entry.reason = told
                self._close(entry, "failed")
            return told
        self._swap(entry, fresh)
        log.info("%s serves version %s", entry.name, ", ".join(entry.versions))
        return None

    def _read(self, entry: Entry) -> dict[str | None, AnyPredictor]:
        """In a thread: every version's predictor, None being the one that shall serve."""
        made: dict[str | None, AnyPredictor] = {None: self._make(entry.name, None)}
        for version in self._versions(entry.name):
            if version != made[None].card.version:
                made[version] = self._make(entry.name, version)
        for told, predictor in made.items():
            fits.check(entry.serving.predictor, predictor, told)
        return made

    async def _load(self, predictor: AnyPredictor, version: str | None) -> Loaded:
        """Loaded, warmed in every size, and proven. Raises what hinders it."""
        name = predictor.specification.name
        lane = self._entries[name].coming = self._batcher.bring(predictor, version)
        loaded = Loaded(predictor, lane)
        lane.counted = False
        try:
            await lane.settled.wait()
            if lane.state != "ready":
                raise Failed(lane.reason or f"{name}: it does not load")
            try:
                await self._prove(loaded)
            except Exception as error:
                cause = error.__cause__ or error
                raise Failed(f"{name}: a photo fails on it: {type(cause).__name__}: {cause}") from None
        except BaseException:
            self._batcher.retire(lane)
            raise
        finally:
            self._entries[name].coming = None
        lane.counted = True
        return loaded

    def _swap(self, entry: Entry, fresh: dict[str | None, Loaded]) -> None:
        """Between two photos: from here on every one that comes is shown to the new version."""
        old = [entry.serving, *entry.beside.values()]
        entry.serving = self.served[entry.name] = fresh.pop(None)
        entry.beside = {version: loaded for version, loaded in fresh.items() if version is not None}
        entry.state, entry.reason, entry.doubt = "ready", None, None
        self._retire(old)

    def _put_away(self, entry: Entry) -> None:
        old = [entry.serving, *entry.beside.values()]
        self._close(entry, "unloaded")
        self._retire(old)
        log.info("%s is put away", entry.name)

    def _close(self, entry: Entry, state: State) -> None:
        """Nothing of it is loaded: it refuses what comes."""
        entry.state, entry.beside, entry.doubt = state, {}, None
        entry.serving = closed(entry.made, state, entry.reason)
        if state == "unloaded":
            self.served.pop(entry.name, None)
        else:
            self.served[entry.name] = entry.serving

    def _retire(self, old: Iterable[Loaded]) -> None:
        loop = asyncio.get_running_loop()
        for lane in (loaded.lane for loaded in old if loaded.lane.state == "ready"):
            # freed with the last request that was admitted to it, on whatever thread that ends
            weakref.finalize(lane, _freed, loop).atexit = False
            self._batcher.retire(lane)

    def _doubted(self, lane: Lane) -> None:
        """An item failed on the lane: was it the item?"""
        for entry in self._entries.values():
            if entry.serving.lane is lane and entry.state == "ready" and entry.name not in self._proving:
                self._proving.add(entry.name)
                self._keep(asyncio.create_task(self._try(entry, entry.serving)))

    async def _try(self, entry: Entry, loaded: Loaded) -> None:
        doubt = None
        try:
            await self._prove(loaded)
        except ItemFailed as error:
            doubt = str(error)
            log.error("%s fails on a drawn photo too: %r", entry.name, error.__cause__)
        except Unanswered:
            doubt = entry.doubt  # too much waits, or the service stops: nothing was found out
        except Exception as error:
            doubt = f"{type(error).__name__}: {error}"
            log.error("%s fails on a drawn photo too: %r", entry.name, error)
        finally:
            self._proving.discard(entry.name)
        if entry.serving is loaded:
            entry.doubt = doubt


class Failed(Exception):
    """The text tells who failed, and why."""


def closed(predictor: AnyPredictor, state: State, reason: str | None = None) -> Loaded:
    """A predictor that is not loaded, in a lane that takes nothing and says why."""
    what = predictor.specification
    lane = Lane(what.name, predictor.load, predictor.run, what.inputs, what.batch_sizes)
    lane.state, lane.reason = state, reason
    return Loaded(predictor, lane)


def _freed(loop: asyncio.AbstractEventLoop) -> None:
    try:
        loop.call_soon_threadsafe(loop.run_in_executor, None, memory.give_back)
    except RuntimeError:
        return  # the loop is closed: so is the service
