"""One photo's round through the predictors: the regions found, the work on each, and what came of it."""

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from app.ask import Answer, Ask
from app.errors import Problem
from models.photo import Region
from models.predictor import Arrays

Outcome = Answer | Problem


@dataclass(frozen=True, slots=True)
class Prepared:
    item: Arrays
    region: Region
    milliseconds: float
    locate_ms: float | None


@dataclass(frozen=True, slots=True)
class Work:
    """One predictor busy with one region of the photo."""

    ask: Ask
    preparing: "asyncio.Task[Prepared | Problem]"
    answering: "asyncio.Task[Outcome]"


@dataclass(slots=True)
class Round:
    """All asks about one photo, by name: where their regions come from, the work on each region, and at last its
    outcome; and the regions that were found, by the predictor that found them, and when (`found`). `decoded` is when
    there were pixels first."""

    sources: dict[str, str]
    works: dict[str, list[Work]] = field(default_factory=dict)
    outcomes: dict[str, list[Outcome]] = field(default_factory=dict)
    regions: dict[str, list[Region] | None] = field(default_factory=dict)
    found: dict[str, float] = field(default_factory=dict)
    decoded: float | None = None

    def decode_ms(self, began: float) -> float:
        return 0.0 if self.decoded is None else as_ms(self.decoded - began)


async def all_prepared(works: Mapping[str, Sequence[Work]]) -> None:
    """Returns once nobody needs the pixels any more."""
    if preparing := [work.preparing for some in works.values() for work in some]:
        await asyncio.wait(preparing)


def as_ms(seconds: float) -> float:
    return round(seconds * 1000, 2)
