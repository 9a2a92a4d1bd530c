"""Figures of merit, by well-kept libraries where there is one."""

import contextlib
import io
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from faster_coco_eval import COCO, COCOeval_faster
from numpy.typing import NDArray
from sklearn.metrics import confusion_matrix, precision_recall_fscore_support

from models.boxes import overlaps
from training.data.annotated import Annotated

SIZES = ("small", "medium", "large")
"""COCO's: up to 32 x 32 pixels of the photo, up to 96 x 96, and above."""


def confusion(truth: NDArray[np.int64], given: NDArray[np.int64], classes: int) -> NDArray[np.int64]:
    """How many photos of each class (row) were given each class (column)."""
    matrix: NDArray[np.int64] = confusion_matrix(truth, given, labels=np.arange(classes)).astype(np.int64)
    return matrix


def per_class(
    truth: NDArray[np.int64], given: NDArray[np.int64], labels: Sequence[str]
) -> list[dict[str, str | int | float]]:
    """Precision, recall, F1 and the number of photos (`support`) of each label; what is 0/0 is 0."""
    found = precision_recall_fscore_support(truth, given, labels=np.arange(len(labels)), zero_division=0)
    return [
        {"label": label, "precision": float(p), "recall": float(r), "f1": float(f), "support": int(n)}
        for label, p, r, f, n in zip(labels, *found, strict=True)
    ]


def macro_f1(classes: Sequence[dict[str, Any]]) -> float:
    """The mean F1 of the classes of which there is a photo; 0 where there is none."""
    known = [float(one["f1"]) for one in classes if one["support"]]
    return sum(known) / len(known) if known else 0.0


def grade_error(truth: NDArray[np.int64], given: NDArray[np.int64]) -> float:
    """By how many grades an answer is off, in the mean: the mean absolute error of ordered labels."""
    return float(np.abs(given - truth).mean())


def most_confused(matrix: NDArray[np.int64], labels: Sequence[str], count: int = 20) -> list[dict[str, Any]]:
    """The pairs mixed up most often: true label, given label, photos, and their share of the true label's photos."""
    pairs = [(int(n), t, g) for (t, g), n in np.ndenumerate(matrix) if n and t != g]
    pairs.sort(key=lambda pair: (-pair[0], -pair[0] / matrix[pair[1]].sum(), pair[1:]))
    return [
        {"true": labels[t], "given": labels[g], "photos": n, "share": n / int(matrix[t].sum())}
        for n, t, g in pairs[:count]
    ]


def reliability(confidence: NDArray[np.float64], right: NDArray[np.bool_], bins: int = 15) -> list[dict[str, float]]:
    """The bins of equal width that are not empty: how many photos, their mean confidence, and how many were right."""
    place = np.minimum((confidence * bins).astype(int), bins - 1)
    return [
        {
            "photos": int((place == b).sum()),
            "confidence": float(confidence[place == b].mean()),
            "accuracy": float(right[place == b].mean()),
        }
        for b in range(bins)
        if (place == b).any()
    ]


def expected_calibration_error(confidence: NDArray[np.float64], right: NDArray[np.bool_], bins: int = 15) -> float:
    """ECE (Guo et al. 2017, arXiv:1706.04599): mean gap between confidence and accuracy over equal-width bins."""
    found = reliability(confidence, right, bins)
    return float(sum(abs(b["confidence"] - b["accuracy"]) * b["photos"] for b in found) / len(confidence))


def angular_error(found: NDArray[np.float64], true: NDArray[np.float64]) -> NDArray[np.float64]:
    """The smaller angle between directions, in degrees [0, 180]; both go round at 360."""
    error: NDArray[np.float64] = np.abs((found - true + 180) % 360 - 180)
    return error


