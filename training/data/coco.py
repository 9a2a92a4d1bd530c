"""COCO instance annotations: polygons per photo, checked before the first epoch."""

import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True, slots=True)
class Instance:
    """One object: its class number from 0, and its outline as rings of x, y in photo pixels."""

    label: int
    rings: list[NDArray[np.float32]]

    def box(self) -> tuple[float, float, float, float]:
        """x1, y1, x2, y2 around all rings."""
        points = np.concatenate(self.rings)
        return (*points.min(axis=0).tolist(), *points.max(axis=0).tolist())


@dataclass(slots=True)
class Annotated:
    """One photo with its instances; `id` is the file's own."""

    id: int
    file: str
    width: int
    height: int
    instances: list[Instance] = field(default_factory=list)


def _rings(annotation: dict[str, Any], where: str) -> list[NDArray[np.float32]]:
    outline = annotation.get("segmentation")
    if not isinstance(outline, list):
        raise ValueError(f"{where}: segmentation is not a list of polygons")
    try:
        rings = [
            np.asarray(ring, np.float32).reshape(-1, 2) for ring in outline if len(ring) >= 6 and len(ring) % 2 == 0
        ]
    except (TypeError, ValueError):
        raise ValueError(f"{where}: a polygon is not a list of numbers") from None
    if not rings or not all(np.isfinite(ring).all() for ring in rings):
        raise ValueError(f"{where}: no polygon of three finite points or more")
    return rings


def read(path: Path, labels: Sequence[str]) -> list[Annotated]:
    """Photos in the file's order. Raises `ValueError` with file and id of what is broken: unknown category or image,
    no polygon, category names that are not `labels`."""
    try:
        table = json.loads(path.read_text())
        categories = {c["id"]: c["name"] for c in table["categories"]}
        photos = {i["id"]: Annotated(i["id"], i["file_name"], i["width"], i["height"]) for i in table["images"]}
        annotations = table["annotations"]
    except json.JSONDecodeError as error:
        raise ValueError(f"{path}: not JSON ({error})") from error
    except (KeyError, TypeError) as error:
        raise ValueError(f"{path}: not COCO's instance annotations ({type(error).__name__}: {error})") from error
    unknown = sorted(set(categories.values()) - set(labels))
    if unknown:
        raise ValueError(f"{path}: categories {', '.join(unknown)} are not among the labels {', '.join(labels)}")
    for annotation in annotations:
        where = f"{path}, annotation {annotation.get('id')}"
        if annotation.get("image_id") not in photos:
            raise ValueError(f"{where}: image {annotation.get('image_id')!r} does not exist")
        if annotation.get("category_id") not in categories:
            raise ValueError(f"{where}: category {annotation.get('category_id')!r} does not exist")
        label = labels.index(categories[annotation["category_id"]])
        photos[annotation["image_id"]].instances.append(Instance(label, _rings(annotation, where)))
    return list(photos.values())
