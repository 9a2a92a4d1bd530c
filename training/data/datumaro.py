"""Datumaro JSON, as CVAT exports and imports it: outlines for instances, tags for whole photos.

The library of that name would bring pandas, pyarrow, shapely and an older Pillow for one file of JSON.
"""

import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path, PurePosixPath
from typing import Any

from training.data import annotated, masks
from training.data.annotated import Annotated, Instance, Labels, Ring
from training.data.archive import Archive
from training.data.problems import Problems
from training.data.table import Row

SHAPES = ("polygon", "bbox", "mask", "ellipse")


def _open(path: Path) -> tuple[list[str], list[dict[str, Any]]]:
    """The file's own label names and its items."""
    document = annotated.read_json(path)
    try:
        names = [label["name"] for label in document["categories"]["label"]["labels"]]
        items = document["items"]
        if not isinstance(items, list) or not all(isinstance(item["annotations"], list) for item in items):
            raise TypeError("items is not a list of objects with annotations")
    except (KeyError, TypeError) as error:
        raise ValueError(f"{path}: not Datumaro's annotations ({type(error).__name__}: {error})") from error
    return names, items


class _Files:
    """Names of photos in the archive, by what an item says: a path, or an id, which is the path without its ending."""

    def __init__(self, archive: Archive) -> None:
        self.names = set(archive.names())
        self._by_stem = {str(PurePosixPath(name).with_suffix("")): name for name in self.names}

    def find(self, item: Mapping[str, Any]) -> str:
        image = item.get("image") or item.get("media") or {}
        given = str(image.get("path") or "")
        if given in self.names:
            return given
        return self._by_stem.get(str(item.get("id")), given or str(item.get("id")))


def read(path: Path, labels: Labels, archive: Archive) -> list[Annotated]:
    """Photos in the file's order with their polygons, boxes, ellipses and masks; polygons of one group and label are
    one object. Raises `DataError` with file and item of all that is broken."""
    names, items = _open(path)
    problems, files, photos = Problems(), _Files(archive), []
    for number, item in enumerate(items, start=1):
        where = f"{path}, item {item.get('id')!r}"
        size = (item.get("image") or item.get("media") or {}).get("size")
        file = files.find(item)
        try:
            height, width = map(int, size) if size else reversed(archive.size(file))
        except FileNotFoundError:
            problems.add(where, f"photo {file!r} does not exist in the archive of photos")
            continue
        except (TypeError, ValueError) as error:
            problems.add(where, f"the photo's size cannot be read ({error})")
            continue
        photo = Annotated(number, file, width, height)
        photos.append(photo)
        for label, rings, attributes, place in _shapes(item, names, labels, photo, where, problems):
            annotated.add(photo, Instance(label, rings, bool(attributes.get("is_crowd")), attributes), place, problems)
    annotated.check_files((photo.file for photo in photos), archive.names(), path, problems)
    problems.check()
    return photos


def _shapes(
    item: Mapping[str, Any], names: Sequence[str], labels: Labels, photo: Annotated, where: str, problems: Problems
) -> Iterator[tuple[int, list[Ring], dict[str, Any], str]]:
    """Label, rings, attributes and place of each object; tags and whatever has no area are left out or told."""
    groups: dict[tuple[int, int], tuple[int, list[Ring], dict[str, Any], str]] = {}
    for annotation in item["annotations"]:
        place = f"{where}, annotation {annotation.get('id')}"
        kind = annotation.get("type")
        if kind in ("label", "caption"):
            continue
        if kind not in SHAPES:
            problems.add(place, f"a {kind} has no outline; known are {', '.join(SHAPES)}")
            continue
        try:
            label = _label(annotation, names, labels)
            rings = _rings(annotation, kind, photo)
        except (KeyError, TypeError) as error:
            problems.add(place, f"not a {kind} ({type(error).__name__}: {error})")
            continue
        except ValueError as error:
            problems.add(place, str(error))
            continue
        attributes = dict(annotation.get("attributes") or {})
        group = annotation.get("group") or 0
        if group and (group, label) in groups:
            groups[group, label][1].extend(rings)
        else:
            groups[group or -1 - len(groups), label] = (label, rings, attributes, place)
    yield from groups.values()


