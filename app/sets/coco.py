"""What was found in a set as COCO: images, categories, and an annotation for each thing with a box."""

import json
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, TextIO

import pyarrow as pa
from pydantic import BaseModel

from app.schemas import AnyPredictor
from app.sets.columns import column_type
from app.sets.folder import Folder, replacing

NAME = "coco.json"


def finding(answer: type[BaseModel]) -> tuple[str, str] | None:
    """The field of the answer that lists things with a box and a score, and that of their class's name; None where it
    has none."""
    told = column_type(answer)
    for field in told if pa.types.is_struct(told) else ():
        kind = field.type.value_type if pa.types.is_list(field.type) else pa.null()
        names = [inner.name for inner in kind] if pa.types.is_struct(kind) else []
        label = next((name for name in ("label", "type") if name in names), None)
        if label and {"box", "score"} <= set(names):
            return field.name, label
    return None


def write(folder: Folder, parts: int, predictors: Mapping[str, AnyPredictor]) -> None:
    """`coco.json` of all photos that were answered, by those of the predictors that find things. Categories have the
    predictor as their supercategory."""
    fields = {
        name: found for name, one in predictors.items() if (found := finding(one.specification.answer)) is not None
    }
    numbers: dict[tuple[str, str], int] = {}
    for name in fields:
        for label in predictors[name].card.labels.get("label", ()):
            numbers.setdefault((name, label), len(numbers) + 1)
    with replacing(folder.path / NAME) as file:
        file.write('{"images": ')
        _write_list(file, _images(folder, parts))
        file.write(',\n"annotations": ')
        _write_list(file, _annotations(folder, parts, fields, numbers))
        file.write(',\n"categories": ')
        _write_list(file, ({"id": id, "name": label, "supercategory": name} for (name, label), id in numbers.items()))
        file.write("}\n")


def _images(folder: Folder, parts: int) -> Iterator[dict[str, Any]]:
    for number, row in enumerate(folder.rows(parts, ["file", "width", "height"]), 1):
        if row["width"] is not None:
            yield {"id": number, "file_name": row["file"], "width": row["width"], "height": row["height"]}


def _annotations(
    folder: Folder, parts: int, fields: Mapping[str, tuple[str, str]], numbers: dict[tuple[str, str], int]
) -> Iterator[dict[str, Any]]:
    """`numbers` of categories grows by labels that no manifest told."""
    count = 0
    for image, row in enumerate(folder.rows(parts, ["file", "width", "height", *fields]), 1):
        for name, (field, label) in fields.items():
            for one in (row[name] or {}).get(field) or ():
                count += 1
                category = numbers.setdefault((name, one[label]), len(numbers) + 1)
                area = row["width"] * row["height"]
                yield {"id": count, "image_id": image, "category_id": category, **_shape(one, area)}


def _shape(one: Mapping[str, Any], pixels: int) -> dict[str, Any]:
    box, mask = one["box"], one.get("mask") or {}
    width, height = box["x2"] - box["x1"], box["y2"] - box["y1"]
    share = one.get("area_fraction")
    outline = mask.get("polygons") or ({"size": mask["size"], "counts": mask["counts"]} if mask.get("counts") else [])
    return {
        "bbox": [box["x1"], box["y1"], round(width, 1), round(height, 1)],
        "area": round(width * height if share is None else share * pixels, 1),
        "segmentation": outline,
        "iscrowd": 0,
        "score": one["score"],
    }


def _write_list(file: TextIO, items: Iterable[Mapping[str, Any]]) -> None:
    """One item at a time, so that no set is too large for the memory."""
    file.write("[")
    for number, item in enumerate(items):
        file.write(",\n" if number else "\n")
        file.write(json.dumps(item, ensure_ascii=False))
    file.write("]")
