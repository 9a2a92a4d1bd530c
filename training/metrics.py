"""Figures of merit, by well-kept libraries where there is one."""

import contextlib
import io
from collections.abc import Sequence
from typing import Any

import numpy as np
from faster_coco_eval import COCO, COCOeval_faster
from numpy.typing import NDArray

from training.data.annotated import Annotated


def average_precision(
    photos: Sequence[Annotated], results: list[dict[str, Any]], labels: Sequence[str], kind: str
) -> dict[str, float]:
    """COCO's AP, AP50 and AP75, and AP50 per label. `kind` is `bbox` or `segm`; category ids are label numbers."""
    truth = COCO()
    truth.dataset = {
        "info": {},
        "images": [{"id": p.id, "file_name": p.file, "width": p.width, "height": p.height} for p in photos],
        "categories": [{"id": n, "name": name} for n, name in enumerate(labels)],
        "annotations": _annotations(photos),
    }
    with contextlib.redirect_stdout(io.StringIO()):
        truth.createIndex()
        if not results:
            return {"ap": 0.0, "ap50": 0.0, "ap75": 0.0, **{f"ap50_{name}": 0.0 for name in labels}}
        run = COCOeval_faster(truth, truth.loadRes(results), kind)
        run.run()
    # precision: IoU thresholds x recall steps x labels x area ranges x detections allowed
    precision = np.asarray(run.eval["precision"])[:, :, :, 0, -1]
    precision = np.where(precision < 0, np.nan, precision)
    figures = {"ap": np.nanmean(precision), "ap50": np.nanmean(precision[0]), "ap75": np.nanmean(precision[5])}
    each = {
        f"ap50_{name}": np.nanmean(precision[0, :, n]) if np.isfinite(precision[0, :, n]).any() else 0.0
        for n, name in enumerate(labels)
    }
    return {name: float(value) for name, value in {**figures, **each}.items()}


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


def expected_calibration_error(confidence: NDArray[np.float64], right: NDArray[np.bool_], bins: int = 15) -> float:
    """ECE (Guo et al. 2017, arXiv:1706.04599): mean gap between confidence and accuracy over equal-width bins."""
    place = np.minimum((confidence * bins).astype(int), bins - 1)
    gaps = [
        abs(confidence[place == b].mean() - right[place == b].mean()) * (place == b).mean()
        for b in range(bins)
        if (place == b).any()
    ]
    return float(sum(gaps))
