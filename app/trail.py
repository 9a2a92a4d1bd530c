"""What one request went through: its steps with their times, filled in on its way, told when it is over."""

import time
from dataclasses import dataclass, field

from app.lane import Batch


@dataclass(frozen=True, slots=True)
class Step:
    """`began` and `ended` are seconds of the path's clock; `batch` is the one that a `device` step was part of; `photo`
    the number of the photo, from 0, where the request has several."""

    stage: str
    began: float
    ended: float
    predictor: str | None = None
    batch: Batch | None = None
    photo: int | None = None

    @property
    def name(self) -> str:
        return self.stage if self.predictor is None else f"{self.predictor}.{self.stage}"


@dataclass(slots=True, eq=False)
class Trail:
    """Written by the event loop alone, and holds nothing of the photo but its size in bytes."""

    steps: list[Step] = field(default_factory=list)
    received_bytes: int | None = None
    ahead_ns: int = field(default_factory=lambda: time.time_ns() - time.monotonic_ns())
    """What the wall clock is ahead of the path's."""
    photo: int | None = None
    photos: int | None = None
    """How many there were, where a request may have several."""

    def of(self, photo: int) -> "Trail":
        """The same trail, on which this photo's steps are written with its number."""
        return Trail(self.steps, ahead_ns=self.ahead_ns, photo=photo)

    def add(
        self, stage: str, began: float, ended: float, predictor: str | None = None, batch: Batch | None = None
    ) -> float:
        """Returns how long it took, in milliseconds."""
        self.steps.append(Step(stage, began, ended, predictor, batch, self.photo))
        return round((ended - began) * 1000, 2)

    @property
    def milliseconds(self) -> dict[str, float]:
        """By step, in the order in which they ended; what was done several times, for several regions or
        photos, is summed."""
        summed: dict[str, float] = {}
        for step in self.steps:
            summed[step.name] = summed.get(step.name, 0.0) + (step.ended - step.began) * 1000
        return {name: round(spent, 2) for name, spent in summed.items()}

    @property
    def predictors(self) -> list[str]:
        """Those that worked on the photo."""
        return list(dict.fromkeys(step.predictor for step in self.steps if step.predictor is not None))

    def wall_ns(self, seconds: float) -> int:
        """The time of the path's clock as nanoseconds since 1970."""
        return round(seconds * 1e9) + self.ahead_ns


@dataclass(frozen=True, slots=True)
class Ended:
    """A request that is over. `route` is a template and `method` a known one, so nothing that a caller wrote is here
    but the sane `request_id`; `code` is that of the problem it was answered with."""

    request_id: str
    method: str
    route: str
    status: int
    code: str | None
    began: float
    ended: float
    sent_bytes: int
    trail: Trail
