"""Damages and parts drawn by a test: polygons in a photo's pixels."""

from typing import Any

from models.answers import Box, PolygonMask
from models.predictors.classifier import LabelScore
from models.predictors.damage import DamageAnswer, Detection
from models.predictors.instances import Instance

Polygon = list[float]


def rectangle(x1: float, y1: float, x2: float, y2: float) -> Polygon:
    return [x1, y1, x2, y1, x2, y2, x1, y2]


def _fields(label: str, polygons: tuple[Polygon, ...], score: float) -> dict[str, Any]:
    xs, ys = [x for one in polygons for x in one[::2]], [y for one in polygons for y in one[1::2]]
    box = Box(x1=min(xs), y1=min(ys), x2=max(xs), y2=max(ys))
    mask = PolygonMask(polygons=list(polygons))
    return {"label": label, "score": score, "box": box, "mask": mask, "area_fraction": 0.01}


def part(label: str, *polygons: Polygon, score: float = 0.9) -> Instance:
    return Instance(**_fields(label, polygons, score))


def damage(label: str, *polygons: Polygon, score: float = 0.8, grade: str | None = None, **more: Any) -> Detection:
    severity = LabelScore(label=grade, score=0.7) if grade else None
    return Detection(**{**_fields(label, polygons, score), "severity": severity, **more})


def answer(*detections: Detection) -> DamageAnswer:
    return DamageAnswer(damaged=True, damaged_score=0.9, counts={}, detections=list(detections))
