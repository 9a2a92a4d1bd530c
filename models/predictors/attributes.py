"""`attributes`: colour, type and orientation of a vehicle."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, Field

from models.answers import RegionRead, Scored
from models.drawing import Drawn
from models.manifest import WeightsError
from models.photo import Header, Region
from models.predictor import Arrays, Specification, VehicleOptions
from models.predictors.classifier import EXAMPLE_REGION, framed
from models.predictors.heads import HeadsPredictor

# Where the camera stands around the vehicle: 0 = the front faces it, 90 = it sees the vehicle's own left side.
YAW = {
    "front": 0,
    "front_left": 45,
    "left": 90,
    "back_left": 135,
    "back": 180,
    "back_right": 225,
    "right": 270,
    "front_right": 315,
}


class AttributesAnswer(BaseModel):
    """What the vehicle looks like, and from where it is seen."""

    color: Scored = Field(description="Colour of the body; silver is gray")
    type: Scored = Field(description="Kind of vehicle")
    orientation: Scored = Field(description="Side that is seen; left and right are the vehicle's own")
    yaw_degrees: float = Field(
        ge=0,
        lt=360,
        description="0: the front faces the camera, 90: the vehicle's own left side, 180: its back, "
        "270: its right side",
    )
    yaw_confidence: float = Field(ge=0, le=1, description="Length of the mean direction: 1 when all scores agree")
    region: RegionRead


def circular_mean(degrees: NDArray[np.float64], weights: NDArray[np.float64]) -> tuple[float, float]:
    """Direction in degrees [0, 360) and length [0, 1] of the weighted mean of unit vectors (Mardia & Jupp 2000)."""
    mean = np.sum(weights * np.exp(1j * np.deg2rad(degrees))) / weights.sum()
    return float(np.rad2deg(np.angle(mean)) % 360), float(min(1.0, np.abs(mean)))


class Attributes(HeadsPredictor[VehicleOptions, AttributesAnswer]):
    """A ResNet with three heads."""

    name = "attributes"
    sources = ("box", "vehicles", "photo")
    # Boxes cut off 4 % at top and bottom in the mean, and a view is told by a car's ends: of 0.05 to 0.25 this lost the
    # least against all of the photo on tight crops, and nothing on made-up wide ones.
    margin = 0.15
    heads = ("color", "type", "orientation")

    def check(self) -> None:
        super().check()
        unknown = sorted(set(self.manifest.labels["orientation"]) - set(YAW))
        if unknown:
            where = self.weights.path.with_suffix(".json")
            raise WeightsError(
                f"{where}: orientation {', '.join(unknown)} has no angle, expected some of {', '.join(YAW)}"
            )

    def describe(self) -> Specification:
        return self.specify(
            description="Colour, type and orientation of the vehicle, each with every label's score, and the direction "
            "from which it is seen as an angle. The photo's main vehicle is found first; its `box` may be given "
            "instead, or the photo read whole.",
            options=VehicleOptions,
            answer=AttributesAnswer,
            example=EXAMPLE,
        )

    def finish(self, output: Arrays, header: Header, region: Region, options: VehicleOptions) -> AttributesAnswer:
        angles = np.array([YAW[label] for label in self.manifest.labels["orientation"]], np.float64)
        yaw, confidence = circular_mean(angles, self.shares(output, "orientation"))
        return AttributesAnswer(
            color=self.scored(output, "color"),
            type=self.scored(output, "type"),
            orientation=self.scored(output, "orientation"),
            yaw_degrees=round(yaw, 1) % 360,
            yaw_confidence=round(confidence, 3),
            region=RegionRead.of(region),
        )

    def shapes(self, answer: AttributesAnswer) -> Sequence[Drawn]:
        return framed(answer.region)

    def caption(self, answer: AttributesAnswer) -> Sequence[str]:
        seen = answer.orientation.label.replace("_", " ")
        return [
            f"{answer.color.label} {answer.type.label} ({answer.color.score:.0%}, {answer.type.score:.0%})",
            f"seen from the {seen} ({answer.orientation.score:.0%})",
        ]


EXAMPLE = {
    "color": {"label": "red", "score": 0.95, "scores": {"red": 0.95, "orange": 0.05}},
    "type": {"label": "sedan", "score": 0.9, "scores": {"sedan": 0.9, "hatchback": 0.1}},
    "orientation": {"label": "front_left", "score": 0.7, "scores": {"front_left": 0.7, "front": 0.2, "left": 0.1}},
    "yaw_degrees": 40.8,
    "yaw_confidence": 0.91,
    "region": {**EXAMPLE_REGION, "source": "vehicle", "score": 0.87},
}
