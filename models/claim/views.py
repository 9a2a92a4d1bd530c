"""From which sides a claim's photos show the vehicle, and which side none of them shows."""

from collections.abc import Sequence

from pydantic import BaseModel, Field

from models.claim.sight import Sight, counted
from models.predictors.attributes import AttributesAnswer

SIDES = ("front", "left", "back", "right")
TAKEN = 0.6
"""Score from which a view counts as the one that the photo was taken from."""

SHOWN = 0.8
"""Probability from which a photo counts as showing a side. Three views of eight show one, so it starts from more."""


class Views(BaseModel):
    """The sides of the vehicle that the photos show."""

    covered: dict[str, list[int]] = Field(
        description="By view, the photos that show it, by `index`. A photo from a corner shows its two sides as well, "
        "so it is listed three times: under `front_left`, `front` and `left`."
    )
    missing: list[str] = Field(
        description="Which of `front`, `left`, `back` and `right` no photo shows. Corners are never missing: what can "
        "be seen from there can be seen from the sides."
    )


def view(answer: AttributesAnswer) -> str | None:
    """The view that the photo was taken from; None where that is not sure enough."""
    return answer.orientation.label if answer.orientation.score >= TAKEN else None


def shown(answer: AttributesAnswer) -> list[str]:
    """Every view that the photo covers: the one it was taken from, of a corner both its sides, and each side that it
    shows most likely: where the network wavers between `front` and `front_left`, the front is seen all the same."""
    taken, scores = view(answer), answer.orientation.scores
    sides = [
        side
        for side in SIDES
        if side in (taken or "").split("_")
        or sum(score for name, score in scores.items() if side in name.split("_")) >= SHOWN
    ]
    return [taken, *(side for side in sides if side != taken)] if taken else sides


def views(sights: Sequence[Sight]) -> Views | None:
    """None where nobody told of any photo from where it was taken. What is no good view of the vehicle covers none."""
    if not any(sight.attributes for sight in sights):
        return None
    covered: dict[str, list[int]] = {}
    for sight in counted(sights):
        for name in shown(sight.attributes) if sight.attributes else ():
            covered.setdefault(name, []).append(sight.index)
    return Views(covered=covered, missing=[side for side in SIDES if side not in covered])
