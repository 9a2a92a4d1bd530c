"""What is asked of a predictor about one photo, and what comes of it; shared by the rooms of the straight path."""

from dataclasses import dataclass, field

from pydantic import BaseModel

from app.lane import Lane
from app.locate import Box, parse_box
from app.schemas import AnyPredictor, TaskTimings
from app.trail import Trail
from models.predictor import Options


@dataclass(frozen=True, slots=True, eq=False)
class Loaded:
    """One version of a predictor, and the lane it runs in. Whoever holds it is answered by it, also when another
    version has taken its place."""

    predictor: AnyPredictor
    lane: Lane


@dataclass(frozen=True, slots=True)
class Ask:
    """One predictor asked with its options; `box` is the caller's region, where this predictor takes one. `every`:
    it is asked about each region that its locator finds, not about the first alone; `only`: and about nothing where
    there is none. `lane` is that of the version which answers; without it the newest of that name."""

    predictor: AnyPredictor
    options: Options
    box: Box | None = None
    every: bool = False
    only: bool = False
    lane: Lane | None = None

    @property
    def name(self) -> str:
        return self.predictor.specification.name

    @classmethod
    def of(cls, predictor: AnyPredictor, options: Options, every: bool = False) -> "Ask":
        """Raises `InvalidOption` where the box is none."""
        text = getattr(options, "box", None) if "box" in predictor.specification.regions else None
        return cls(predictor, options, None if text is None else parse_box(text), every)


@dataclass(frozen=True, slots=True)
class Call:
    """What of the request the path needs: its id for the log, the clock's time when the answer is due, and where it
    writes what it did."""

    request_id: str
    deadline: float
    trail: Trail = field(default_factory=Trail)


@dataclass(frozen=True, slots=True)
class Answer:
    """One predictor's answer, and the same as JSON."""

    value: BaseModel
    json: bytes
    timings: TaskTimings
