"""`parts`: which parts of a car are seen, where, and their outlines; left and right are the vehicle's own."""

import colorsys
from collections.abc import Sequence

from pydantic import BaseModel, Field, PrivateAttr

from models.drawing import Color
from models.photo import Header, Region
from models.predictor import Arrays, Specification
from models.predictors.instances import EXAMPLE_INSTANCE, Instance, InstancesOptions, InstancesPredictor

UNSURE = 0.2
"""Score from which a part may be what a damage lies on, although it is not told by itself."""


class PartsAnswer(BaseModel):
    """Every part that was seen."""

    parts: list[Instance] = Field(description="Best first; left and right are the vehicle's own")
    _unsure: list[Instance] = PrivateAttr(default_factory=list)
    _panels: list[Instance] = PrivateAttr(default_factory=list)

    @property
    def unsure(self) -> list[Instance]:
        """Parts that are not told, best first, of which a join may still learn what a place most likely is."""
        return self._unsure

    @property
    def panels(self) -> list[Instance]:
        """Panels that have no label here and are told to nobody (fenders, sills, …): what lies on one is on no part."""
        return self._panels


class Parts(InstancesPredictor[InstancesOptions, PartsAnswer]):
    """An R-CNN with masks over the labels of the manifest."""

    name = "parts"
    known = UNSURE

    def describe(self) -> Specification:
        return self.specify(
            description="Every visible part of the car with its label, score, box and mask: bumpers, doors, glass, "
            "lights, mirrors, hood, trunk, tailgate and wheels; left and right are the vehicle's own. Fenders, roof, "
            "pillars and rear side panels have no label. In `/v1/inspect` they say where each damage is.",
            options=InstancesOptions,
            answer=PartsAnswer,
            example=EXAMPLE,
        )

    def finish(self, output: Arrays, header: Header, region: Region, options: InstancesOptions) -> PartsAnswer:
        answer = PartsAnswer(parts=self.found(output, header, options, Instance))
        answer._unsure, answer._panels = self.unsure(output, header, options), self.unspoken(output, header)
        return answer

    def told(self, answer: PartsAnswer) -> Sequence[Instance]:
        return answer.parts

    def color(self, number: int) -> Color:
        return tint(number)


def twin(label: str) -> str | None:
    """The label of the same part on the other side; None for a part that has none."""
    words = label.split("_")
    other = {"left": "right", "right": "left"}
    return "_".join(other.get(word, word) for word in words) if other.keys() & set(words) else None


def tint(number: int) -> Color:
    """A pale colour for the label of that number, RGB, beside which the colours of damages stand out: eighteen hues,
    those of neighbours far apart, every second one darker."""
    red, green, blue = colorsys.hls_to_rgb(number * 7 / 18 % 1, 0.8 if number % 2 else 0.68, 0.7)
    return round(255 * red), round(255 * green), round(255 * blue)


EXAMPLE = {"parts": [{"label": "front_left_door", **EXAMPLE_INSTANCE}]}
