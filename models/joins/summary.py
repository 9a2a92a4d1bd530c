"""The summary: one line per damage as a person would tell it, the worst first, and the damages of each part."""

from collections.abc import Sequence

from pydantic import BaseModel, Field

from models.join import Join, Together
from models.language import Language
from models.predictors.damage import DamageAnswer, Detection

GRADES = ("minor", "moderate", "severe")
"""From the mildest to the worst; a damage of another grade, or of none, comes after them."""


class Line(BaseModel):
    """One damage."""

    text: str = Field(description="In a few words, in the language of the answer: `Content-Language`")
    damage: int = Field(description="Its index in `results.damage.detections`")
    label: str = Field(description="Its class")
    part: str | None = Field(description="The part that most of it lies on; null where it lies on none")
    severity: str | None = Field(description="Its grade; null where it was not graded")


LINE = {
    "text": "minor scratch on the rear right door",
    "damage": 0,
    "label": "scratch",
    "part": "back_right_door",
    "severity": "minor",
}


class Summary(BaseModel):
    """What is told of all damages together."""

    summary: list[Line] | None = Field(
        default=None,
        description="One line per damage, the worst first; null where `damage` gave no answer.",
        examples=[[LINE]],
    )
    by_part: dict[str, list[int]] | None = Field(
        default=None,
        description="By part, the damages on it, by index in `results.damage.detections`, as in `summary`; those on no "
        "part are in none. Null where `damage` or `parts` gave no answer.",
        examples=[{"back_right_door": [0]}],
    )


def lines(detections: Sequence[Detection], language: Language) -> list[Line]:
    """The worst first: by grade, then by the share of the photo, then by score."""
    order = sorted(range(len(detections)), key=lambda index: _badness(detections[index]), reverse=True)
    return [_line(index, detections[index], language) for index in order]


def _badness(detection: Detection) -> tuple[int, float, float]:
    grade = detection.severity.label if detection.severity else ""
    return GRADES.index(grade) if grade in GRADES else -1, detection.area_fraction, detection.score


def _line(index: int, detection: Detection, language: Language) -> Line:
    grade = detection.severity.label if detection.severity else None
    text = language.damage(detection.label, detection.part, grade)
    return Line(text=text, damage=index, label=detection.label, part=detection.part, severity=grade)


def run(seen: Together) -> Summary:
    damage: DamageAnswer = seen.answers["damage"]
    told = lines(damage.detections, seen.language)
    by_part: dict[str, list[int]] = {}
    for line in told:
        if line.part is not None:
            by_part.setdefault(line.part, []).append(line.damage)
    asked = "parts" in seen.answers and all(one.parts is not None for one in damage.detections)
    return Summary(summary=told, by_part=by_part if asked else None)


summary = Join("summary", {"damage": DamageAnswer}, run, adds=Summary)
