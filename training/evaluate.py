"""Figures of served weights on `val`: photos go through the predictor's own prepare, run and finish."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from models.answers import RleMask, softmax
from models.backends import AUTO
from models.manifest import Manifest
from models.photo import whole
from models.predictors.instances import Instance, InstancesPredictor
from models.predictors.weighted import WeightedPredictor
from models.registry import RegistryError, discover
from training import joined
from training.closeups import CloseUps
from training.data.annotated import Annotated
from training.data.archive import Archive
from training.findings import Head, Instances
from training.metrics import average_precision, expected_calibration_error, sides_mixed_up
from training.outputs import outputs
from training.tasks.classifier import ClassifierTask
from training.tasks.graded import GradedTask
from training.tasks.heads import HeadsTask
from training.tasks.instances import InstancesTask

Findings = list[Head] | Instances
"""What was found on `val`: by head for the kinds `classifier` and `heads`, or instances."""


def open_predictor(name: str, weights_dir: Path | None = None, backend: str = AUTO) -> WeightedPredictor[Any, Any]:
    """The predictor that serves the weights of that name, by that backend.

    Raises `RegistryError` or `WeightsError` where there are no such weights, or where they are broken.
    """
    predictor = discover(weights_dir, [name], backends={"": backend})[name]
    if not isinstance(predictor, WeightedPredictor):
        raise RegistryError(f"{name}: a predictor without weights, so there is nothing to measure")
    return predictor


def classifier_logits(
    predictor: WeightedPredictor[Any, Any], task: ClassifierTask
) -> tuple[NDArray[np.generic], NDArray[np.int64]]:
    """Logits (photos, classes) and the true classes on `val`."""
    photos, regions = (task.archives["val"].photo(row.file) for row in task.val_rows), (r.region for r in task.val_rows)
    logits = np.stack([found["label"] for _, found in outputs(predictor, photos, regions=regions)])
    return logits, np.array([row.label for row in task.val_rows])


def classifier_figures(
    logits: NDArray[np.generic], truth: NDArray[np.int64], temperature: float, threshold: float
) -> dict[str, float]:
    """Top-1, top-5, calibration error, and how many photos are recognised and how many of those rightly."""
    shares = softmax(logits, temperature)
    ranked = np.argsort(-shares, axis=1)
    right, best = ranked[:, 0] == truth, shares.max(axis=1)
    sure = best >= threshold
    five = {"top5": (ranked[:, :5] == truth[:, None]).any(axis=1).mean()} if logits.shape[1] > 5 else {}
    return _rounded(
        {
            "top1": right.mean(),
            **five,
            "ece": expected_calibration_error(best, right),
            "recognised": sure.mean(),
            "recognised_right": right[sure].mean() if sure.any() else 0.0,
        }
    )


def graded_figures(head: Head) -> dict[str, float]:
    """What is told beside where labels are grades: macro F1, by how many grades an answer is off in the mean, and the
    macro F1 of the plain rule where there is one."""
    told = ("macro_f1", "grade_error", "rule_macro_f1")
    return _rounded({name: value for name, value in head.figures().items() if name in told})


def heads_logits(
    predictor: WeightedPredictor[Any, Any], task: HeadsTask
) -> dict[str, tuple[NDArray[np.generic], NDArray[np.int64]]]:
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


def detections(
    predictor: InstancesPredictor[Any, Any],
    rows: Sequence[Annotated],
    read: Callable[[str], NDArray[np.uint8]],
) -> list[list[Instance]]:
    """All that is found on each of the photos, which `read` gives by their files, down to a score of 0."""
    options = predictor.specification.options(min_score=0, max_detections=100, masks="rle")
    found = outputs(predictor, (read(row.file) for row in rows), options=options)
    return [list(predictor.told(predictor.finish(output, header, whole(header), options))) for header, output in found]


def results(
    rows: Sequence[Annotated], found: Sequence[Sequence[Instance]], labels: Sequence[str]
) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    """What was found on each photo as COCO results: boxes, and the same with masks."""
    boxes, masks = [], []
    for row, instances in zip(rows, found, strict=True):
        for d in instances:
            common = {"image_id": row.id, "category_id": labels.index(d.label), "score": d.score}
            boxes.append({**common, "bbox": [d.box.x1, d.box.y1, d.box.x2 - d.box.x1, d.box.y2 - d.box.y1]})
            if isinstance(d.mask, RleMask):
                masks.append({**common, "segmentation": {"size": d.mask.size, "counts": d.mask.counts}})
    return boxes, masks


def alarms(predictor: WeightedPredictor[Any, Any], archive: Archive) -> list[list[tuple[int, float]]]:
    """(label, score) pairs of every detection, photo by photo, on photos that show nothing to find."""
    found = outputs(predictor, (archive.photo(name) for name in archive.names()))
    told = len(predictor.manifest.labels["label"])
    return [
        [(int(n), float(s)) for n, s in zip(o["labels"], o["scores"], strict=True) if s > 0 and n < told]
        for _, o in found
    ]


def instances_figures(found: Instances) -> dict[str, float]:
    """COCO's AP for boxes and masks, and AP50 per class; AP and AP50 on close-ups, where there are any (`close_…`), and
    on held back photos of another archive (`more_…`). By photo, with the detections that reach their threshold:
    `image_recall`, the share of photos with an instance on which there are any, and `image_false_alarm_rate`, the share
    of the quiet ones. `sides_mixed_up`: of those that lie on an object of their label or of its mirror image, the share
    of the latter; `…_settled`, once the view has settled sides. `damage_part_right`: of damages whose part is known,
    the share for which it is named, or rightly none; `…_fresh`, of others, by which nothing was chosen."""
    photos, labels, boxes = found.photos, found.labels, found.boxes
    figures = {f"box_{name}": value for name, value in average_precision(photos, boxes, labels, "bbox").items()}
    figures |= _overall("mask", found.photos, found.masks, labels, "segm", ("ap", "ap50", "ap75"))
    for name, other in (("close", found.close), ("more", found.more)):
        if other:
            figures |= _overall(f"{name}_box", other.photos, other.boxes, labels, "bbox", ("ap", "ap50"))
            figures |= _overall(f"{name}_mask", other.photos, other.masks, labels, "segm", ("ap", "ap50"))
            figures |= _sides(f"{name}_", other)
    sure = found.sure()
    called = {one["image_id"] for one in sure}
    shown = [photo.id for photo in photos if photo.instances]
    if shown:
        figures["image_recall"] = sum(photo in called for photo in shown) / len(shown)
    if found.quiet:
        figures["image_false_alarm_rate"] = sum(map(bool, found.loud())) / len(found.quiet)
    figures |= _sides("", found)
    for name, damages in (("damage_part_right", found.placed), ("damage_part_right_fresh", found.fresh)):
        if damages:
            figures[name] = sum(one.right for one in damages) / len(damages)
            labelled = [one.right for one in damages if one.place.part]
            figures[f"{name}_where_labelled"] = sum(labelled) / max(1, len(labelled))
    return _rounded(figures)


def _sides(name: str, found: Instances) -> dict[str, float]:
    """How often left and right are mixed up, and how often once the view has settled them; nothing where no label is of
    a side."""
    if all(other == label for label, other in enumerate(found.mirror)):
        return {}
    figures = {f"{name}sides_mixed_up": sides_mixed_up(found.photos, found.sure(), found.mirror)}
    if found.settled:
        figures[f"{name}sides_mixed_up_settled"] = sides_mixed_up(found.photos, found.settled.sure(), found.mirror)
    return figures


def _overall(
    name: str,
    photos: Sequence[Annotated],
    results: list[dict[str, Any]],
    labels: Sequence[str],
    kind: str,
    told: Sequence[str],
) -> dict[str, float]:
    found = average_precision(photos, results, labels, kind)
    return {f"{name}_{one}": found[one] for one in told}


def _rounded(figures: dict[str, Any]) -> dict[str, float]:
    return {name: round(float(value), 4) for name, value in figures.items()}


def findings(predictor: WeightedPredictor[Any, Any], task: Any) -> Findings:
    """What loaded weights say of each photo of `val`. Raises `ValueError` where the task has other labels or is of
    another kind."""
    manifest = predictor.manifest
    if isinstance(task, ClassifierTask) and manifest.kind == "classifier":
        _same_labels(manifest, {"label": task.labels})
        files = [row.file for row in task.val_rows]
        pairs = {"label": (files, [partial(task.shown, n) for n in range(len(files))])}
        logits = {"label": classifier_logits(predictor, task)}
    elif isinstance(task, HeadsTask) and manifest.kind == "heads":
        _same_labels(manifest, task.labels)
        rows = list(enumerate(task.samples["val"]))
        pairs = {
            head: (
                [row.file for _, row in rows if row.head == head],
                [partial(task.val_pixels, n) for n, row in rows if row.head == head],
            )
            for head in task.heads
        }
        logits = heads_logits(predictor, task)
    elif isinstance(task, InstancesTask) and isinstance(predictor, InstancesPredictor):
        return _instances(predictor, task)
    else:
        raise ValueError(f"the recipe is of kind {task.recipe.kind!r}, the weights are of kind {manifest.kind!r}")
    graded, warmth = isinstance(task, ClassifierTask) and task.ordinal > 0, manifest.temperature
    rule = task.rule() if isinstance(task, GradedTask) else None
    return [
        Head(name, manifest.labels[name], files, *logits[name], warmth.get(name, 1.0), _reader(photos), graded, rule)
        for name, (files, photos) in pairs.items()
    ]


def _reader(photos: list[Any]) -> Any:
    return lambda n: photos[n]()


def _same_labels(manifest: Manifest, labels: dict[str, list[str]]) -> None:
    for head, names in labels.items():
        if manifest.labels.get(head) != names:
            known = ", ".join(manifest.labels.get(head, [])[:12]) or "none"
            raise ValueError(f"the recipe's labels of {head} are not those of the weights, which know {known}")


def _instances(predictor: InstancesPredictor[Any, Any], task: InstancesTask) -> Instances:
    _same_labels(predictor.manifest, {"label": task.labels})
    photos, read = task.photos["val"], task.archives["val"].photo
    told = detections(predictor, photos, read)
    boxes, masks = results(photos, told, task.labels)
    found = Instances(
        labels=task.labels,
        thresholds=predictor.manifest.thresholds,
        photos=photos,
        boxes=boxes,
        masks=masks,
        quiet_files=task.quiet.names() if task.quiet else [],
        quiet=alarms(predictor, task.quiet) if task.quiet else [],
        read=read,
        read_quiet=task.quiet.photo if task.quiet else read,
        mirror=task.mirror,
    )
    if task.placed:
        first, fresh = joined.places(), joined.places(joined.FRESH)
        named = joined.placed(predictor, task.placed, [*first, *fresh], _view(task, predictor))
        found = replace(found, placed=named[: len(first)], fresh=named[len(first) :])
    found = _settled(task, predictor, found, told)
    if task.close:
        near = CloseUps(photos, task.archives["val"])
        found = replace(found, close=_elsewhere(task, predictor, found, near.photos, near.photo))
    if "more" in task.photos:
        photos, read = task.photos["more"], task.archives["more"].photo
        found = replace(found, more=_elsewhere(task, predictor, found, photos, read))
    return found


def _elsewhere(
    task: InstancesTask,
    predictor: InstancesPredictor[Any, Any],
    found: Instances,
    photos: list[Annotated],
    read: Callable[[str], NDArray[np.uint8]],
) -> Instances:
    """What is told of other photos than those of `found`."""
    told = detections(predictor, photos, read)
    boxes, masks = results(photos, told, task.labels)
    plain = replace(found, photos=photos, boxes=boxes, masks=masks, quiet_files=[], quiet=[], read=read, close=None)
    return _settled(task, predictor, plain, told)


def _view(task: InstancesTask, predictor: InstancesPredictor[Any, Any]) -> WeightedPredictor[Any, Any] | None:
    """Who tells the orientation, loaded; None where the recipe names nobody."""
    if not task.view:
        return None
    view = open_predictor(task.view, predictor.weights.path.parent)
    view.load(predictor.card.device)
    return view


def _settled(
    task: InstancesTask, predictor: InstancesPredictor[Any, Any], found: Instances, told: list[list[Instance]]
) -> Instances:
    """The same, with what was `told` of its photos once more, sides settled by the view; as it is without one."""
    view = _view(task, predictor)
    if view is None:
        return found
    settled = joined.settled_by(view, (found.read(photo.file) for photo in found.photos), told)
    boxes, masks = results(found.photos, settled, task.labels)
    return replace(found, settled=replace(found, boxes=boxes, masks=masks))


def summary(manifest: Manifest, found: Findings) -> dict[str, float]:
    """The figures that a manifest holds, with its temperatures and thresholds."""
    if isinstance(found, Instances):
        return instances_figures(found.at(manifest.thresholds))
    if manifest.kind == "heads":
        return heads_figures({head.name: (head.logits, head.truth) for head in found}, manifest.temperature)
    temperature, threshold = manifest.temperature.get("label", 1.0), manifest.thresholds.get("recognised", 0.5)
    told = classifier_figures(found[0].logits, found[0].truth, temperature, threshold)
    if not found[0].graded:
        return told
    # of grades none is recognised or not: every photo has one
    return {name: told[name] for name in ("top1", "ece")} | graded_figures(found[0])


def figures(predictor: WeightedPredictor[Any, Any], task: Any) -> dict[str, float]:
    """All figures of loaded weights, with the temperatures and thresholds of their manifest."""
    return summary(predictor.manifest, findings(predictor, task))