def _label(annotation: Mapping[str, Any], names: Sequence[str], labels: Labels) -> int:
    number = annotation.get("label_id")
    if not isinstance(number, int) or not 0 <= number < len(names):
        raise ValueError(f"label_id {number!r} does not exist")
    label = labels.number(names[number])
    if label is None:
        raise ValueError(f"label {names[number]!r} is not among the labels {', '.join(labels.names)}")
    return label


def _rings(annotation: Mapping[str, Any], kind: str, photo: Annotated) -> list[Ring]:
    if kind == "mask":
        return masks.rings(masks.decode(annotation["rle"], photo.width, photo.height))
    if kind == "bbox":
        return [annotated.rectangle(*annotation["bbox"])]
    if kind == "ellipse":
        x1, y1, x2, y2 = annotation["points"]
        return [annotated.ellipse((x1 + x2) / 2, (y1 + y2) / 2, (x2 - x1) / 2, (y2 - y1) / 2)]
    ring = annotated.polygon(annotation["points"])
    return [] if ring is None else [ring]


def read_tags(path: Path, labels: Labels, archive: Archive) -> list[Row]:
    """The tag of each photo. Raises `DataError` with file and item of a photo without a tag, or with several."""
    names, items = _open(path)
    problems, files, rows = Problems(), _Files(archive), []
    for item in items:
        where = f"{path}, item {item.get('id')!r}"
        tags = [one for one in item["annotations"] if one.get("type") == "label"]
        if len(tags) != 1:
            problems.add(where, f"{len(tags)} tags, expected one")
            continue
        try:
            label = _label(tags[0], names, labels)
        except ValueError as error:
            problems.add(where, str(error))
            continue
        attributes = {key: str(value) for key, value in (tags[0].get("attributes") or {}).items()}
        rows.append(Row(files.find(item), label, attributes))
    problems.check()
    return rows


def write(path: Path, photos: Sequence[Annotated], labels: Sequence[str]) -> None:
    """Every instance as polygons, those of one instance in one group, with its attributes."""
    items = []
    for photo in photos:
        found: list[dict[str, Any]] = []
        for group, instance in enumerate(photo.instances, start=1):
            found += [
                {
                    **_described(len(found) + part, "polygon", instance.label, instance.attributes),
                    "group": group if len(instance.rings) > 1 else 0,
                    "points": [round(float(value), 2) for value in ring.ravel()],
                    "z_order": 0,
                }
                for part, ring in enumerate(instance.rings)
            ]
        items.append(_item(photo, found))
    _save(path, labels, items)


def write_tags(
    path: Path, photos: Sequence[Annotated], labels: Sequence[str], tags: Sequence[Sequence[tuple[int, dict[str, Any]]]]
) -> None:
    """The tags of each photo, as pairs of label number and attributes."""
    items = [
        _item(photo, [_described(n, "label", label, attributes) for n, (label, attributes) in enumerate(of)])
        for photo, of in zip(photos, tags, strict=True)
    ]
    _save(path, labels, items)


def _described(number: int, kind: str, label: int, attributes: Mapping[str, Any]) -> dict[str, Any]:
    return {"id": number, "type": kind, "attributes": dict(attributes), "group": 0, "label_id": label}


def _item(photo: Annotated, annotations: list[dict[str, Any]]) -> dict[str, Any]:
    image = {"path": photo.file, "size": [photo.height, photo.width]}
    name = str(PurePosixPath(photo.file).with_suffix(""))
    return {"id": name, "annotations": annotations, "attr": {"frame": photo.id - 1}, "image": image}


def _save(path: Path, labels: Sequence[str], items: list[dict[str, Any]]) -> None:
    listed = [{"name": name, "parent": "", "attributes": []} for name in labels]
    document = {"info": {}, "categories": {"label": {"labels": listed, "attributes": []}}, "items": items}
    path.write_text(json.dumps(document), encoding="utf-8")
