"""Time, and what shares it: events in their order, processors that several jobs share, lines that wait for a server."""

import heapq
import itertools
from collections import deque
from collections.abc import Callable

Act = Callable[[], None]


class Clock:
    """`now` is in seconds; it goes from one event to the next."""

    def __init__(self) -> None:
        self.now = 0.0
        self._events: list[tuple[float, int, Act]] = []
        self._numbers = itertools.count()

    def at(self, when: float, act: Act) -> None:
        """Events of one moment happen in the order in which they were named."""
        heapq.heappush(self._events, (max(when, self.now), next(self._numbers), act))

    def after(self, seconds: float, act: Act) -> None:
        self.at(self.now + seconds, act)

    def run(self, until: float = float("inf")) -> None:
        """All events up to then."""
        while self._events and self._events[0][0] <= until:
            self.now, _, act = heapq.heappop(self._events)
            act()


class _Job:
    __slots__ = ("cores", "done", "left")

    def __init__(self, seconds: float, cores: float, done: Act) -> None:
        self.left, self.cores, self.done = seconds, cores, done


class Cores:
    """Processor sharing: jobs run at full speed while there are cores for all of them, else all are slowed alike."""

    def __init__(self, clock: Clock, count: float) -> None:
        self.clock, self.count = clock, count
        self.busy_s = 0.0
        """Core seconds that were used."""
        self._jobs: list[_Job] = []
        self._since = 0.0
        self._plan = 0

    def run(self, seconds: float, cores: float, done: Act) -> None:
        """A job that takes so long alone, with so many cores; `done` is called at its end."""
        if not seconds:
            done()
            return
        self._pass()
        self._jobs.append(_Job(seconds, cores, done))
        self._next()

    def _speed(self) -> float:
        wanted = sum(job.cores for job in self._jobs)
        return min(1.0, self.count / wanted) if wanted else 1.0

    def _pass(self) -> None:
        gone, speed = self.clock.now - self._since, self._speed()
        for job in self._jobs:
            worked = gone * (speed if job.cores else 1.0)
            job.left -= worked
            self.busy_s += worked * job.cores
        self._since = self.clock.now

    def _next(self) -> None:
        self._plan += 1
        if self._jobs:
            plan, speed = self._plan, self._speed()
            first = min(job.left / (speed if job.cores else 1.0) for job in self._jobs)
            self.clock.after(max(0.0, first), lambda: self._end(plan))

    def _end(self, plan: int) -> None:
        if plan != self._plan:
            return  # other jobs came or went since then
        self._pass()
        ended = [job for job in self._jobs if job.left <= 1e-12]
        self._jobs = [job for job in self._jobs if job.left > 1e-12]
        self._next()
        for job in ended:
            job.done()


class Line:
    """First come, first served, by so many servers."""

    def __init__(self, cores: Cores, servers: int) -> None:
        self._cores, self._free = cores, servers
        self._waiting: deque[tuple[float, Act]] = deque()

    def serve(self, seconds: float, done: Act) -> None:
        """A job that takes so long on one core."""
        self._waiting.append((seconds, done))
        self._go()

    def _go(self) -> None:
        while self._free and self._waiting:
            seconds, done = self._waiting.popleft()
            self._free -= 1
            self._cores.run(seconds, 1.0, lambda done=done: self._end(done))  # type: ignore[misc]

    def _end(self, done: Act) -> None:
        self._free += 1
        done()
        self._go()
