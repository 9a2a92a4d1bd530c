"""What a served predictor sees on photos, as annotations that a person then corrects."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel

from models.photo import PhotoError, whole
from models.predictor import Options, Predictor
from training.data import annotated, coco, datumaro
from training.data.annotated import Annotated, Instance
from training.data.archive import Archive
from training.labelling import VALUE
from training.outputs import outputs

AnyPredictor = Predictor[Any, Any]
Tags = list[tuple[int, dict[str, Any]]]
_SEEN = {"detections", "instances"}
"""What answers call their instances."""


def kind_of(predictor: AnyPredictor) -> Literal["instances", "classifier", "heads"]:
    """What its answers can be written as. Raises `ValueError` where that is nothing."""
    fields, heads = predictor.specification.answer.model_fields, predictor.card.labels
    if _SEEN & set(fields):
        return "instances"
    if "best" in fields:
        return "classifier"
    if heads and all(head in fields for head in heads):
        return "heads"
    raise ValueError(f"{predictor.specification.name}: its answers hold nothing that can be annotated")


def check(kind: str, form: str) -> None:
    """Raises `ValueError` where the format cannot hold such annotations."""
    if kind != "instances" and form == "coco":
        raise ValueError("COCO has no tags for whole photos: use --format datumaro")


def ask(
    predictor: AnyPredictor,
    archive: Archive,
    names: Iterable[str],
    options: Options,
    left_out: Callable[[str, str], None],
) -> Iterator[tuple[Annotated, BaseModel]]:
    """The photos, numbered from 1, each with its answer; `left_out` is told name and reason of what cannot be read."""
    read: list[str] = []

    def photos() -> Iterator[NDArray[np.uint8]]:
        for name in names:
            try:
                pixels = archive.photo(name)
            except PhotoError as error:
                left_out(name, f"the photo cannot be read: {error}")
            else:
                read.append(name)
                yield pixels

    found = outputs(predictor, photos(), predictor.specification.batch_sizes[-1], options)
    for number, (header, output) in enumerate(found, start=1):
        photo = Annotated(number, read[number - 1], header.width, header.height)
        yield photo, predictor.finish(output, header, whole(header), options)


def instances(answer: Any, labels: Sequence[str]) -> list[Instance]:
    """The detections with their score: outlines where there are some, else boxes."""
    found = []
    seen = next(getattr(answer, name) for name in _SEEN if hasattr(answer, name))
    for detection in seen:
        box = detection.box
        rings = [annotated.polygon(polygon) for polygon in getattr(detection.mask, "polygons", None) or []]
        rings = [ring for ring in rings if ring is not None]
        if not rings and box.x2 > box.x1 and box.y2 > box.y1:
            rings = [annotated.rectangle(box.x1, box.y1, box.x2 - box.x1, box.y2 - box.y1)]
        if rings:
            found.append(Instance(labels.index(detection.label), rings, attributes={"score": detection.score}))
    return found


def tags(answer: Any, labels: Mapping[str, Sequence[str]], kind: str) -> Tags:
    """A classifier's best label; of heads one tag each, whose attribute says which of the head's labels it is."""
    if kind == "classifier":
        (names,) = labels.values()
        return [(list(names).index(answer.best.label), {"score": answer.best.score})]
    scored = [getattr(answer, head) for head in labels]
    return [(n, {VALUE: one.label, "score": one.score}) for n, one in enumerate(scored)]


def write(
    path: Path, form: str, labels: Mapping[str, Sequence[str]], photos: Sequence[Annotated], of: Sequence[Tags] | None
) -> list[Path]:
    """The files written: `path`, and for COCO the results beside it. `of` are the photos' tags, None for instances."""
    path.parent.mkdir(parents=True, exist_ok=True)
    if of is not None:
        datumaro.write_tags(path, photos, *_tagged(labels, of))
        return [path]
    (names,) = labels.values()
    if form == "datumaro":
        datumaro.write(path, photos, names)
        return [path]
    results = path.with_name(f"{path.stem}_results.json")
    coco.write(path, photos, names)
    coco.results(results, photos)
    return [path, results]


def _tagged(labels: Mapping[str, Sequence[str]], of: Sequence[Tags]) -> tuple[list[str], Sequence[Tags]]:
    """The names of the tags: a classifier's labels, or the heads."""
    heads = any(VALUE in attributes for one in of for _, attributes in one)
    return list(labels) if heads else [name for names in labels.values() for name in names], of
