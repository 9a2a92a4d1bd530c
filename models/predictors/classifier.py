"""The kind `classifier`: one label of many for a region of the photo, over the labels of any manifest."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, Field

from models.answers import RegionRead, softmax
from models.drawing import Drawn
from models.photo import Header, Region
from models.predictor import A, Arrays, O, RegionOptions, Specification
from models.predictors.weighted import WeightedPredictor


class ClassifierOptions(RegionOptions):
    """How many candidates are told, and where to look."""

    top_k: int = Field(default=5, ge=1, le=20, description="How many candidates to tell, best first.")


class LabelScore(BaseModel):
    """One label and its calibrated probability."""

    label: str
    score: float = Field(ge=0, le=1)


class ClassifierAnswer(BaseModel):
    """The likeliest labels."""

    best: LabelScore = Field(description="The likeliest label")
    candidates: list[LabelScore] = Field(description="The `top_k` likeliest, best first")
    region: RegionRead


class ClassifierPredictor(WeightedPredictor[O, A]):
    """What predictors of one label share: calibrated probabilities, and a caption in the picture."""

    kind = "classifier"
    sources: tuple[str, ...] = ("box", "photo")
    batch_sizes: tuple[int, ...] = (1, 2, 4, 8)
    cpu_batch = 2

    def shares(self, output: Arrays) -> NDArray[np.float64]:
        """Probability of each label of the manifest, in its order."""
        return softmax(output["label"], self.manifest.temperature.get("label", 1.0))


def framed(region: RegionRead) -> Sequence[Drawn]:
    """A white frame around the region that was read, where that is not all of the photo."""
    corners = region.corners()
    return [Drawn("", box=corners, color=(255, 255, 255))] if corners else []


class Classifier(ClassifierPredictor[ClassifierOptions, ClassifierAnswer]):
    """Weights of one's own of the kind `classifier`, served under their manifest's name."""

    def describe(self) -> Specification:
        labels = self.manifest.labels["label"]
        return self.specify(
            description=f"The likeliest of {len(labels)} labels, and further candidates. In a photo with much around "
            "what is asked about, give its `box`.",
            options=ClassifierOptions,
            answer=ClassifierAnswer,
            example=_example(labels),
        )

    def finish(self, output: Arrays, header: Header, region: Region, options: ClassifierOptions) -> ClassifierAnswer:
        labels, shares = self.manifest.labels["label"], self.shares(output)
        order = np.argsort(-shares, kind="stable")[: options.top_k]
        candidates = [LabelScore(label=labels[i], score=round(float(shares[i]), 4)) for i in order]
        return ClassifierAnswer(best=candidates[0], candidates=candidates, region=RegionRead.of(region))

    def shapes(self, answer: ClassifierAnswer) -> Sequence[Drawn]:
        return framed(answer.region)

    def caption(self, answer: ClassifierAnswer) -> Sequence[str]:
        return [f"{one.label} ({one.score:.0%})" for one in answer.candidates[:3]]


EXAMPLE_REGION = {
    "x1": 120.0,
    "y1": 700.0,
    "x2": 2900.0,
    "y2": 2600.0,
    "source": "box",
    "score": None,
    "fallback": False,
}


def _example(labels: Sequence[str]) -> dict[str, Any]:
    best = {"label": labels[0], "score": 0.71}
    return {"best": best, "candidates": [best], "region": EXAMPLE_REGION}
