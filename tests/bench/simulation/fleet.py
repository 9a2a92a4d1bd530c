"""Replicas behind a balancer, in zones, under a load: what comes of every photo, and what a zone takes along."""

import math
import random
from collections import Counter
from dataclasses import dataclass

from tests.bench.compare.settle import quantile
from tests.bench.simulation.events import Clock
from tests.bench.simulation.replica import Photo, Replica, Shape, Told

NOTICE_S = 10.0
"""Until a balancer knows that a replica is gone: two probes of five seconds."""


@dataclass(frozen=True, slots=True)
class Seen:
    """What a load found, after it had settled: photos answered a second, their latencies in seconds, the share of all
    photos with each other outcome, seconds of device and core for each answer, items in a batch."""

    throughput: float
    p50_s: float
    p99_s: float
    shares: dict[str, float]
    device_s: float
    core_s: float
    batch: float

    @property
    def unanswered(self) -> float:
        return sum(self.shares.values())


class Fleet:
    """`replicas` are dealt out to `zones` in turns. The balancer asks the one with fewer photos inside, of two that it
    draws: so do Ray Serve and most others."""

    def __init__(self, shape: Shape, replicas: int = 1, zones: int = 1, seed: int = 0) -> None:
        self.clock = Clock()
        self.shape = shape
        self.replicas = [Replica(self.clock, shape, number % zones) for number in range(replicas)]
        self.photos: list[Photo] = []
        self._known = list(self.replicas)
        self._draw = random.Random(seed)

    def open(self, rate: float, seconds: float) -> Seen:
        """Photos that come independently of each other, `rate` a second, whether or not others are answered."""
        self._arrive(rate, seconds)
        self.clock.run()
        return self.seen(0.1 * seconds, seconds)

    def closed(self, clients: int, seconds: float) -> Seen:
        """So many clients, each asking again as soon as it is answered."""

        def again(photo: Photo, outcome: str) -> None:
            if self.clock.now < seconds:
                self.clock.after(0.0, lambda: self._ask(again))

        for _ in range(clients):
            self.clock.at(0.0, lambda: self._ask(again))
        self.clock.run()
        return self.seen(0.1 * seconds, seconds)

    def without_a_zone(self, rate: float, before: float, after: float) -> tuple[Seen, Seen]:
        """Zone 0 goes after `before` seconds: what is seen from then until the balancer knows, and after that."""
        self._arrive(rate, before + NOTICE_S + after)

        def go() -> None:
            for replica in self.replicas:
                if replica.zone == 0:
                    replica.die()

        def notice() -> None:
            self._known = [replica for replica in self._known if replica.alive]

        self.clock.at(before, go)
        self.clock.at(before + NOTICE_S, notice)
        self.clock.run()
        end = before + NOTICE_S + after
        return self.seen(before, before + NOTICE_S), self.seen(before + NOTICE_S + 0.1 * after, end)

    def seen(self, start: float, end: float) -> Seen:
        """Of photos that came from `start` to `end`; those lost at `start` came before, and count as well."""
        inside = [
            one for one in self.photos if start <= one.came < end or (one.outcome == "lost" and one.ended == start)
        ]
        counts = Counter(photo.outcome for photo in inside)
        took = [photo.ended - photo.came for photo in inside if photo.outcome == "good"]
        ended = sum(photo.outcome == "good" and start <= photo.ended < end for photo in self.photos)
        answers = max(1, sum(photo.outcome == "good" for photo in self.photos))
        runs = sum(replica.runs for replica in self.replicas)
        return Seen(
            ended / (end - start),
            quantile(took, 0.5),
            quantile(took, 0.99),
            {name: count / len(inside) for name, count in sorted(counts.items()) if name != "good"},
            sum(replica.device_s for replica in self.replicas) / answers,
            sum(replica.cores.busy_s for replica in self.replicas) / answers,
            answers / runs if runs else math.nan,
        )

    def _arrive(self, rate: float, until: float) -> None:
        def arrive() -> None:
            self._ask(lambda photo, outcome: None)
            later()

        def later() -> None:
            when = self.clock.now + self._draw.expovariate(rate)
            if when < until:
                self.clock.at(when, arrive)

        later()

    def _ask(self, told: Told) -> None:
        now = self.clock.now
        photo = Photo(now, now + self.shape.deadline_s, told)
        self.photos.append(photo)
        replica = min(self._draw.choices(self._known, k=2), key=lambda one: len(one.inside))
        if replica.alive:
            replica.ask(photo)
        else:
            photo.outcome, photo.ended = "lost", now
            photo.told(photo, "lost")
