"""One service: event loop, decoders, batcher and device, with the batcher's policy by the service's own `Lane`."""

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field

from app.lane import TRUSTED_S, Lane
from tests.bench.simulation.events import Clock, Cores, Line
from tests.bench.simulation.times import Times

Told = Callable[["Photo", str], None]


@dataclass(slots=True, eq=False)
class Photo:
    """One request. `outcome`: `good`, `refused` (503), `late` (504), or `lost` with its replica."""

    came: float
    deadline: float
    told: Told
    outcome: str = ""
    ended: float = 0.0


@dataclass(frozen=True, slots=True)
class Shape:
    """What a replica is made of. `queue_limit` and `deadline_s` are the service's settings, `pool` its decoders (None:
    as many as cores)."""

    times: Times
    queue_limit: int = 64
    deadline_s: float = 10.0
    pool: int | None = None

    @property
    def decoders(self) -> int:
        return self.pool or self.times.cores


@dataclass(eq=False)
class Replica:
    """It refuses at the door and again before the queue, takes what waits whenever the device is free, pads it, and
    drops what is too late."""

    clock: Clock
    shape: Shape
    zone: int = 0
    alive: bool = True
    device_s: float = 0.0
    """Seconds that the device was busy."""
    runs: int = 0
    inside: set[Photo] = field(default_factory=set)

    def __post_init__(self) -> None:
        times = self.shape.times
        self.cores = Cores(self.clock, times.cores)
        self._loop, self._pool = Line(self.cores, 1), Line(self.cores, self.shape.decoders)
        self._lane = Lane("model", lambda device: None, lambda batch: batch, {}, times.sizes)
        self._waiting: deque[Photo] = deque()
        self._coming = 0
        self._running: tuple[int, float] | None = None
        for size, run in times.device.items():  # it was warmed
            self._lane.service.measure(size, run.seconds, self.clock.now)

    def ask(self, photo: Photo) -> None:
        """A request, with whoever asks on the same machine where the times say so."""
        self.inside.add(photo)
        if self._refuses(photo, self._coming + 1):
            self._end(photo, "refused")
            return
        times = self.shape.times
        self._loop.serve(times.loop_s, lambda: self._prepare(photo))
        if times.client_s:
            self.cores.run(times.client_s, 1.0, lambda: None)

    def die(self) -> None:
        """What is inside is lost."""
        self.alive = False
        for photo in list(self.inside):
            self._end(photo, "lost")

    def _prepare(self, photo: Photo) -> None:
        self._coming += 1
        self._pool.serve(self.shape.times.prepare_s, lambda: self._submit(photo))

    def _submit(self, photo: Photo) -> None:
        self._coming -= 1
        if photo.outcome:
            return
        if photo.deadline <= self.clock.now:
            self._end(photo, "late")
        elif self._refuses(photo, 1):
            self._end(photo, "refused")
        else:
            self._waiting.append(photo)
            self._take()

    def _refuses(self, photo: Photo, items: int) -> bool:
        """As `Batcher.admit` does, for a device with one predictor."""
        now, ahead = self.clock.now, len(self._waiting)
        if ahead + items > self.shape.queue_limit:
            return True
        if not ahead and self._running is None and now - self._lane.service.measured_at >= TRUSTED_S:
            return False
        rest = 0.0
        if self._running:
            size, started = self._running
            rest = max(0.0, self._lane.service.of(size) - (now - started))
        return now + rest + self._lane.seconds_for(ahead + items) > photo.deadline

    def _take(self) -> None:
        """A free device takes what waits at once, up to the largest batch."""
        if self._running is not None or not self.alive:
            return
        batch = list[Photo]()
        while self._waiting and len(batch) < self._lane.largest:
            photo = self._waiting.popleft()
            if photo.deadline <= self.clock.now:
                self._end(photo, "late")
            else:
                batch.append(photo)
        if batch:
            size = self._lane.padded(len(batch))
            run = self.shape.times.device[size]
            self._running = (size, self.clock.now)
            self.cores.run(run.seconds, run.cores, lambda: self._ran(batch))

    def _ran(self, batch: list[Photo]) -> None:
        assert self._running
        size, started = self._running
        self._running = None
        self._lane.service.measure(size, self.clock.now - started, self.clock.now)
        self.device_s += self.clock.now - started
        self.runs += 1
        for photo in batch:
            self._pool.serve(self.shape.times.finish_s, lambda photo=photo: self._answered(photo))  # type: ignore[misc]
        self._take()

    def _answered(self, photo: Photo) -> None:
        self._end(photo, "good" if self.clock.now < photo.deadline else "late")

    def _end(self, photo: Photo, outcome: str) -> None:
        if not photo.outcome and photo in self.inside:
            self.inside.remove(photo)
            photo.outcome, photo.ended = outcome, self.clock.now
            photo.told(photo, outcome)
