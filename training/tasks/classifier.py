"""One label of many: a ResNet whose early stages may stay frozen, their activations cached."""

import hashlib
import threading
from collections.abc import Sequence
from dataclasses import asdict
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from models.networks import build
from models.networks.classifier import STAGES, Classifier
from models.photo import Header, Photo, whole
from training import augment, devices, growth, losses, starts
from training.data import formats, label_table
from training.features import FeatureCache, tell
from training.loop import Batch, Task
from training.recipe import Recipe


class ClassifierTask(Task):
    """Recipe keys under `task`: `labels` (where `data` has no `label_table`), `frozen` (stages left as they are, 0-3),
    `cached` (whether what they give is kept on disk, as it is unless told otherwise), `variants` (varied copies of each
    photo whose features are kept), `grow_from` (architecture of the starting weights, where it is shallower), `grow`
    (`start` or `end` of the run: when it becomes the recipe's; `end` unless told otherwise where three stages are
    frozen), `mixup` (alpha; 0: none), `balance` (`none`; `sampled`: every class as often as any other; `adjusted`:
    logits shifted by the classes' shares), `ordinal` (where the labels are grades, in their order: the weight of what a
    mistake costs by how many grades it is off, beside the cross-entropy; 0: they are none)."""

    def __init__(self, recipe: Recipe, data: Path, work: Path) -> None:
        self.recipe, self.data, self.work = recipe, data, work
        rows = label_table.of_recipe(recipe, data)
        self.labels = [row["label"] for row in rows]
        self.table = rows if "label_table" in recipe.data else []
        self.frozen, self.variants = int(recipe.task.get("frozen", 0)), int(recipe.task.get("variants", 1))
        self.cached = self.frozen > 0 and bool(recipe.task.get("cached", True))
        self.grow = str(recipe.task.get("grow", "end" if self.frozen >= 3 else "start"))
        if self.grow not in ("start", "end"):
            raise ValueError(f"task.grow: {self.grow!r}, expected start or end")
        found = formats.labelled(recipe, data, self.labels)
        self.train_rows, self.val_rows = found["train"][0], found["val"][0]
        self.archives = {split: archive for split, (_, archive) in found.items()}
        self._lock = threading.Lock()
        self.strength = augment.Strength(**recipe.task.get("augment", {}))
        self.ordinal = float(recipe.task.get("ordinal", 0))
        self.mixup = float(recipe.task.get("mixup", 0))
        self.balance = str(recipe.task.get("balance", "none"))
        if self.balance not in ("none", "sampled", "adjusted"):
            raise ValueError(f"task.balance: {self.balance!r}, expected none, sampled or adjusted")

    # Blocks inserted as identity cost time in every step; with `grow` at the end, what a run leaves is grown.
    @property
    def architecture(self) -> str:
        return self.grown_from if self.grow == "end" else self.recipe.architecture

    @property
    def grown_from(self) -> str:
        """The architecture of the starting weights."""
        return str(self.recipe.task.get("grow_from", self.recipe.architecture))

    def network(self) -> nn.Module:
        network = build(self.architecture, {"label": self.labels}, self.recipe.network)
        assert isinstance(network, Classifier)
        if not starts.go_on(network.network, self.recipe.start, self._shrunk):
            self._start(network.network)
        for stage in ("conv1", "bn1", *STAGES[: self.frozen]) if self.frozen else ():
            getattr(network.network, stage).requires_grad_(False)
        return network

    def _shrunk(self, state: dict[str, Tensor]) -> dict[str, Tensor]:
        """Served weights at the depth of this run."""
        return growth.undo(state, self.architecture, self.recipe.architecture)

    def _start(self, network: nn.Module) -> None:
        """Pretrained weights, grown where they are of a shallower network; the last layer starts at zero."""
        state = {k: v for k, v in starts.read(self.data / self.recipe.start).items() if not k.startswith("fc.")}
        if self.architecture != self.grown_from:
            state = growth.grow(state, self.grown_from, self.architecture)
        try:
            missing = network.load_state_dict(state, strict=False).missing_keys
        except RuntimeError as error:
            why = str(error).splitlines()[-1].strip()
            raise ValueError(f"{self.recipe.start} does not fit {self.architecture}: {why}") from error
        if set(missing) != {"fc.weight", "fc.bias"}:
            raise ValueError(f"{self.recipe.start} does not fit {self.architecture}: {', '.join(missing[:5])} missing")
        nn.init.zeros_(network.fc.weight)
        nn.init.zeros_(network.fc.bias)

    def groups(self, network: nn.Module) -> list[dict[str, Any]]:
        named = [(name, p) for name, p in network.named_parameters() if p.requires_grad]
        head = [p for name, p in named if ".fc." in name]
        kernels = [p for name, p in named if ".fc." not in name and p.ndim > 1]
        norms = [p for name, p in named if ".fc." not in name and p.ndim <= 1]
        scale = self.recipe.trunk_rate
        return [
            {"params": head, "scale": 1.0},
            {"params": kernels, "scale": scale},
            {"params": norms, "scale": scale, "weight_decay": 0.0},
        ]

    def mode(self, network: nn.Module) -> None:
        network.train()
        for stage in ("bn1", *STAGES[: self.frozen]) if self.frozen else ():
            getattr(network.network, stage).eval()

    @cached_property
    def train_labels(self) -> np.ndarray:
        """The class of each training photo."""
        return np.array([row.label for row in self.train_rows])

    def order(self, epoch: int) -> np.ndarray:
        rng, count = np.random.default_rng((self.recipe.seed, epoch)), len(self.train_rows)
        if self.balance != "sampled":
            return rng.permutation(count)
        weight = 1 / np.bincount(self.train_labels, minlength=len(self.labels))[self.train_labels]
        return rng.choice(count, count, p=weight / weight.sum())

    def pixels(self, split: str, row: int, side: int, rng: np.random.Generator | None) -> np.ndarray:
        """One photo at the network's size: as the service prepares it, or varied where `rng` is given."""
        rows = self.train_rows if split == "train" else self.val_rows
        photo = self.archives[split].photo(rows[row].file)
        if rng is not None:
            return augment.vary(photo, side, self.strength, rng)[0]
        header = Header(photo.shape[1], photo.shape[0], "")
        return Photo(header, photo).resized(whole(header), side, side)

    def shown(self, row: int) -> np.ndarray:
        """What a photo of `val` shows of what its label is of, RGB uint8 (height, width, 3)."""
        return self.archives["val"].photo(self.val_rows[row].file)

    @property
    def features(self) -> np.ndarray:
        """Frozen activations (rows, height, width, channels), computed once though several threads may ask first."""
        with self._lock:
            return self._features

    def prepare(self) -> None:
        """The features, before several processes ask for them at once."""
        if self.cached:
            _ = self.features

    @cached_property
    def _features(self) -> np.ndarray:
        """Frozen activations: val as it is, then train as it is, then `variants - 1` varied copies of train."""
        trunk = self.network().eval()
        assert isinstance(trunk, Classifier)
        side, val, train = self.recipe.side(1.0), len(self.val_rows), len(self.train_rows)

        def compute(rows: Sequence[int]) -> Tensor:
            photos = []
            for row in rows:
                variant, index = divmod(row - val, train)
                if row < val:
                    photos.append(self.pixels("val", row, side, None))
                else:
                    rng = np.random.default_rng((1, variant, index)) if variant else None
                    photos.append(self.pixels("train", index, side, rng))
            return trunk.features(torch.from_numpy(np.stack(photos)), self.frozen)

        files = "\n".join(row.file for row in (*self.val_rows, *self.train_rows))
        of = [self.recipe.start, self.architecture, self.frozen, side, self.variants, asdict(self.strength)]
        key = [*of, val, train, hashlib.sha256(files.encode()).hexdigest()]
        cache = FeatureCache(self.work / "features.f16", key)
        return cache.open(val + train * self.variants, compute, tell)

    def sample(self, index: int, side: int, rng: np.random.Generator) -> Any:
        label = self.train_rows[index].label
        if not self.cached:
            return self.pixels("train", index, side, rng), label
        row = len(self.val_rows) + index + int(rng.integers(self.variants)) * len(self.train_rows)
        return np.asarray(self.features[row]), label

    def collate(self, samples: Sequence[Any]) -> Batch:
        arrays = torch.from_numpy(np.stack([array for array, _ in samples]))
        return {"input": arrays, "label": torch.tensor([label for _, label in samples])}

    def _logits(self, network: nn.Module, arrays: Tensor) -> Tensor:
        assert isinstance(network, Classifier)
        if not self.cached:
            return network(arrays)["label"]
        return network.classify(arrays.permute(0, 3, 1, 2).float(), self.frozen)

    def losses(self, network: nn.Module, batch: Batch) -> dict[str, Tensor]:
        inputs, labels = batch["input"], batch["label"]
        if not self.mixup:
            return {"label": self._loss(self._logits(network, inputs), labels)}
        inputs, others, share = losses.mixed(inputs.float(), self.mixup)
        logits = self._logits(network, inputs)
        return {"label": share * self._loss(logits, labels) + (1 - share) * self._loss(logits, labels[others])}

    @cached_property
    def _adjustment(self) -> Tensor:
        return losses.adjustment(self.train_labels, len(self.labels))

    def _loss(self, logits: Tensor, labels: Tensor) -> Tensor:
        if self.balance == "adjusted":
            logits = logits + self._adjustment.to(logits.device)
        loss = functional.cross_entropy(logits, labels, label_smoothing=self.recipe.smoothing)
        return loss + self.ordinal * losses.squared_emd(logits, labels) if self.ordinal else loss

    @torch.inference_mode()
    def figures(self, network: nn.Module) -> dict[str, float]:
        network.eval()
        device = devices.of(network)
        right = 0
        for start in range(0, len(self.val_rows), 32):
            rows = range(start, min(start + 32, len(self.val_rows)))
            if self.cached:
                arrays = np.array(self.features[start : rows.stop])
            else:
                arrays = np.stack([self.pixels("val", row, self.recipe.side(1.0), None) for row in rows])
            found = self._logits(network, torch.from_numpy(arrays).to(device)).argmax(1).cpu()
            right += int((found == torch.tensor([self.val_rows[row].label for row in rows])).sum())
        return {"top1": right / len(self.val_rows)}
