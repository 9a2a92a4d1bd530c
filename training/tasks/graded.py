"""One grade for a part of a photo: a classifier of regions, which is also told what is known of each."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from models.networks import build
from models.networks.classifier import Classifier
from models.photo import Header, Photo, Region, clip_box
from models.predictors.damage_severity import known, surroundings
from training import augment, devices
from training.loop import Batch
from training.recipe import Recipe
from training.tasks.classifier import ClassifierTask

OFF = 0.1
"""How far each edge of a region may be off in training, as a share of its side: a detector's boxes are."""

UNTOLD = 0.1
"""Share of the training regions whose kind is not told, as those of further classes have none."""


class GradedTask(ClassifierTask):
    """Recipe keys under `task` beside the classifier's: `kinds`, the categories of the file of regions
    (`data.format = "regions"`). `frozen` stages are not cached."""

    def __init__(self, recipe: Recipe, data: Path, work: Path) -> None:
        super().__init__(recipe, data, work)
        if self.cached or self.mixup:
            raise ValueError(f"recipe {recipe.name!r}: regions are neither cached nor mixed: task.cached, task.mixup")

    def _shrunk(self, state: dict[str, Tensor]) -> dict[str, Tensor]:
        """Served weights; where they were not told anything beside the image, that counts for nothing at first."""
        state = super()._shrunk(state)
        wanted = build(self.architecture, {"label": self.labels}, self.recipe.network).get_parameter(
            "network.fc.weight"
        )
        lacking = wanted.shape[1] - state["fc.weight"].shape[1]
        return {**state, "fc.weight": functional.pad(state["fc.weight"], (0, max(0, lacking)))}

    def rule(self) -> np.ndarray:
        """What the rule "the commonest grade of its class in training" says of each region of `val`."""
        kinds = [row.region.label for row in self.train_rows if row.region]
        counts = Counter(zip(kinds, self.train_labels.tolist(), strict=True))
        said = {kind: max(range(len(self.labels)), key=lambda label: counts[kind, label]) for kind in set(kinds)}
        return np.array([said[row.region.label] for row in self.val_rows if row.region])

    def part(self, split: str, row: int, side: int, rng: np.random.Generator | None) -> tuple[np.ndarray, np.ndarray]:
        """A region with its surroundings at the network's size, and what is known of it, as the service prepares both;
        varied where `rng` is given."""
        photo, region = self._open(split, row)
        if rng is None:
            return photo.resized(surroundings(region, photo.header), side, side), known(region, photo.header)
        region = shifted(region, photo.header, rng)
        cut, numbers = crop(photo, surroundings(region, photo.header)), known(region, photo.header)
        if rng.random() < UNTOLD:
            numbers = known(replace(region, label=None), photo.header)
        return augment.vary(cut, side, self.strength, rng)[0], numbers

    def _open(self, split: str, row: int) -> tuple[Photo, Region]:
        one = (self.train_rows if split == "train" else self.val_rows)[row]
        pixels = self.archives[split].photo(one.file)
        assert one.region is not None
        return Photo(Header(pixels.shape[1], pixels.shape[0], ""), pixels), one.region

    def shown(self, row: int) -> np.ndarray:
        photo, region = self._open("val", row)
        return crop(photo, surroundings(region, photo.header))

    def sample(self, index: int, side: int, rng: np.random.Generator) -> Any:
        return self.part("train", index, side, rng), self.train_rows[index].label

    def collate(self, samples: Sequence[Any]) -> Batch:
        (images, numbers), labels = zip(*(part for part, _ in samples), strict=True), [label for _, label in samples]
        return {
            "input": torch.from_numpy(np.stack(images)),
            "known": torch.from_numpy(np.stack(numbers)),
            "label": torch.tensor(labels),
        }

    def losses(self, network: torch.nn.Module, batch: Batch) -> dict[str, Tensor]:
        return {"label": self._loss(network(batch["input"], batch["known"])["label"], batch["label"])}

    @torch.inference_mode()
    def figures(self, network: torch.nn.Module) -> dict[str, float]:
        assert isinstance(network, Classifier)
        network.eval()
        right = 0
        for start in range(0, len(self.val_rows), 32):
            rows = range(start, min(start + 32, len(self.val_rows)))
            batch = self.collate([(self.part("val", n, self.recipe.side(1.0), None), 0) for n in rows])
            batch = devices.moved(batch, devices.of(network))
            found = network(batch["input"], batch["known"])["label"].argmax(1).cpu()
            right += int((found == torch.tensor([self.val_rows[n].label for n in rows])).sum())
        return {"top1": right / len(self.val_rows)}


def shifted(region: Region, header: Header, rng: np.random.Generator) -> Region:
    """The region as a detector might have drawn it."""
    across, down = region.x2 - region.x1, region.y2 - region.y1
    off = rng.uniform(-OFF, OFF, 4) * (across, down, across, down)
    cut = clip_box(region.x1 + off[0], region.y1 + off[1], region.x2 + off[2], region.y2 + off[3], header) or region
    return replace(cut, source=region.source, label=region.label)


def crop(photo: Photo, region: Region) -> np.ndarray:
    """The region's pixels, at least one."""
    x1, y1 = int(region.x1), int(region.y1)
    return np.ascontiguousarray(photo.pixels[y1 : max(y1 + 1, round(region.y2)), x1 : max(x1 + 1, round(region.x2))])
