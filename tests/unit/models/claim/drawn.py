"""Photos of a claim, as a test has them answered."""

from typing import Any

from models.answers import Box, RegionRead, Scored
from models.claim.sight import Sight
from models.photo import Header
from models.predictors.attributes import AttributesAnswer
from models.predictors.car_details import Candidate, CarDetailsAnswer
from models.predictors.vehicles import Vehicle, VehiclesAnswer
from tests.unit.models.joins.drawn import answer, damage, rectangle

HEADER = Header(width=1000, height=800, format="JPEG", exif_orientation=1)
WHOLE = RegionRead(x1=0, y1=0, x2=1000, y2=800, source="whole")
INSIDE = (100.0, 100.0, 900.0, 700.0)
COLORS = ("red", "orange", "blue", "black", "white", "gray")
TYPES = ("sedan", "hatchback", "suv", "pickup", "bus")
VIEWS = ("front", "back", "left", "right", "front_left", "front_right", "back_left", "back_right")


def scored(labels: tuple[str, ...], label: str, score: float) -> Scored:
    """The rest of the score is shared by the other labels."""
    rest = (1 - score) / (len(labels) - 1)
    return Scored(label=label, score=score, scores={one: score if one == label else rest for one in labels})


def details(*told: tuple[str, float], recognised: bool | None = None, region: RegionRead = WHOLE) -> CarDetailsAnswer:
    """Models as `Audi R8 2012`, with their scores."""
    candidates = [_candidate(label, score) for label, score in told]
    sure = told[0][1] >= 0.76 if recognised is None else recognised
    return CarDetailsAnswer(recognised=sure, best=candidates[0], candidates=candidates, makes=[], region=region)


def _candidate(label: str, score: float) -> Candidate:
    make, *model, year = label.split()
    return Candidate(label=label, make=make, model=" ".join(model), year=int(year), score=score)


def attributes(
    color: tuple[str, float] = ("red", 0.97),
    kind: tuple[str, float] = ("sedan", 0.99),
    view: tuple[str, float] = ("front", 0.95),
    region: RegionRead = WHOLE,
) -> AttributesAnswer:
    return AttributesAnswer(
        color=scored(COLORS, *color),
        type=scored(TYPES, *kind),
        orientation=scored(VIEWS, *view),
        yaw_degrees=0,
        yaw_confidence=1,
        region=region,
    )


def vehicles(*box: float) -> VehiclesAnswer:
    """The main vehicle there, or none."""
    if not box:
        return VehiclesAnswer(vehicles=[])
    x1, y1, x2, y2 = box
    place = Box(x1=x1, y1=y1, x2=x2, y2=y2)
    return VehiclesAnswer(vehicles=[Vehicle(type="car", score=0.8, box=place, area_fraction=0.5, main=True)])


def damages(*labels: str) -> Any:
    return answer(*(damage(label, rectangle(1, 1, 9, 9)) for label in labels))


def sight(index: int, **answers: Any) -> Sight:
    """Shows the vehicle well, unless `vehicles` says otherwise."""
    return Sight(index, HEADER, {"vehicles": vehicles(*INSIDE), **answers})
