"""COCO instance annotations: polygons, run-length masks or boxes per photo, checked before the first epoch."""

import json
from collections.abc import Sequence
from pathlib import Path
from types import NoneType
from typing import Any

import numpy as np

from models.outlines import signed_area
from training.data import annotated, masks
from training.data.annotated import Annotated, Instance, Labels, Ring
from training.data.problems import Problems

__all__ = ["Annotated", "Instance", "read", "results", "write"]

CATEGORY = ("id", "name", "supercategory", "skeleton", "keypoints")
"""What COCO says of a category; all else goes to its instances' attributes."""


def read(path: Path, labels: Sequence[str] | Labels) -> list[Annotated]:
    """Photos in the file's order. Run-length masks become rings; a box without a mask becomes its four corners.

    Raises `DataError` with file and id of all that is broken: unknown category or image, no outline, ids that are
    there twice, category names that are not `labels`.
    """
    labels = labels if isinstance(labels, Labels) else Labels(labels)
    table = annotated.read_json(path)
    problems = Problems()
    try:
        categories = _by_id(table["categories"], f"{path}, category", problems)
        names = {number: category["name"] for number, category in categories.items()}
        said = {number: {k: v for k, v in one.items() if k not in CATEGORY} for number, one in categories.items()}
        photos = {
            number: Annotated(number, photo["file_name"], photo["width"], photo["height"])
            for number, photo in _by_id(table["images"], f"{path}, image", problems).items()
        }
        annotations = table["annotations"]
        if not isinstance(annotations, list) or not all(isinstance(one, dict) for one in annotations):
            raise TypeError("annotations is not a list of objects")
    except (KeyError, TypeError, AttributeError) as error:
        raise ValueError(f"{path}: not COCO's instance annotations ({type(error).__name__}: {error})") from error
    if unknown := labels.unknown(list(names.values()), "categories"):
        problems.add(path, unknown)
    for number, photo in photos.items():
        if not all(type(side) is int and side > 0 for side in (photo.width, photo.height)):
            problems.add(f"{path}, image {number}", f"the size is {photo.width!r} x {photo.height!r}, not in pixels")
    problems.check()
    seen: set[object] = set()
    for annotation in annotations:
        number = annotation.get("id")
        where = f"{path}, annotation {number}"
        if number is not None and repr(number) in seen:
            problems.add(where, "the id is there twice")
        seen.add(repr(number))
        if not all(isinstance(annotation.get(key), (int, str, NoneType)) for key in ("image_id", "category_id")):
            problems.add(where, "image_id or category_id is not a number")
        elif annotation.get("image_id") not in photos:
            problems.add(where, f"image {annotation.get('image_id')!r} does not exist")
        elif annotation.get("category_id") not in names:
            problems.add(where, f"category {annotation.get('category_id')!r} does not exist")
        else:
            photo, label = photos[annotation["image_id"]], labels.number(names[annotation["category_id"]])
            assert label is not None
            _add(photo, label, annotation, said[annotation["category_id"]], where, problems)
    problems.check()
    return list(photos.values())


def _by_id(rows: Sequence[dict[str, Any]], where: str, problems: Problems) -> dict[Any, dict[str, Any]]:
    found: dict[Any, dict[str, Any]] = {}
    for row in rows:
        if row["id"] in found:
            problems.add(f"{where} {row['id']}", "the id is there twice")
        found[row["id"]] = row
    return found


def _add(
    photo: Annotated, label: int, annotation: dict[str, Any], said: dict[str, Any], where: str, problems: Problems
) -> None:
    try:
        rings = _rings(annotation, photo)
    except ValueError as error:
        problems.add(where, str(error))
        return
    crowd = annotation.get("iscrowd", 0)
    if crowd not in (0, 1):
        problems.add(where, f"iscrowd is {crowd!r}, not 0 or 1")
        return
    extra = annotation.get("attributes")
    score = {"score": annotation["score"]} if "score" in annotation else {}
    attributes = {**said, **score, **(extra if isinstance(extra, dict) else {})}
    annotated.add(photo, Instance(label, rings, bool(crowd), attributes), where, problems)


def _rings(annotation: dict[str, Any], photo: Annotated) -> list[Ring]:
    outline = annotation.get("segmentation")
    if isinstance(outline, dict):
        return masks.rings(masks.decode(outline, photo.width, photo.height))
    if outline is not None and not isinstance(outline, list):
        raise ValueError("segmentation is neither a list of polygons nor a mask")
    if not outline and "bbox" in annotation:
        box = annotation["bbox"]
        if not isinstance(box, list) or len(box) != 4:
            raise ValueError("the box is not four numbers")
        return [annotated.rectangle(*box)]
    # A sliver of two points beside a whole polygon is what tools leave behind; alone it is no outline.
    return [ring for ring in map(annotated.polygon, outline or []) if ring is not None]


def write(path: Path, photos: Sequence[Annotated], labels: Sequence[str]) -> None:
    """A COCO dataset; category ids count from 1, as the tools expect. Attributes go along, a `score` also by itself."""
    document = {
        "info": {},
        "licenses": [],
        "categories": [{"id": n, "name": name, "supercategory": ""} for n, name in enumerate(labels, start=1)],
        "images": [{"id": p.id, "file_name": p.file, "width": p.width, "height": p.height} for p in photos],
        "annotations": [],
    }
    for number, (photo, instance) in enumerate(((p, i) for p in photos for i in p.instances), start=1):
        document["annotations"].append(
            {
                "id": number,
                **_described(photo, instance),
                "area": round(sum(_area(ring) for ring in instance.rings), 2),
                "iscrowd": int(instance.crowd),
                "attributes": instance.attributes,
            }
        )
    path.write_text(json.dumps(document), encoding="utf-8")


def results(path: Path, photos: Sequence[Annotated]) -> None:
    """COCO results, as evaluation tools read them: one object a detection, with its score; ids as `write` has them."""
    found = [
        {**_described(photo, instance), "score": instance.attributes.get("score", 1.0)}
        for photo in photos
        for instance in photo.instances
    ]
    path.write_text(json.dumps(found), encoding="utf-8")


def _described(photo: Annotated, instance: Instance) -> dict[str, Any]:
    x1, y1, x2, y2 = instance.box()
    return {
        "image_id": photo.id,
        "category_id": instance.label + 1,
        "bbox": [round(value, 2) for value in (x1, y1, x2 - x1, y2 - y1)],
        "segmentation": [[round(float(value), 2) for value in ring.ravel()] for ring in instance.rings],
    }


def _area(ring: Ring) -> float:
    return abs(signed_area(ring.astype(np.float64)))
