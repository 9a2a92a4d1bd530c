"""What predictors with a manifest share: one image scaled to the network's size, a backend that runs it."""

from pathlib import Path
from typing import TypeVar

from pydantic import BaseModel

from models.backends import create
from models.manifest import Weights, find
from models.photo import Photo, Region
from models.predictor import Arrays, Card, Options, Predictor, Specification, Tensor

O = TypeVar("O", bound=Options)
A = TypeVar("A", bound=BaseModel)


class WeightedPredictor(Predictor[O, A]):
    """A predictor whose labels, sizes and thresholds stand in a manifest."""

    def __init__(self, weights_dir: Path | None = None) -> None:
        """Raises `WeightsError` where the weights are missing or broken."""
        self.weights: Weights = find(self.name, weights_dir)
        self.manifest = self.weights.manifest
        self.backend = create("torch")
        self.card: Card = self.manifest.card(self.backend.name, "cpu")
        size = self.manifest.input
        inputs = {"image": Tensor((size.height, size.width, 3))}
        self.specification = self.describe(inputs, (size.width, size.height))

    name: str

    def describe(self, inputs: dict[str, Tensor], reads: tuple[int, int]) -> Specification:
        """The specification for the manifest's input size."""
        raise NotImplementedError

    def load(self, device: str) -> None:
        self.backend.load(self.weights, device)
        self.card = self.manifest.card(self.backend.name, device)

    def prepare(self, photo: Photo, region: Region, options: O) -> Arrays:
        size = self.manifest.input
        return {"image": photo.resized(region, size.width, size.height)}

    def run(self, batch: Arrays) -> Arrays:
        return self.backend.run(batch)
