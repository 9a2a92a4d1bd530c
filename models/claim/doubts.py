"""Whether a claim's photos show one vehicle: what speaks against it, told so that a person can look."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations

from pydantic import BaseModel, Field

from models.answers import Scored
from models.claim.sight import Sight, counted
from models.language import Language
from models.predictors.car_details import Candidate

SURE_MODEL, SURE_COLOR, SURE_TYPE = 0.98, 0.9, 0.98
"""Scores that two photos must both reach to contradict each other. `recognised` is far too little: of 24 photos that
are each right in 95 of 100 cases, one is wrong more often than not. Of 360 crops of cars 146 had a model at 0.98, one
of them wrong. Of 900 pairs of one model two contradicted each other by type, by hatchback and sedan, which are
`LIKE_TYPES`. Of 60 cars in six made-up lights each (as taken, dark, bright, warm, cool, night) no pair did by colour,
thirteen but for `ALIKE`."""

TRACE = 0.05
"""And what each of them says must have no more than this in the other."""

ALIKE = (
    {"black", "gray"},
    {"white", "gray"},
    {"black", "brown"},
    {"black", "blue"},
    {"black", "green"},
    {"black", "purple"},
    {"gray", "blue"},
    {"gray", "green"},
    {"gray", "brown"},
    {"brown", "red"},
    {"brown", "orange"},
    {"red", "orange"},
    {"red", "purple"},
    {"blue", "purple"},
    {"orange", "yellow"},
    {"white", "yellow"},
)
"""Colours that light turns into each other: shade makes dark ones black, the sky makes silver blue, lamps make white
yellow. One paint photographed twice may get both names."""

COLORS = {"red", "green", "yellow", "orange", "blue", "purple", "black", "white", "brown", "gray"}

LIKE_TYPES = (
    {"hatchback", "sedan"},
    {"hatchback", "suv"},
    {"hatchback", "minivan"},
    {"sedan", "suv"},
    {"minivan", "van"},
    {"minivan", "suv"},
    {"suv", "pickup"},
    {"van", "truck"},
    {"van", "bus"},
    {"pickup", "truck"},
    {"truck", "bus"},
)
"""Types that differ in the half of the vehicle which one photo does not show: a pickup is an SUV from its front."""

TYPES = {"hatchback", "sedan", "minivan", "van", "suv", "pickup", "truck", "bus"}


class Doubt(BaseModel):
    """Something that speaks against one vehicle on all photos."""

    reason: str = Field(description="`different_models`, `different_colors` or `different_types`")
    text: str = Field(description="For people, in the language of the answer; it counts photos from 1, as people do")
    photos: list[int] = Field(description="The photos it is about, by `index`")


@dataclass(frozen=True, slots=True)
class Reading:
    """What one photo says the vehicle is: `scores` by label, `name` for people. `sure`: it may contradict others."""

    index: int
    label: str
    name: str
    scores: Mapping[str, float]
    sure: bool


def doubts(sights: Sequence[Sight], language: Language) -> list[Doubt]:
    """What speaks against one vehicle; nothing where no two photos are each sure of something clearly different."""
    good = counted(sights)
    found = (
        ("different_models", _contradicting(_models(good), lambda one, other: True)),
        ("different_colors", _contradicting(_colors(good, language), _different(COLORS, ALIKE))),
        ("different_types", _contradicting(_types(good, language), _different(TYPES, LIKE_TYPES))),
    )
    return [_doubt(reason, groups, language) for reason, groups in found if groups]


def _contradicting(
    readings: Sequence[Reading], different: Callable[[str, str], bool]
) -> dict[str, tuple[str, list[int]]]:
    """By label, its name and the photos that say so, of all labels of which two sure readings contradict each other."""
    labels: set[str] = set()
    for one, other in combinations([reading for reading in readings if reading.sure], 2):
        traces = (one.scores.get(other.label, 0.0), other.scores.get(one.label, 0.0))
        if one.label != other.label and different(one.label, other.label) and max(traces) <= TRACE:
            labels |= {one.label, other.label}
    groups: dict[str, tuple[str, list[int]]] = {}
    for reading in readings:
        if reading.label in labels:
            groups.setdefault(reading.label, (reading.name, []))[1].append(reading.index)
    return groups


def _different(known: set[str], alike: Sequence[set[str]]) -> Callable[[str, str], bool]:
    """Labels of other weights, which are not known here, are never called different."""
    return lambda one, other: {one, other} <= known and {one, other} not in alike


def _models(sights: Sequence[Sight]) -> list[Reading]:
    """By make and model: of which year it is, a photo of the front can often not tell."""
    readings = []
    for sight in sights:
        answer = sight.details
        if answer and answer.recognised:
            scores: dict[str, float] = {}
            for one in answer.candidates:
                scores[_model(one)] = scores.get(_model(one), 0.0) + one.score
            sure = answer.best.score >= SURE_MODEL
            readings.append(Reading(sight.index, _model(answer.best), answer.best.label, scores, sure))
    return readings


def _model(candidate: Candidate) -> str:
    return f"{candidate.make} {candidate.model}" if candidate.make and candidate.model else candidate.label


def _colors(sights: Sequence[Sight], language: Language) -> list[Reading]:
    told = [(sight.index, sight.attributes.color) for sight in sights if sight.attributes]
    return [_reading(index, color, language.color(color.label), SURE_COLOR) for index, color in told]


def _types(sights: Sequence[Sight], language: Language) -> list[Reading]:
    told = [(sight.index, sight.attributes.type) for sight in sights if sight.attributes]
    return [_reading(index, kind, language.type(kind.label), SURE_TYPE) for index, kind in told]


def _reading(index: int, told: Scored, name: str, sure: float) -> Reading:
    return Reading(index, told.label, name, told.scores, told.score >= sure)


def _doubt(reason: str, groups: Mapping[str, tuple[str, list[int]]], language: Language) -> Doubt:
    text = language.doubt(reason, list(groups.values()))
    return Doubt(reason=reason, text=text, photos=sorted(index for _, photos in groups.values() for index in photos))
