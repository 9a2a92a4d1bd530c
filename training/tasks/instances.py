"""Instances with boxes and masks: any set of outlines, and photos on which nothing is to be found."""

import functools
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image
from torch import Tensor, nn

from models.networks import build
from models.networks.detector import Detector
from models.photo import Header, Photo, whole
from training import augment, devices, growth, starts
from training.augment import mirrored_labels
from training.closeups import LEAST
from training.data import formats
from training.data.annotated import Annotated, Instance
from training.data.archive import Archive
from training.frames import bare_frame, close_frame, frame
from training.loop import Batch, Task
from training.losses import LabelledRoIHeads
from training.metrics import average_precision
from training.rasters import rasterise
from training.recipe import Recipe


def repeats(photos: Sequence[Annotated], threshold: float) -> np.ndarray:
    """How often each photo is to be drawn, relative to one of common labels only: sqrt(`threshold` / share of the
    photos that show its rarest label), at least 1. Repeat-factor sampling (Gupta et al. 2019, arXiv:1908.03195)."""
    shown = [{one.label for one in photo.instances} for photo in photos]
    count = Counter(label for labels in shown for label in labels)
    factor = {label: max(1.0, (threshold * len(photos) / number) ** 0.5) for label, number in count.items()}
    return np.array([max((factor[label] for label in labels), default=1.0) for labels in shown])


