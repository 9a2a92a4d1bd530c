"""Figures of served weights on `val`: photos go through the predictor's own prepare, run and finish."""

from collections.abc import Iterable, Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from models.answers import RleMask, softmax
from models.photo import Header, Photo, whole
from models.predictors.attributes import Attributes
from models.predictors.car_details import CarDetails
from models.predictors.damage import Damage, DamageOptions
from models.predictors.weighted import WeightedPredictor
from training.data.archive import Archive
from training.metrics import average_precision, expected_calibration_error
from training.tasks.classifier import ClassifierTask
from training.tasks.heads import HeadsTask
from training.tasks.instances import InstancesTask

Outputs = dict[str, NDArray[np.generic]]
PREDICTORS: dict[str, type[WeightedPredictor[Any, Any]]] = {
    "damage": Damage,
    "car_details": CarDetails,
    "attributes": Attributes,
}


def outputs(
    predictor: WeightedPredictor[Any, Any], photos: Iterable[NDArray[np.uint8]], batch: int = 8
) -> Iterator[tuple[Header, Outputs]]:
    """What the network says of each photo, with its header, in order."""
    options = predictor.specification.options()
    waiting: list[tuple[Header, Any]] = []

    def flush() -> Iterator[tuple[Header, Outputs]]:
        stacked = {name: np.stack([item[name] for _, item in waiting]) for name in waiting[0][1]}
        found = predictor.run(stacked)
        for n, (header, _) in enumerate(waiting):
            yield header, {name: value[n] for name, value in found.items()}
        waiting.clear()

    for pixels in photos:
        header = Header(pixels.shape[1], pixels.shape[0], "")
        waiting.append((header, predictor.prepare(Photo(header, pixels), whole(header), options)))
        if len(waiting) == batch:
            yield from flush()
    if waiting:
        yield from flush()


def classifier_logits(predictor: CarDetails, task: ClassifierTask) -> tuple[NDArray[np.generic], NDArray[np.int64]]:
    """Logits (photos, classes) and the true classes on `val`."""
    photos = (task.archives["val"].photo(row.file) for row in task.val_rows)
    logits = np.stack([found["label"] for _, found in outputs(predictor, photos)])
    return logits, np.array([row.label for row in task.val_rows])


def classifier_figures(
    logits: NDArray[np.generic], truth: NDArray[np.int64], temperature: float, threshold: float
) -> dict[str, float]:
    """Top-1, top-5, calibration error, and how many photos are recognised and how many of those rightly."""
    shares = softmax(logits, temperature)
    ranked = np.argsort(-shares, axis=1)
    right, best = ranked[:, 0] == truth, shares.max(axis=1)
    sure = best >= threshold
    return _rounded(
        {
            "top1": right.mean(),
            "top5": (ranked[:, :5] == truth[:, None]).any(axis=1).mean(),
            "ece": expected_calibration_error(best, right),
            "recognised": sure.mean(),
            "recognised_right": right[sure].mean() if sure.any() else 0.0,
        }
    )


def heads_logits(predictor: Attributes, task: HeadsTask) -> dict[str, tuple[NDArray[np.generic], NDArray[np.int64]]]:
    """Logits and truth per head on `val`; cut-outs are pasted on the same backgrounds every time."""
    rows = task.samples["val"]
    photos = (task.val_pixels(index) for index in range(len(rows)))
    found = [output for _, output in outputs(predictor, photos, 16)]
    gathered = {}
    for head in task.heads:
        chosen = [n for n, row in enumerate(rows) if row.head == head]
        gathered[head] = np.stack([found[n][head] for n in chosen]), np.array([rows[n].label for n in chosen])
    return gathered


def heads_figures(
    logits: dict[str, tuple[NDArray[np.generic], NDArray[np.int64]]], temperature: dict[str, float]
) -> dict[str, float]:
    """Accuracy and calibration error per head."""
    figures = {}
    for head, (values, truth) in logits.items():
        shares = softmax(values, temperature.get(head, 1.0))
        right = shares.argmax(axis=1) == truth
        figures[head] = right.mean()
        figures[f"{head}_ece"] = expected_calibration_error(shares.max(axis=1), right)
    return _rounded(figures)


def detections(predictor: Damage, task: InstancesTask) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    """COCO results on `val`: boxes, and the same with masks."""
    rows, archive = task.photos["val"], task.archives["val"]
    options = DamageOptions(min_score=0, max_detections=100, masks="rle")
    boxes, masks = [], []
    found = outputs(predictor, (archive.photo(row.file) for row in rows))
    for row, (header, output) in zip(rows, found, strict=True):
        for d in predictor.finish(output, header, whole(header), options).detections:
            common = {"image_id": row.id, "category_id": task.labels.index(d.label), "score": d.score}
            boxes.append({**common, "bbox": [d.box.x1, d.box.y1, d.box.x2 - d.box.x1, d.box.y2 - d.box.y1]})
            if isinstance(d.mask, RleMask):
                masks.append({**common, "segmentation": {"size": d.mask.size, "counts": d.mask.counts}})
    return boxes, masks


def alarms(predictor: Damage, archive: Archive) -> list[list[tuple[int, float]]]:
    """(label, score) pairs of every detection, photo by photo, on photos that show no damage."""
    found = outputs(predictor, (archive.photo(name) for name in archive.names()))
    return [[(int(n), float(s)) for n, s in zip(o["labels"], o["scores"], strict=True) if s > 0] for _, o in found]


def instances_figures(
    task: InstancesTask,
    boxes: list[dict[str, Any]],
    masks: list[dict[str, Any]],
    quiet: list[list[tuple[int, float]]],
    thresholds: dict[str, float],
) -> dict[str, float]:
    """COCO's AP for boxes and masks, AP50 per class, and the share of undamaged photos called damaged."""
    figures = {
        f"box_{name}": value
        for name, value in average_precision(task.photos["val"], boxes, task.labels, "bbox").items()
    }
    found = average_precision(task.photos["val"], masks, task.labels, "segm")
    figures |= {f"mask_{name}": found[name] for name in ("ap", "ap50", "ap75")}
    if quiet:
        loud = sum(any(score >= thresholds[task.labels[label]] for label, score in one) for one in quiet)
        figures["sound_called_damaged"] = loud / len(quiet)
    return _rounded(figures)


def _rounded(figures: dict[str, Any]) -> dict[str, float]:
    return {name: round(float(value), 4) for name, value in figures.items()}


def figures(predictor: WeightedPredictor[Any, Any], task: Any) -> dict[str, float]:
    """All figures of loaded weights, with the temperatures and thresholds of their manifest."""
    manifest = predictor.manifest
    if isinstance(predictor, CarDetails):
        logits, truth = classifier_logits(predictor, task)
        return classifier_figures(logits, truth, manifest.temperature["label"], manifest.thresholds["recognised"])
    if isinstance(predictor, Attributes):
        return heads_figures(heads_logits(predictor, task), manifest.temperature)
    assert isinstance(predictor, Damage)
    boxes, masks = detections(predictor, task)
    quiet = alarms(predictor, task.quiet) if task.quiet else []
    return instances_figures(task, boxes, masks, quiet, manifest.thresholds)
