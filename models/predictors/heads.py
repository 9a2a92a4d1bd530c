"""The kind `heads`: several labels for one region of the photo, one of each head of any manifest."""

import re
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, create_model

from models.answers import RegionRead, Scored, softmax
from models.drawing import Drawn
from models.manifest import WeightsError
from models.photo import Header, Region
from models.predictor import A, Arrays, O, RegionOptions, Specification
from models.predictors.classifier import EXAMPLE_REGION, framed
from models.predictors.weighted import WeightedPredictor

_FIELD = re.compile(r"[a-z][a-z0-9_]*")


class HeadsPredictor(WeightedPredictor[O, A]):
    """What predictors with several heads share: the calibrated answer of each."""

    kind = "heads"
    sources: tuple[str, ...] = ("box", "photo")

    def shares(self, output: Arrays, head: str) -> NDArray[np.float64]:
        """Probability of each of the head's labels, in the manifest's order."""
        return softmax(output[head], self.manifest.temperature.get(head, 1.0))

    def scored(self, output: Arrays, head: str) -> Scored:
        """The head's answer."""
        return Scored.of(self.manifest.labels[head], self.shares(output, head))


class Heads(HeadsPredictor[RegionOptions, BaseModel]):
    """Weights of one's own of the kind `heads`, served under their manifest's name; each head is a field."""

    heads = ()  # those of the manifest, whatever they are

    def check(self) -> None:
        super().check()
        where = self.weights.path.with_suffix(".json")
        if not self.manifest.labels or not all(self.manifest.labels.values()):
            raise WeightsError(f"{where}: labels: expected one head or more, each with its labels")
        for head in self.manifest.labels:
            if not _FIELD.fullmatch(head) or head == "region" or hasattr(BaseModel, head):
                raise WeightsError(
                    f"{where}: labels: a head cannot be called {head!r}: it is a field of the answer, in lower-case "
                    "letters, digits and _, and not `region` or a word that pydantic keeps for itself"
                )

    def describe(self) -> Specification:
        heads = self.manifest.labels
        fields: dict[str, Any] = dict.fromkeys(heads, (Scored, ...))
        title = "".join(part.capitalize() for part in self.name.split("_"))
        answer = create_model(f"{title}Answer", __doc__="A label for each head.", **fields, region=(RegionRead, ...))
        return self.specify(
            description=f"{', '.join(heads)}: each with its best label and every label's score. In a photo with much "
            "around what is asked about, give its `box`.",
            options=RegionOptions,
            answer=answer,
            example=_example(heads),
        )

    def finish(self, output: Arrays, header: Header, region: Region, options: RegionOptions) -> BaseModel:
        found = {head: self.scored(output, head) for head in self.manifest.labels}
        return self.specification.answer(**found, region=RegionRead.of(region))

    def shapes(self, answer: BaseModel) -> Sequence[Drawn]:
        region = getattr(answer, "region")  # noqa: B009 - its type is made at run time
        return framed(region)

    def caption(self, answer: BaseModel) -> Sequence[str]:
        found = {head: getattr(answer, head) for head in self.manifest.labels}
        return [f"{head.replace('_', ' ')}: {one.label} ({one.score:.0%})" for head, one in found.items()]


def _example(heads: Mapping[str, Sequence[str]]) -> dict[str, Any]:
    answers = {head: {"label": names[0], "score": 0.95, "scores": {names[0]: 0.95}} for head, names in heads.items()}
    return {**answers, "region": EXAMPLE_REGION}