@dataclass(frozen=True, slots=True)
class Matched:
    """One class's detections, best first. `met` is the number of the object (photo id, place among the photo's
    instances) that each meets, None where it meets none; `objects` are all there are."""

    results: list[dict[str, Any]]
    scores: NDArray[np.float64]
    met: list[tuple[int, int] | None]
    objects: list[tuple[int, int]]

    @property
    def hits(self) -> NDArray[np.bool_]:
        return np.array([one is not None for one in self.met], bool)

    def at(self, threshold: float) -> dict[str, float]:
        """Precision, recall and F1 of the detections that reach `threshold`; what is 0/0 is 0."""
        shown = int((self.scores >= threshold).sum())
        found = int(self.hits[:shown].sum())
        return {
            "precision": found / shown if shown else 0.0,
            "recall": found / len(self.objects) if self.objects else 0.0,
            "f1": 2 * found / (shown + len(self.objects)) if found else 0.0,
        }

    def curve(self) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Recall and precision after each detection, best first."""
        found = np.cumsum(self.hits)
        return found / max(1, len(self.objects)), found / np.arange(1, len(found) + 1)

    def missed(self, threshold: float) -> list[tuple[int, int]]:
        """The objects that no detection at or above `threshold` meets."""
        shown = {one for one, score in zip(self.met, self.scores, strict=True) if score >= threshold}
        return [one for one in self.objects if one not in shown]


def matched(photos: Sequence[Annotated], results: list[dict[str, Any]], label: int, overlap: float = 0.5) -> Matched:
    """The detections of a class against its objects: best first, each takes the yet unmet object it overlaps most, by
    boxes and from an IoU of `overlap` on."""
    numbers = {p.id: [n for n, i in enumerate(p.instances) if i.label == label and not i.crowd] for p in photos}
    boxes = {p.id: np.array([p.instances[n].box() for n in numbers[p.id]], np.float64).reshape(-1, 4) for p in photos}
    free = {photo: np.ones(len(found), bool) for photo, found in boxes.items()}
    chosen = sorted((r for r in results if r["category_id"] == label), key=lambda r: -r["score"])
    met: list[tuple[int, int] | None] = []
    for result in chosen:
        photo = result["image_id"]
        shared = overlaps(corners(result["bbox"]), boxes[photo]) * free[photo]
        best = int(shared.argmax()) if len(shared) else -1
        if best >= 0 and shared[best] >= overlap:
            free[photo][best] = False
            met.append((photo, numbers[photo][best]))
        else:
            met.append(None)
    objects = [(photo, n) for photo, found in numbers.items() for n in found]
    return Matched(chosen, np.array([r["score"] for r in chosen], np.float64), met, objects)


def corners(box: Sequence[float]) -> NDArray[np.float64]:
    """COCO's x, y, width, height as x1, y1, x2, y2."""
    x, y, width, height = box
    return np.array([x, y, x + width, y + height], np.float64)


def sides_mixed_up(
    photos: Sequence[Annotated], results: Sequence[dict[str, Any]], mirror: Sequence[int], overlap: float = 0.5
) -> float:
    """Of the detections that lie on an object of their label, or of its mirror image, the share of the latter: left
    called right. `mirror`: for each label that of its mirror image; labels that are their own do not count. Each is
    compared with the object that its box overlaps most, from an IoU of `overlap` on."""
    known = {photo.id: [one for one in photo.instances if not one.crowd] for photo in photos}
    right = wrong = 0
    for result in results:
        label, there = result["category_id"], known[result["image_id"]]
        those = [one for one in there if one.label in (label, mirror[label])]
        if mirror[label] == label or not those:
            continue
        shared = overlaps(corners(result["bbox"]), np.array([one.box() for one in those], np.float64))
        if shared.max() >= overlap:
            is_right = those[int(shared.argmax())].label == label
            right, wrong = right + is_right, wrong + (not is_right)
    return wrong / max(1, right + wrong)


