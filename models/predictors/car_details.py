"""`car_details`: make, model and year of a car."""

from collections.abc import Sequence

import numpy as np
from pydantic import BaseModel, Field

from models.answers import RegionRead
from models.drawing import Drawn
from models.manifest import LabelRow, WeightsError
from models.photo import Header, Region
from models.predictor import Arrays, Specification, VehicleOptions
from models.predictors.classifier import EXAMPLE_REGION, ClassifierPredictor, framed


class CarDetailsOptions(VehicleOptions):
    """How many candidates are told, and where to look."""

    top_k: int = Field(default=5, ge=1, le=20, description="How many candidates and makes to tell, best first.")


class Candidate(BaseModel):
    """One vehicle model and its calibrated probability; make, model and year are null where the label has none."""

    label: str
    make: str | None
    model: str | None
    year: int | None
    score: float = Field(ge=0, le=1)


class MakeScore(BaseModel):
    """One make and the sum of its models' probabilities."""

    make: str
    score: float = Field(ge=0, le=1)


class CarDetailsAnswer(BaseModel):
    """What car it is, as far as the photo tells."""

    recognised: bool = Field(
        description="The best score reaches the threshold above which at least 95 % were right on validation photos"
    )
    best: Candidate = Field(description="The likeliest model, recognised or not")
    candidates: list[Candidate] = Field(description="The `top_k` likeliest, best first")
    makes: list[MakeScore] = Field(description="The likeliest makes, over all models of each")
    region: RegionRead


class CarDetails(ClassifierPredictor[CarDetailsOptions, CarDetailsAnswer]):
    """A ResNet over the labels of the manifest."""

    name = "car_details"
    sources = ("box", "vehicles", "photo")
    # Tight crops are what it was trained on: of 0 to 0.25 this gave the most right answers on made-up wide photos.
    margin = 0.05

    def check(self) -> None:
        super().check()
        rows, labels = len(self.manifest.table), len(self.manifest.labels["label"])
        if rows not in (0, labels):
            where = self.weights.path.with_suffix(".json")
            raise WeightsError(f"{where}: table: {rows} rows, expected one for each of the {labels} labels, or none")

    def describe(self) -> Specification:
        return self.specify(
            description="The likeliest make, model and year, further candidates, and the makes summed over their "
            "models. `recognised` is false where the photo shows no car the network knows well enough. The "
            "photo's main vehicle is found first; its `box` may be given instead, or the photo read whole.",
            options=CarDetailsOptions,
            answer=CarDetailsAnswer,
            example=EXAMPLE,
        )

    def finish(self, output: Arrays, header: Header, region: Region, options: CarDetailsOptions) -> CarDetailsAnswer:
        manifest, shares = self.manifest, self.shares(output)
        rows = manifest.table or [LabelRow(label=name) for name in manifest.labels["label"]]
        order = np.argsort(-shares, kind="stable")[: options.top_k]
        candidates = [Candidate(**rows[i].model_dump(), score=round(float(shares[i]), 4)) for i in order]
        makes: dict[str, float] = {}
        for row, share in zip(rows, shares, strict=True):
            if row.make is not None:
                makes[row.make] = makes.get(row.make, 0.0) + float(share)
        ranked = sorted(makes.items(), key=lambda pair: -pair[1])[: options.top_k]
        return CarDetailsAnswer(
            recognised=bool(shares[order[0]] >= manifest.thresholds.get("recognised", 0.5)),
            best=candidates[0],
            candidates=candidates,
            makes=[MakeScore(make=make, score=round(min(1.0, share), 4)) for make, share in ranked],
            region=RegionRead.of(region),
        )

    def shapes(self, answer: CarDetailsAnswer) -> Sequence[Drawn]:
        return framed(answer.region)

    def caption(self, answer: CarDetailsAnswer) -> Sequence[str]:
        lines = [f"{candidate.label} ({candidate.score:.0%})" for candidate in answer.candidates[:3]]
        return lines if answer.recognised else ["not recognised for sure", *lines]


_BEST = {"label": "Audi TTS Coupe 2012", "make": "Audi", "model": "TTS Coupe", "year": 2012, "score": 0.71}
EXAMPLE = {
    "recognised": True,
    "best": _BEST,
    "candidates": [
        _BEST,
        {"label": "Audi R8 Coupe 2012", "make": "Audi", "model": "R8 Coupe", "year": 2012, "score": 0.12},
    ],
    "makes": [{"make": "Audi", "score": 0.9}, {"make": "BMW", "score": 0.03}],
    "region": {**EXAMPLE_REGION, "source": "vehicle", "score": 0.87},
}
