"""`severity`: how bad the damage on a photo looks, over the whole of it."""

from collections.abc import Sequence

import numpy as np
from pydantic import BaseModel, Field

from models.answers import Scored
from models.manifest import WeightsError
from models.photo import Header, Region
from models.predictor import Arrays, Options, Specification
from models.predictors.classifier import ClassifierPredictor


class SeverityAnswer(BaseModel):
    """How bad the damage looks."""

    severity: Scored = Field(description="The likeliest grade, and every grade's share")
    grade: float = Field(
        ge=0,
        description="The mean grade under the scores, 0 for the mildest: with minor, moderate and severe from 0 to 2",
    )


class Severity(ClassifierPredictor[Options, SeverityAnswer]):
    """A ResNet over grades, which are the labels of the manifest from the mildest to the worst."""

    name = "severity"
    sources = ("photo",)

    def check(self) -> None:
        super().check()
        if len(self.manifest.labels["label"]) < 2:
            where = self.weights.path.with_suffix(".json")
            raise WeightsError(f"{where}: labels: {self.name} expects two grades or more, the mildest first")

    def describe(self) -> Specification:
        return self.specify(
            description="The grade of the worst damage, over all of the photo: "
            f"{', '.join(self.manifest.labels['label'])}. It takes for granted that the photo shows damage: whether it "
            "does is `damage`'s to say.",
            options=Options,
            answer=SeverityAnswer,
            example=EXAMPLE,
        )

    def finish(self, output: Arrays, header: Header, region: Region, options: Options) -> SeverityAnswer:
        shares = self.shares(output)
        grade = float(shares @ np.arange(len(shares)))
        return SeverityAnswer(severity=Scored.of(self.manifest.labels["label"], shares), grade=round(grade, 3))

    def caption(self, answer: SeverityAnswer) -> Sequence[str]:
        return [f"severity: {answer.severity.label} ({answer.severity.score:.0%})"]


EXAMPLE = {
    "severity": {
        "label": "moderate",
        "score": 0.68,
        "scores": {"minor": 0.2, "moderate": 0.68, "severe": 0.12},
    },
    "grade": 0.92,
}
