"""VGG Image Annotator's JSON, a project or its annotations alone: outlines whose class is an attribute."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from training.data import annotated
from training.data.annotated import Annotated, Instance, Labels, Ring
from training.data.archive import Archive
from training.data.problems import Problems


def entries(document: Any) -> dict[str, dict[str, Any]] | None:
    """The photos' entries by their keys; None where the document is none of VIA's."""
    if isinstance(document, dict) and "_via_img_metadata" in document:
        document = document["_via_img_metadata"]
    if not isinstance(document, dict):
        return None
    known = all(isinstance(entry, dict) and "filename" in entry and "regions" in entry for entry in document.values())
    return document if known and document else None


def read(path: Path, labels: Labels, archive: Archive, attribute: str | None = None) -> list[Annotated]:
    """Photos in the file's order. The class of a region is its `attribute`, or its only one; where regions have none
    at all, as in the balloon set, it is the recipe's only label. Sizes come from the photos, since the file has none.

    Raises `DataError` with file, photo and region of all that is broken.
    """
    found = entries(annotated.read_json(path))
    if found is None:
        raise ValueError(f"{path}: not VIA's annotations (no photos with `filename` and `regions`)")
    problems, photos, names = Problems(), [], set(archive.names())
    for number, entry in enumerate(found.values(), start=1):
        file = str(entry["filename"])
        where = f"{path}, photo {file!r}"
        if file not in names:
            problems.add(where, "does not exist in the archive of photos")
            continue
        try:
            photo = Annotated(number, file, *archive.size(file))
        except ValueError as error:
            problems.add(where, str(error))
            continue
        photos.append(photo)
        regions = entry["regions"]  # VIA 1 numbers them in an object, VIA 2 lists them
        regions = regions.items() if isinstance(regions, dict) else enumerate(regions or [])
        for place, region in regions:
            _add(photo, region, labels, attribute, f"{where}, region {place}", problems)
    annotated.check_files((photo.file for photo in photos), archive.names(), path, problems)
    problems.check()
    return photos


def _add(photo: Annotated, region: Any, labels: Labels, attribute: str | None, where: str, problems: Problems) -> None:
    try:
        attributes = region.get("region_attributes") or {}
        label = _label(attributes, labels, attribute)
        rings = _rings(region["shape_attributes"])
    except (KeyError, TypeError, AttributeError) as error:
        problems.add(where, f"not a region of VIA ({type(error).__name__}: {error})")
    except ValueError as error:
        problems.add(where, str(error))
    else:
        annotated.add(photo, Instance(label, rings, attributes=dict(attributes)), where, problems)


def _label(attributes: Mapping[str, Any], labels: Labels, attribute: str | None) -> int:
    if not attributes and attribute is None:
        if len(labels.names) == 1:
            return 0
        raise ValueError(f"no region attribute says which of the labels {', '.join(labels.names)} it is")
    if attribute is None:
        if len(attributes) > 1:
            raise ValueError(f"name the attribute that is the class in data.attribute: {', '.join(attributes)}")
        attribute = next(iter(attributes))
    if attribute not in attributes:
        raise ValueError(f"attribute {attribute!r} is missing")
    value = attributes[attribute]
    if isinstance(value, dict):  # a checkbox: every value that is ticked
        ticked = [name for name, on in value.items() if on]
        if len(ticked) != 1:
            raise ValueError(f"{attribute} has {len(ticked)} values, expected one")
        value = ticked[0]
    label = labels.number(value)
    if label is None:
        raise ValueError(f"{attribute} {value!r} is not among the labels {', '.join(labels.names)}")
    return label


def _rings(shape: Mapping[str, Any]) -> list[Ring]:
    kind = shape["name"]
    if kind in ("polygon", "polyline"):
        xs, ys = shape["all_points_x"], shape["all_points_y"]
        if len(xs) != len(ys):
            raise ValueError(f"{len(xs)} x but {len(ys)} y")
        ring = annotated.polygon([value for pair in zip(xs, ys, strict=True) for value in pair])
        return [] if ring is None else [ring]
    if kind == "rect":
        return [annotated.rectangle(shape["x"], shape["y"], shape["width"], shape["height"])]
    if kind == "circle":
        return [annotated.ellipse(shape["cx"], shape["cy"], shape["r"], shape["r"])]
    if kind == "ellipse" and not shape.get("theta"):
        return [annotated.ellipse(shape["cx"], shape["cy"], shape["rx"], shape["ry"])]
    raise ValueError(f"a {kind} is not read: draw polygons, boxes, circles or upright ellipses")
