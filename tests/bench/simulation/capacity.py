"""How much of what is needed for so many photos a second, and what is left of it when a zone goes."""

import math
from collections.abc import Iterator
from dataclasses import dataclass

from tests.bench.simulation.fleet import Fleet, Seen
from tests.bench.simulation.replica import Shape

PHOTOS = 20_000
"""Photos of a load that is simulated: enough for a queue that grows to show."""

GROUP = 6
"""Replicas that stand for more: behind a balancer that draws two, each sees what those of a larger fleet see."""

BEARABLE = 0.001
"""Share of photos without an answer at a load that counts as carried."""


@dataclass(frozen=True, slots=True)
class Goal:
    """What is wanted: 99 of 100 answers within `p99_s`, in so many zones; what a replica costs an hour; gigabits a
    second into a replica, and into a balancer."""

    p99_s: float = 0.5
    zones: int = 3
    price: float = 1.0
    link_gbit: float = 10.0


@dataclass(frozen=True, slots=True)
class Need:
    """For `rate` photos a second: `least` replicas carry it, `replicas` do so without any one of the zones. Device
    seconds a million photos, used and paid for, the latter's price, and gigabits a second that come in. `meanwhile`
    and `after` are what is seen of a zone's loss with the spare, `lean` of its loss without; None: nothing is left."""

    rate: float
    least: int
    replicas: int
    used_s: float
    paid_s: float
    price: float
    gbit: float
    usual: Seen
    meanwhile: Seen
    after: Seen
    lean: Seen | None


def loads(shape: Shape, goal: Goal) -> Iterator[tuple[float, Seen]]:
    """One replica at shares of what its narrowest part passes."""
    most = min(shape.times.limits(shape.decoders, goal.link_gbit).values())
    for share in (0.5, 0.7, 0.8, 0.9, 1.0, 1.2, 1.5):
        yield share, Fleet(shape).open(share * most, PHOTOS / most)


def carried(shape: Shape, goal: Goal, steps: int = 7) -> float:
    """Photos a second that one of several replicas carries: answered, and in time. Raises `ValueError` where a lone
    photo takes longer than the goal."""
    most = min(shape.times.limits(shape.decoders, goal.link_gbit).values())
    low, high = 0.0, 1.0
    for _ in range(steps):
        share = (low + high) / 2
        rate = share * most * GROUP
        seen = Fleet(shape, GROUP).open(rate, PHOTOS / rate)
        if seen.p99_s <= goal.p99_s and seen.unanswered <= BEARABLE:
            low = share
        else:
            high = share
    if not low:
        raise ValueError(f"not even a hundredth of the load is answered within {goal.p99_s:g} s: allow more")
    return low * most


def need(rate: float, shape: Shape, goal: Goal, each: float) -> Need:
    """For that many photos a second, where a replica carries `each`."""
    least = math.ceil(rate / each)
    replicas = math.ceil(least / (goal.zones - 1)) * goal.zones if goal.zones > 1 else least
    shown = replicas if replicas <= GROUP else GROUP // goal.zones * goal.zones
    share = rate * shown / replicas
    usual = Fleet(shape, shown, goal.zones).open(share, PHOTOS / share)
    meanwhile, after = Fleet(shape, shown, goal.zones).without_a_zone(share, 10, max(10, PHOTOS / share))
    lean = None
    if least > 1 and goal.zones > 1:
        few = min(least, shown)
        lean = Fleet(shape, few, goal.zones).without_a_zone(rate * few / least, 10, max(10, PHOTOS / share))[1]
    paid_s = replicas / rate * 1e6
    gbit = rate * shape.times.photo_bytes * 8 / 1e9
    used_s = usual.device_s * 1e6
    return Need(rate, least, replicas, used_s, paid_s, paid_s / 3600 * goal.price, gbit, usual, meanwhile, after, lean)
