"""Several labels from one trunk, where each photo is labelled for one head only."""

from collections.abc import Sequence
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from models.networks import build
from models.networks.heads import MultiHead
from models.photo import Header, Photo, whole
from training import augment, devices, starts
from training.augment import mirrored_labels
from training.data import heads
from training.data.heads import MISSING, UNLABELLED, Sample
from training.loop import Batch, Task
from training.losses import binary_cross_entropy
from training.recipe import Recipe
from training.teacher import Shares, Teacher


class HeadsTask(Task):
    """Recipe keys under `task`: `heads.NAME` with `labels`, `table`, `photos` (default archive), `share` (of a batch),
    `mirror` (pairs of labels that swap when a photo is mirrored) and `balance` (draw a label as often as the root
    of its count, so that rare ones are seen); `epoch` (photos drawn in one), `backgrounds` (head on whose
    photos cut-outs are pasted), `frozen` (layers left as they are), `loss` (`cross_entropy`, or `binary`: one yes or no
    for each label), `teacher` (what the starting weights answer is learnt, too, by every head: `weight` of that loss,
    `photos`: archives nobody labelled, which have `share` of a batch)."""

    def __init__(self, recipe: Recipe, data: Path, work: Path) -> None:
        self.recipe, self.data, self.work = recipe, data, work
        self.heads: dict[str, dict[str, Any]] = recipe.task["heads"]
        self.labels: dict[str, list[str]] = {name: list(head["labels"]) for name, head in self.heads.items()}
        self.samples, self.archives = heads.read(self.heads, data)
        self.strength = augment.Strength(**recipe.task.get("augment", {}))
        self.mirror = {
            name: mirrored_labels(self.labels[name], head.get("mirror", {})) for name, head in self.heads.items()
        }
        self.loss = str(recipe.task.get("loss", "cross_entropy"))
        if self.loss not in ("cross_entropy", "binary"):
            raise ValueError(f"task.loss: {self.loss!r}, expected cross_entropy or binary")
        self.teacher: dict[str, Any] = recipe.task.get("teacher", {})
        if self.teacher and not recipe.start.startswith(starts.SHIPPED):
            raise ValueError(f"task.teacher: answers by the starting weights, so start must be {starts.SHIPPED}NAME")
        found, self.archives = heads.unlabelled(self.teacher.get("photos", []), data, self.archives)
        self.samples["train"] += found

    def network(self) -> nn.Module:
        network = build(self.recipe.architecture, self.labels, self.recipe.network)
        assert isinstance(network, MultiHead)
        if not starts.go_on(network.network, self.recipe.start):
            self._start(network.network.trunk)
        for stage in self.recipe.task.get("frozen", []):
            getattr(network.network.trunk, stage).requires_grad_(False)
        return network

    def _start(self, trunk: nn.Module) -> None:
        """Pretrained weights into the trunk; the heads stay random."""
        state = {k: v for k, v in starts.read(self.data / self.recipe.start).items() if not k.startswith("fc.")}
        try:
            trunk.load_state_dict(state)
        except RuntimeError as error:
            why = str(error).splitlines()[-1].strip()
            raise ValueError(f"{self.recipe.start} does not fit {self.recipe.architecture}: {why}") from error

    def groups(self, network: nn.Module) -> list[dict[str, Any]]:
        named = [(name, p) for name, p in network.named_parameters() if p.requires_grad]
        heads = [p for name, p in named if ".heads." in name]
        kernels = [p for name, p in named if ".heads." not in name and p.ndim > 1]
        norms = [p for name, p in named if ".heads." not in name and p.ndim <= 1]
        scale = self.recipe.trunk_rate
        return [
            {"params": heads, "scale": 1.0},
            {"params": kernels, "scale": scale},
            {"params": norms, "scale": scale, "weight_decay": 0.0},
        ]

    def mode(self, network: nn.Module) -> None:
        network.train()
        for stage in self.recipe.task.get("frozen", []):
            getattr(network.network.trunk, stage).eval()

    def prepare(self) -> None:
        if self.teacher:
            _ = self._answers

    @cached_property
    def _teacher(self) -> Teacher:
        return Teacher(self.network(), self.labels, self.recipe.side(1.0))

    @cached_property
    def _answers(self) -> np.ndarray:
        """The teacher's logits (photos of `train`, labels of all heads)."""
        rows = self.samples["train"]

        def photo(n: int) -> np.ndarray:
            return self.pixels(rows[n], np.random.default_rng((3, n)))

        return self._teacher.answers(self.work / "teacher.f16", [f"{s.archive}/{s.file}" for s in rows], photo)

    @cached_property
    def _by_head(self) -> dict[str, np.ndarray]:
        rows = self.samples["train"]
        names = [*self.heads, UNLABELLED] if self.teacher.get("photos") else [*self.heads]
        return {name: np.array([i for i, s in enumerate(rows) if s.head == name]) for name in names}

    def _draws(self, name: str, count: int, rng: np.random.Generator) -> np.ndarray:
        """`count` samples of a head, all about equally often, or rare labels more often where `balance` asks for it."""
        rows = self._by_head[name]
        if name == UNLABELLED or not self.heads[name].get("balance"):
            return np.concatenate([rng.permutation(rows) for _ in range(count // len(rows) + 1)])[:count]
        labels = np.array([self.samples["train"][i].label for i in rows])
        weight = 1 / np.sqrt(np.bincount(labels, minlength=len(self.labels[name])))[labels]
        return rng.choice(rows, count, p=weight / weight.sum())

    def order(self, epoch: int) -> np.ndarray:
        """Each batch holds every head by its `share`; an epoch is as long as `task.epoch` says."""
        rng = np.random.default_rng((self.recipe.seed, epoch))
        batches = int(self.recipe.task["epoch"]) // self.recipe.batch
        shares = {name: head["share"] for name, head in self.heads.items()}
        if UNLABELLED in self._by_head:
            shares[UNLABELLED] = self.teacher["share"]
        counts = {name: round(share * self.recipe.batch) for name, share in shares.items()}
        if sum(counts.values()) != self.recipe.batch:
            raise ValueError(f"the heads' shares give {counts}, which is not a batch of {self.recipe.batch}")
        drawn = [self._draws(name, count * batches, rng).reshape(batches, count) for name, count in counts.items()]
        return np.concatenate(drawn, axis=1).ravel()

    def pixels(self, sample: Sample, rng: np.random.Generator) -> np.ndarray:
        """The photo; a cut-out is pasted on a stretch of some photo of the colour or type set, or on plain grey."""
        archive = self.archives[sample.archive]
        if not sample.cutout:
            return archive.photo(sample.file)
        others = self._by_head[self.recipe.task["backgrounds"]]
        behind = self.samples["train"][int(rng.choice(others))]
        if rng.random() < 0.1:
            background = np.full((64, 64, 3), rng.integers(0, 256), np.uint8)
        else:
            background = self.archives[behind.archive].photo(behind.file)
        return augment.paste(archive.cutout(sample.file), background, rng)

    def val_pixels(self, index: int) -> np.ndarray:
        """A `val` photo; what is random about a pasted cut-out is the same every time."""
        return self.pixels(self.samples["val"][index], np.random.default_rng((2, index)))

    def sample(self, index: int, side: int, rng: np.random.Generator) -> Any:
        sample = self.samples["train"][index]
        pixels, mirrored = augment.vary(self.pixels(sample, rng), side, self.strength, rng)
        label = self.mirror[sample.head][sample.label] if mirrored and sample.label != MISSING else sample.label
        return pixels, sample.head, label, self._shares(index, mirrored)

    def _shares(self, index: int, mirrored: bool) -> Shares:
        """What the teacher says of a photo, by head; nothing without one."""
        if not self.teacher:
            return {}
        shares = self._teacher.shares(self._answers[index])
        return {name: values[self.mirror[name]] for name, values in shares.items()} if mirrored else shares

    def collate(self, samples: Sequence[Any]) -> Batch:
        targets = {
            name: torch.tensor([label if head == name else MISSING for _, head, label, _ in samples])
            for name in self.heads
        }
        shares = {name: torch.from_numpy(np.stack([one[3][name] for one in samples])) for name in samples[0][3]}
        photos = torch.from_numpy(np.stack([one[0] for one in samples]))
        return {"image": photos, "targets": targets, "shares": shares}

    def losses(self, network: nn.Module, batch: Batch) -> dict[str, Tensor]:
        """One loss a head, over the photos that have its label."""
        logits, smoothing = network(batch["image"]), self.recipe.smoothing
        if self.loss == "binary":
            return {
                name: binary_cross_entropy(logits[name], target, smoothing, MISSING)
                for name, target in batch["targets"].items()
            }
        weight = float(self.teacher.get("weight", 0))
        return {
            # A part of a batch may hold no label of a head; a mean over none would be no number.
            name: functional.cross_entropy(
                logits[name], target, ignore_index=MISSING, label_smoothing=smoothing, reduction="sum"
            )
            / (target != MISSING).sum().clamp(min=1)
            for name, target in batch["targets"].items()
        } | {
            f"{name}_taught": weight * functional.cross_entropy(logits[name], shares)
            for name, shares in batch["shares"].items()
        }

    @torch.inference_mode()
    def figures(self, network: nn.Module) -> dict[str, float]:
        network.eval()
        device = devices.of(network)
        side, rows = self.recipe.side(1.0), self.samples["val"]
        right: dict[str, list[bool]] = {name: [] for name in self.heads}
        for start in range(0, len(rows), 64):
            chosen = rows[start : start + 64]
            photos = [self.val_pixels(start + n) for n in range(len(chosen))]
            fitted = [
                Photo(header, p).resized(whole(header), side, side)
                for p in photos
                for header in [Header(p.shape[1], p.shape[0], "")]
            ]
            logits = network(torch.from_numpy(np.stack(fitted)).to(device))
            for n, s in enumerate(chosen):
                right[s.head].append(int(logits[s.head][n].argmax()) == s.label)
        return {name: float(np.mean(values)) for name, values in right.items()}
