"""`damage`: where a car is damaged, how, and the outline of each damage."""

from collections.abc import Sequence

from pydantic import BaseModel, ConfigDict, Field

from models.photo import Header, Region
from models.predictor import MOST_REGIONS, Arrays, Specification
from models.predictors.classifier import LabelScore
from models.predictors.instances import EXAMPLE_INSTANCE, Instance, InstancesOptions, InstancesPredictor


class DamageOptions(InstancesOptions):
    """Which detections are told, and how their masks are written."""


class PartShare(BaseModel):
    """A part of the car that a damage lies on."""

    label: str
    share: float = Field(ge=0, le=1, description="Share of the damage's mask that lies on the part")


NAMED = 0.25
"""Share of a damage that must lie on a part for it to be called the damage's part."""


class Detection(Instance):
    """One damage, in the photo's own pixels."""

    model_config = ConfigDict(json_schema_serialization_defaults_required=True)

    severity: LabelScore | None = Field(
        default=None,
        description="How bad this one is: minor, moderate or severe. Null where it was not graded: beyond the surest "
        f"{MOST_REGIONS} of a photo, or where grading failed.",
    )
    parts: list[PartShare] | None = Field(
        default=None,
        description="The parts of the car that it lies on, the largest share first; empty where it lies on none. Each "
        "place is the likeliest part's, which `parts` itself may be too unsure to tell. Null "
        "where `parts` was not asked along with `damage`, which `inspect` does, or gave no answer.",
    )

    @property
    def part(self) -> str | None:
        """The part that most of it lies on; None where that is too little, or not known."""
        return next((one.label for one in self.parts or () if one.share >= NAMED), None)


class DamageAnswer(BaseModel):
    """Every damage that was seen."""

    damaged: bool = Field(
        description="At least one detection reaches its class's threshold, whatever `min_score` shows"
    )
    damaged_score: float | None = Field(
        ge=0,
        le=1,
        description="Probability that the photo shows damage, if damaged and sound photos come equally often; null "
        "where the weights were not measured for it",
    )
    counts: dict[str, int] = Field(description="How many detections of each class are told")
    detections: list[Detection] = Field(description="Best first")


class Damage(InstancesPredictor[DamageOptions, DamageAnswer]):
    """An R-CNN with masks over the labels of the manifest."""

    name = "damage"
    completed_by = ("damage_severity",)

    def describe(self) -> Specification:
        return self.specify(
            description="Every damage with its class, score, box, mask and grade. `damaged` says whether any of them "
            "is sure enough. Photos of the damaged side of a car, from half a metre to the whole car, work best.",
            options=DamageOptions,
            answer=DamageAnswer,
            example=EXAMPLE,
        )

    def finish(self, output: Arrays, header: Header, region: Region, options: DamageOptions) -> DamageAnswer:
        detections = self.found(output, header, options, Detection)
        return DamageAnswer(
            damaged=self.sure(output),
            damaged_score=self.presence(output),
            counts=self.counts(detections),
            detections=detections,
        )

    def told(self, answer: DamageAnswer) -> Sequence[Detection]:
        return answer.detections

    def regions(self, answer: DamageAnswer, header: Header) -> Sequence[Region]:
        return [_region(one) for one in answer.detections]

    def complete(self, answer: DamageAnswer, by: str, said: Sequence[tuple[Region, BaseModel]]) -> DamageAnswer:
        grades = dict(said)
        graded = [one.model_copy(update={"severity": grades.get(_region(one))}) for one in answer.detections]
        return answer.model_copy(update={"detections": graded})

    def title(self, instance: Instance) -> str:
        if not isinstance(instance, Detection):
            return instance.label
        grade = f"{instance.severity.label} " if instance.severity else ""
        place = f", {instance.part}" if instance.part else ""
        return f"{grade}{instance.label}{place}"


def _region(detection: Detection) -> Region:
    box = detection.box
    return Region(box.x1, box.y1, box.x2, box.y2, "damage", detection.score, detection.label)


EXAMPLE = {
    "damaged": True,
    "damaged_score": 0.93,
    "counts": {"dent": 1, "scratch": 0, "crack": 0, "glass_shatter": 0, "lamp_broken": 0, "tire_flat": 0},
    "detections": [
        {"label": "dent", **EXAMPLE_INSTANCE, "severity": {"label": "moderate", "score": 0.81}, "parts": None}
    ],
}
