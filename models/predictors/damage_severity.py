"""`damage_severity`: how bad one damage is, from its surroundings, its class and its size; completes `damage`."""

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from models.manifest import WeightsError
from models.photo import Header, Photo, Region, around
from models.predictor import Arrays, Options, Specification, Tensor
from models.predictors.classifier import ClassifierPredictor, LabelScore

SURROUNDINGS = 0.5
"""What is read around a damage, on each side, as a share of that side."""

KINDS = {"dent": 0, "scratch": 1, "broken": 2, "crack": 2, "glass_shatter": 2, "lamp_broken": 2}
"""The classes that the graded photos tell apart, and those of damage that are of that kind; any other is of none."""

KNOWN = 6
"""Numbers that go beside the image: one of three kinds, and the logarithms of three sizes."""

SMALLEST = 1e-4
"""Share of the photo under which a size is not told apart."""

COARSE = 12
"""Pixels a side of a damage that are enough: half of those it was trained on had no more than 15. Asking for more would
decode a phone's photo at full size for every little scratch."""


def surroundings(region: Region, header: Header) -> Region:
    """The part of the photo that is read for a damage."""
    return around(region, SURROUNDINGS, header) or region


def known(region: Region, header: Header) -> NDArray[np.float32]:
    """What is told of a damage beside its image, (6,) float32: its kind, one of three or none, and the logarithms of
    its width, height and area as shares of the photo's."""
    numbers = np.zeros(KNOWN, np.float32)
    if region.label in KINDS:
        numbers[KINDS[region.label]] = 1
    across, down = (region.x2 - region.x1) / header.width, (region.y2 - region.y1) / header.height
    numbers[3:] = np.log(np.array([across, down, across * down]) + SMALLEST)
    return numbers


class DamageSeverity(ClassifierPredictor[Options, LabelScore]):
    """A ResNet over grades, the mildest first, asked about each damage that `damage` found."""

    name = "damage_severity"
    sources = ("damage",)
    batch_sizes = (1, 2, 4, 8, 16)
    cpu_batch = 8

    def check(self) -> None:
        super().check()
        beside = self.manifest.network.get("beside")
        if beside != KNOWN:
            where = self.weights.path.with_suffix(".json")
            raise WeightsError(f"{where}: network: beside is {beside!r}, {self.name} expects {KNOWN}")

    def describe(self) -> Specification:
        plain = self.specify(
            description="The grade of a damage, told with it in the answer of `damage`: "
            f"{', '.join(self.manifest.labels['label'])}.",
            options=Options,
            answer=LabelScore,
            example={"label": "moderate", "score": 0.81},
        )
        inputs = {**plain.inputs, "known": Tensor((KNOWN,), "float32")}
        return replace(plain, inputs=inputs, reads=(COARSE, COARSE), drawable=False)

    def prepare(self, photo: Photo, region: Region, options: Options) -> Arrays:
        image = super().prepare(photo, surroundings(region, photo.header), options)
        return {**image, "known": known(region, photo.header)}

    def finish(self, output: Arrays, header: Header, region: Region, options: Options) -> LabelScore:
        shares = self.shares(output)
        best = int(shares.argmax())
        return LabelScore(label=self.manifest.labels["label"][best], score=round(float(shares[best]), 4))