def average_precision(
    photos: Sequence[Annotated], results: list[dict[str, Any]], labels: Sequence[str], kind: str
) -> dict[str, float]:
    """COCO's AP, AP50 and AP75, and AP50 per label. `kind` is `bbox` or `segm`; category ids are label numbers."""
    found = average_precisions(photos, results, labels, kind)
    figures = {name: found[name] for name in ("ap", "ap50", "ap75")}
    return figures | {f"ap50_{one['label']}": one["ap50"] for one in found["classes"]}


def average_precisions(
    photos: Sequence[Annotated], results: list[dict[str, Any]], labels: Sequence[str], kind: str
) -> dict[str, Any]:
    """COCO's AP, AP50 and AP75, over all, per label (`classes`) and per size of object (`sizes`, AP alone). What there
    is no object of is 0, for a size None."""
    precision = _precision(photos, results, labels, kind)
    every = precision[..., 0]
    return {
        "ap": _mean(every),
        "ap50": _mean(every[0]),
        "ap75": _mean(every[5]),
        "sizes": {
            name: _mean(precision[..., n]) if np.isfinite(precision[..., n]).any() else None
            for n, name in enumerate(SIZES, start=1)
        },
        "classes": [
            {
                "label": label,
                "ap": _mean(every[:, :, n]),
                "ap50": _mean(every[0, :, n]),
                "ap75": _mean(every[5, :, n]),
            }
            for n, label in enumerate(labels)
        ],
    }


def _mean(precision: NDArray[np.float64]) -> float:
    return float(np.nanmean(precision)) if np.isfinite(precision).any() else 0.0


def _precision(
    photos: Sequence[Annotated], results: list[dict[str, Any]], labels: Sequence[str], kind: str
) -> NDArray[np.float64]:
    """Precision by IoU threshold (0.5 to 0.95), recall step, label and size (all, small, medium, large); NaN where
    there is no object."""
    annotations = _annotations(photos)
    truth = COCO()
    truth.dataset = {
        "info": {},
        "images": [{"id": p.id, "file_name": p.file, "width": p.width, "height": p.height} for p in photos],
        "categories": [{"id": n, "name": name} for n, name in enumerate(labels)],
        "annotations": annotations,
    }
    with contextlib.redirect_stdout(io.StringIO()):
        truth.createIndex()
        if not results:
            return _nothing_found(annotations, len(labels))
        # The library writes into the results that it is given.
        run = COCOeval_faster(truth, truth.loadRes([dict(one) for one in results]), kind)
        run.run()
    # The last axis is how many detections a photo may have: 1, 10 or 100.
    precision = np.asarray(run.eval["precision"], np.float64)[..., -1]
    return np.where(precision < 0, np.nan, precision)


def _nothing_found(annotations: list[dict[str, Any]], labels: int) -> NDArray[np.float64]:
    precision = np.full((10, 1, labels, 4), np.nan)
    for one in annotations:
        size = 1 + int(np.searchsorted([32**2, 96**2], one["area"]))
        precision[:, :, one["category_id"], [0, size]] = 0
    return precision


def _annotations(photos: Sequence[Annotated]) -> list[dict[str, Any]]:
    found = []
    for photo in photos:
        for instance in photo.instances:
            x1, y1, x2, y2 = instance.box()
            rings = [ring.ravel().tolist() for ring in instance.rings]
            area = sum(abs(_shoelace(ring)) for ring in instance.rings)
            found.append(
                {
                    "id": len(found) + 1,
                    "image_id": photo.id,
                    "category_id": instance.label,
                    "bbox": [x1, y1, x2 - x1, y2 - y1],
                    "area": area,
                    "iscrowd": int(instance.crowd),
                    "segmentation": rings,
                }
            )
    return found


def _shoelace(ring: NDArray[np.float32]) -> float:
    x, y = ring[:, 0].astype(float), ring[:, 1].astype(float)
    return float(np.dot(x, np.roll(y, 1)) - np.dot(y, np.roll(x, 1))) / 2