def spread(weights: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """As many indices as there are weights, shuffled, each as often as its share says, rounded up or down at random."""
    among = rng.permutation(len(weights))
    edges = np.cumsum(weights[among]) / weights.sum() * len(weights)
    marks = np.arange(len(weights)) + rng.random()
    return rng.permutation(among[np.searchsorted(edges, np.minimum(marks, edges[-1]))])


class InstancesTask(Task):
    """Recipe keys under `task`: `labels`, `rename` (names in the files to labels), `zoom` (largest share cut from a
    side), `negatives` (photos without any instance that an epoch adds, from the archive `data.negatives`; false
    alarms are counted on `data.quiet`), `bare` (share of the photos of which a part without any instance is shown,
    where there is one), `close` (share of the photos that are shown as a close-up around a point of an instance),
    `mirror` (pairs of labels that swap when a photo is mirrored), `rare` (labels on a smaller share of the photos
    than this are shown more often; 0: as they come), `frozen` (layers of the trunk left as they are), `focal`
    (gamma of the focal loss for labels; 0: cross-entropy), `silent` (further labels that are learnt but never told,
    so that what has one of them is not called by another; outlined on the photos of `data.silent_labels` alone),
    `grow_from` (the start's architecture, where it is shallower), `every` (take every n-th photo, for a trial),
    `view` (weights with an orientation that settles sides, measured beside). `data.placed` are photos with damages
    whose part of the car is known, to measure parts by."""

    def __init__(self, recipe: Recipe, data: Path, work: Path) -> None:
        self.recipe, self.data = recipe, data
        self.labels: list[str] = list(recipe.task["labels"])
        self.silent: list[str] = list(recipe.task.get("silent", []))
        found = formats.instances(recipe, data)
        self.photos = {split: photos for split, (photos, _) in found.items()}
        self.archives = {split: archive for split, (_, archive) in found.items()}
        self.zoom = float(recipe.task.get("zoom", 0.3))
        self.bare, self.rare = float(recipe.task.get("bare", 0)), float(recipe.task.get("rare", 0))
        self.close = float(recipe.task.get("close", 0))
        self.mirror = mirrored_labels(self.labels + self.silent, recipe.task.get("mirror", {}))
        self.negatives = Archive(data / recipe.data["negatives"]) if "negatives" in recipe.data else None
        self.quiet = Archive(data / recipe.data["quiet"]) if "quiet" in recipe.data else None
        self.empty = self.negatives.names() if self.negatives else []
        self.view = str(recipe.task.get("view", ""))
        self.placed = data / recipe.data["placed"] if "placed" in recipe.data else None
        every = int(recipe.task.get("every", 1))
        self.photos["train"] = self.photos["train"][::every]

    def network(self) -> nn.Module:
        network = build(self.recipe.architecture, {"label": self.labels + self.silent}, self.recipe.network)
        assert isinstance(network, Detector)
        if not starts.go_on(network.network, self.recipe.start, functools.partial(self._others, network.network)):
            self._start(network.network.backbone.body)
        for name, child in network.network.backbone.body.named_children():
            if name in self.recipe.task.get("frozen", []):
                child.requires_grad_(False)
        gamma = float(self.recipe.task.get("focal", 0))
        if gamma or self.silent:
            network.network.roi_heads = LabelledRoIHeads.taking_over(network.network.roi_heads, gamma, len(self.silent))
        return network

    def _others(self, network: nn.Module, state: dict[str, Tensor]) -> dict[str, Tensor]:
        """Served weights; what they have for each of other labels stays as it is in `network`, which is random. With
        silent labels after the same ones, what they have for each is taken over and only the rest stays."""
        own, same = network.state_dict(), len(starts.labels(self.recipe.start)) == len(self.labels)
        changed = {k: own[k].clone() for k, value in state.items() if k in own and own[k].shape != value.shape}
        if same:
            for name, value in changed.items():
                value[: len(state[name])] = state[name]
        return {**state, **changed}

    def _start(self, body: nn.Module) -> None:
        """Pretrained weights into the trunk, `none` for a trunk that starts from nothing; the rest stays random."""
        if self.recipe.start == "none":
            return
        state = {k.removeprefix("features."): v for k, v in starts.read(self.data / self.recipe.start).items()}
        if "grow_from" in self.recipe.task:
            trunk = self.recipe.architecture.partition("_rcnn_")[2].removesuffix("_fpn")
            state = growth.grow(state, self.recipe.task["grow_from"], trunk)
        # What a deformable convolution adds to a common one starts at nothing, which it already is.
        wanted = {name: value for name, value in body.state_dict().items() if ".field." not in name}
        missing = [name for name in wanted if name not in state]
        if missing:
            raise ValueError(
                f"{self.recipe.start} does not fit {self.recipe.architecture}: {', '.join(missing[:5])} missing"
            )
        body.load_state_dict({name: state[name] for name in wanted}, strict=False)

    def groups(self, network: nn.Module) -> list[dict[str, Any]]:
        named = [(name, p) for name, p in network.named_parameters() if p.requires_grad]
        trunk = [p for name, p in named if ".backbone.body." in name]
        rest = [p for name, p in named if ".backbone.body." not in name]
        return [{"params": rest, "scale": 1.0}, {"params": trunk, "scale": self.recipe.trunk_rate}]

    def order(self, epoch: int) -> np.ndarray:
        """Every photo once, or by how rare its labels are, and `negatives` of the empty ones, whose numbers follow."""
        rng = np.random.default_rng((self.recipe.seed, epoch))
        known = len(self.photos["train"])
        empty = (
            rng.choice(len(self.empty), min(len(self.empty), int(self.recipe.task.get("negatives", 0))), replace=False)
            + known
        )
        photos = spread(self.repeats, rng) if self.rare else np.arange(known)
        return rng.permutation(np.concatenate([photos, empty]).astype(np.int64))

    @functools.cached_property
    def repeats(self) -> np.ndarray:
        """How often each photo is shown, relative to the others."""
        return repeats(self.photos["train"], self.rare)

    def _read(self, index: int) -> tuple[np.ndarray, list[Instance], bool]:
        """The photo, its instances, and whether those of silent labels are not among them."""
        rows = self.photos["train"]
        if index < len(rows):
            return self.archives["train"].photo(rows[index].file), rows[index].instances, rows[index].partial
        assert self.negatives is not None
        return self.negatives.photo(self.empty[index - len(rows)]), [], True

    def sample(self, index: int, side: int, rng: np.random.Generator) -> Any:
        """A random frame of the photo, maybe mirrored, the instances of which enough (`LEAST`) is left, and whether
        those of silent labels are missing."""
        pixels, instances, partial = self._read(index)
        height, width = pixels.shape[:2]
        part = None
        if self.bare and instances and rng.random() < self.bare:
            part = bare_frame((width, height), np.array([one.box() for one in instances]), rng)
        elif self.close and instances and rng.random() < self.close:
            x1, y1, x2, y2 = instances[rng.integers(len(instances))].box()
            part = close_frame((width, height), (rng.uniform(x1, x2), rng.uniform(y1, y2)), rng)
        x1, y1, x2, y2 = part or frame((width, height), 1 - self.zoom, rng)
        image = Image.fromarray(pixels).resize((side, side), Image.Resampling.BILINEAR, box=(x1, y1, x2, y2))
        image = augment.light(image, 0.2, rng)
        mirrored = rng.random() < 0.5
        if mirrored:
            image = image.transpose(Image.Transpose.FLIP_LEFT_RIGHT)
        kept, scale = [], np.array([side / (x2 - x1), side / (y2 - y1)])
        for instance in (one for one in instances if not one.crowd):
            rings = [(ring - (x1, y1)) * scale for ring in instance.rings]
            if mirrored:
                rings = [np.stack([side - ring[:, 0], ring[:, 1]], axis=1) for ring in rings]
            full = Instance(instance.label, rings).box()
            box = np.clip(full, 0, side)
            left = (box[2] - box[0]) * (box[3] - box[1])
            if (
                box[2] - box[0] >= 3
                and box[3] - box[1] >= 3
                and left >= LEAST * (full[2] - full[0]) * (full[3] - full[1])
            ):
                label = self.mirror[instance.label] if mirrored else instance.label
                kept.append((box, label + 1, rasterise(rings, side, side)))
        return np.asarray(image), kept, partial

    def collate(self, samples: Sequence[Any]) -> Batch:
        targets = []
        for pixels, kept, partial in samples:
            side = pixels.shape[0]
            targets.append(
                {
                    "boxes": torch.tensor(np.array([box for box, _, _ in kept]), dtype=torch.float32).reshape(-1, 4),
                    "labels": torch.tensor([label for _, label, _ in kept], dtype=torch.int64),
                    "masks": torch.from_numpy(
                        np.array([mask for _, _, mask in kept], np.uint8).reshape(-1, side, side)
                    ),
                    "partial": torch.tensor(partial),
                }
            )
        return {"image": torch.from_numpy(np.stack([pixels for pixels, *_ in samples])), "targets": targets}

    def losses(self, network: nn.Module, batch: Batch) -> dict[str, Tensor]:
        assert isinstance(network, Detector)
        return network.losses(batch["image"], batch["targets"])

    @torch.inference_mode()
    def found(
        self, network: nn.Module, photos: Sequence[Annotated], archive: Archive, batch: int = 8
    ) -> list[dict[str, Any]]:
        """COCO results, boxes only, in the photos' own pixels."""
        network.eval()
        device = devices.of(network)
        side, results = self.recipe.side(1.0), []
        for start in range(0, len(photos), batch):
            chosen = photos[start : start + batch]
            pixels = [archive.photo(photo.file) for photo in chosen]
            fitted = [
                Photo(h, p).resized(whole(h), side, side) for p in pixels for h in [Header(p.shape[1], p.shape[0], "")]
            ]
            images = torch.from_numpy(np.stack(fitted)).to(device)
            output = {name: value.cpu().numpy() for name, value in network(images).items()}
            for n, photo in enumerate(chosen):
                scale = np.array([photo.width, photo.height] * 2) / side
                for box, score, label in zip(
                    output["boxes"][n] * scale, output["scores"][n], output["labels"][n], strict=True
                ):
                    if score > 0 and label < len(self.labels):
                        x1, y1, x2, y2 = (float(v) for v in box)
                        results.append(
                            {
                                "image_id": photo.id,
                                "category_id": int(label),
                                "bbox": [x1, y1, x2 - x1, y2 - y1],
                                "score": float(score),
                            }
                        )
        return results

    def figures(self, network: nn.Module) -> dict[str, float]:
        results = self.found(network, self.photos["val"], self.archives["val"])
        return average_precision(self.photos["val"], results, self.labels, "bbox")
