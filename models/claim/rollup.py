"""The roll-up of a claim: which vehicle it is, what it looks like, which views there are and what is damaged."""

from collections.abc import Sequence

from pydantic import BaseModel, Field

from models.answers import Scored
from models.claim.doubts import Doubt, doubts
from models.claim.pool import pooled
from models.claim.sight import COUNTS, Sight, counted
from models.claim.views import Views, view, views
from models.language import Language
from models.predictors.car_details import Candidate

MOST_CANDIDATES = 5
RECOGNISED = 0.75
"""What all photos together must give a model that one of them recognises: as much as that one must, nearly."""

AGREES = 0.5
"""A photo agrees with a label that has at least this much of the score of its own best one."""


class ClaimVehicle(BaseModel):
    """Which vehicle it is, by the evidence of all photos."""

    recognised: bool = Field(
        description="A photo that shows the vehicle well recognises it by itself, and all photos together say the same"
    )
    best: Candidate = Field(description="The likeliest model, recognised or not")
    candidates: list[Candidate] = Field(description="The likeliest models over all photos, best first")
    photos: list[int] = Field(
        description="The photos that it was read from, by `index`; not those in which no vehicle was found"
    )


class ClaimTrait(BaseModel):
    """One thing that the vehicle looks like, by the evidence of all photos."""

    label: str
    score: float = Field(ge=0, le=1)
    agreed: bool = Field(
        description="Whether every photo that shows the vehicle well says so, or cannot tell it from what it says"
    )
    photos: list[int] = Field(
        description="The photos that it was read from, by `index`; not those in which no vehicle was found"
    )


class ClaimDamage(BaseModel):
    """The damages of one class in the photos of one view."""

    label: str
    view: str | None = Field(
        description="From where these photos were taken; null for close-ups and where it is not sure"
    )
    photos: list[int] = Field(description="The photos that show such damages, by `index`")
    count: int = Field(
        description="How many one of these photos shows at most. There are at least so many; which damage of one photo "
        "is which of another is not known"
    )
    seen: int = Field(description="How many they show in all: one damage on two photos is counted twice")


class Claim(BaseModel):
    """What all photos of a claim tell together. What nobody was asked about, or told of, is null."""

    vehicle: ClaimVehicle | None = Field(description="Null also where no photo shows the vehicle well enough")
    color: ClaimTrait | None = Field(description="Colour of the body. Null also where no photo shows the vehicle well")
    type: ClaimTrait | None = Field(description="Kind of vehicle. Null also where no photo shows the vehicle well")
    views: Views | None
    damaged: bool | None = Field(description="Whether at least one photo shows damage")
    damages: list[ClaimDamage] | None = Field(
        description="Every class in every view; what is seen most often first. Those count that are sure enough for "
        "their class, as for `damaged`, however many more `min_score` shows"
    )
    one_vehicle: bool | None = Field(
        description="False where something speaks against one vehicle on all photos: `doubts` says what. True where "
        "nothing does, and the photos agree in colour and type; that proves nothing. Null where they differ, yet none "
        "is sure enough, and where fewer than two photos show the vehicle well"
    )
    doubts: list[Doubt]


def claim(sights: Sequence[Sight], language: Language) -> Claim:
    """The roll-up of the photos that have an answer; there may be none. Texts for people are in `language`."""
    told = [sight.damage for sight in sights if sight.damage]
    color = _trait([(sight, sight.attributes.color) for sight in sights if sight.attributes])
    kind = _trait([(sight, sight.attributes.type) for sight in sights if sight.attributes])
    found = doubts(sights, language)
    return Claim(
        vehicle=_vehicle(sights),
        color=color,
        type=kind,
        views=views(sights),
        damaged=any(answer.damaged for answer in told) if told else None,
        damages=_damages(sights) if told else None,
        one_vehicle=False if found else _agree(sights, color, kind),
        doubts=found,
    )


def _agree(sights: Sequence[Sight], *traits: ClaimTrait | None) -> bool | None:
    """True where two photos at least could have contradicted each other, and agree; else nobody knows."""
    read = [sight for sight in counted(sights) if sight.details or sight.attributes]
    return True if len(read) > 1 and all(trait is None or trait.agreed for trait in traits) else None


def _vehicle(sights: Sequence[Sight]) -> ClaimVehicle | None:
    read = [(sight, sight.details) for sight in sights if sight.details and sight.weight > 0]
    if not read:
        return None
    known = {one.label: one for _, answer in read for one in answer.candidates}
    scores = pooled([({one.label: one.score for one in answer.candidates}, sight.weight) for sight, answer in read])
    best, *_ = candidates = [
        known[label].model_copy(update={"score": round(score, 4)})
        for label, score in list(scores.items())[:MOST_CANDIDATES]
    ]
    alone = [answer.best.label for sight, answer in read if answer.recognised and sight.weight >= COUNTS]
    return ClaimVehicle(
        recognised=best.label in alone and best.score >= RECOGNISED,
        best=best,
        candidates=candidates,
        photos=[sight.index for sight, _ in read],
    )


def _trait(told: Sequence[tuple[Sight, Scored]]) -> ClaimTrait | None:
    read = [(sight, scored) for sight, scored in told if sight.weight > 0]
    if not read:
        return None
    scores = pooled([(scored.scores, sight.weight) for sight, scored in read])
    said = {scored.label for _, scored in read}
    # white and blue photos may leave most to a third colour that none of them names
    label, score = next((label, score) for label, score in scores.items() if label in said)
    good = [scored for sight, scored in read if sight.weight >= COUNTS]
    agreed = all(scored.scores.get(label, 0.0) >= AGREES * scored.score for scored in good)
    return ClaimTrait(label=label, score=round(score, 4), agreed=agreed, photos=[sight.index for sight, _ in read])


def _damages(sights: Sequence[Sight]) -> list[ClaimDamage]:
    """By class and view: counts only, since nothing here tells one dent from the other."""
    good = {sight.index for sight in counted(sights)}
    counts: dict[tuple[str, str | None], dict[int, int]] = {}
    for sight in sights:
        taken = view(sight.attributes) if sight.attributes and sight.index in good else None
        for one in sight.damages:
            photos = counts.setdefault((one.label, taken), {})
            photos[sight.index] = photos.get(sight.index, 0) + 1
    found = [
        ClaimDamage(label=label, view=taken, photos=list(photos), count=max(photos.values()), seen=sum(photos.values()))
        for (label, taken), photos in counts.items()
    ]
    return sorted(found, key=lambda one: -one.seen)
