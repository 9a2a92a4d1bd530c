"""YOLO's labels: a line of text for every box or polygon, in shares of the photo's sides; names in data.yaml."""

import math
from collections.abc import Sequence
from pathlib import Path, PurePosixPath

import numpy as np
import yaml

from training.data import annotated
from training.data.annotated import Annotated, Instance, Labels, Ring
from training.data.archive import Archive
from training.data.problems import Problems


def names(path: Path) -> list[str]:
    """The class names of `data.yaml`, a list or an object numbered from 0. Raises `ValueError` with the line."""
    try:
        document = yaml.safe_load(path.read_text(encoding="utf-8"))
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        place = f"line {mark.line + 1}, column {mark.column + 1}: " if mark else ""
        raise ValueError(f"{path}: not YAML ({place}{getattr(error, 'problem', error)})") from None
    listed = document.get("names") if isinstance(document, dict) else None
    if isinstance(listed, dict):
        if sorted(listed, key=str) != sorted(range(len(listed)), key=str):
            raise ValueError(f"{path}: names are not numbered from 0 on: {', '.join(map(str, listed))}")
        listed = [listed[number] for number in range(len(listed))]
    if not isinstance(listed, list) or not listed:
        raise ValueError(f"{path}: no names of classes; expected `names: [dent, scratch]` or `names: {{0: dent}}`")
    return [str(name) for name in listed]


def labels_of(archive: Archive) -> Archive:
    """Where the label files of these photos lie: the last part `images` of the path is `labels`, else beside them."""
    parts = list(archive.path.parts)
    if "images" not in parts:
        return archive
    place = len(parts) - 1 - parts[::-1].index("images")
    parts[place] = "labels"
    try:
        return Archive(Path(*parts))
    except FileNotFoundError as error:
        raise ValueError(f"{archive.path}: no labels for these photos: {error}") from None


def read(path: Path, labels: Labels, archive: Archive) -> list[Annotated]:
    """Photos in the order of their names; one without a label file has no instance. A box is its four corners.

    Raises `DataError` with file and line of all that is broken.
    """
    classes = names(path)
    problems, photos = Problems(), []
    if unknown := labels.unknown(classes, "names"):
        problems.add(path, unknown)
    problems.check()
    texts = labels_of(archive)
    files = [name for name in archive.names() if PurePosixPath(name).suffix not in (".txt", ".cache", ".yaml")]
    waiting = {name for name in texts.names() if name.endswith(".txt") and name not in ("classes.txt", "README.txt")}
    for number, file in enumerate(files, start=1):
        try:
            photo = Annotated(number, file, *archive.size(file))
        except ValueError as error:
            problems.add(archive.path / file, str(error))
            continue
        photos.append(photo)
        text = str(PurePosixPath(file).with_suffix(".txt"))
        if text not in waiting:
            continue
        waiting.remove(text)
        for line, written in enumerate(texts.read(text).decode("utf-8", "replace").splitlines(), start=1):
            if written.strip():
                _add(photo, written.split(), classes, labels, f"{texts.path / text}, line {line}", problems)
    for text in sorted(waiting):
        problems.add(texts.path / text, "labels of a photo that does not exist in the archive of photos")
    problems.check()
    return photos


def _add(
    photo: Annotated, fields: Sequence[str], classes: Sequence[str], labels: Labels, where: str, problems: Problems
) -> None:
    try:
        number, ring = _line(fields, photo)
        if not 0 <= number < len(classes):
            raise ValueError(f"class {number} does not exist, there are {len(classes)} names")
    except ValueError as error:
        problems.add(where, str(error))
        return
    label = labels.number(classes[number])
    assert label is not None
    annotated.add(photo, Instance(label, [ring]), where, problems)


def _line(fields: Sequence[str], photo: Annotated) -> tuple[int, Ring]:
    """Class and outline: `class x y width height` of a box by its middle, or `class x y x y x y …`."""
    if len(fields) != 5 and (len(fields) < 7 or len(fields) % 2 == 0):
        raise ValueError(f"{len(fields)} fields, expected 5 for a box, or 7, 9, 11 … for a polygon")
    try:
        number, values = int(fields[0]), [float(field) for field in fields[1:]]
    except ValueError:
        raise ValueError(f"not numbers: {' '.join(fields[:7])}") from None
    if not all(math.isfinite(value) and 0 <= value <= 1 for value in values):
        worst = next(value for value in values if not 0 <= value <= 1)
        raise ValueError(f"{worst:g} is not a share of the photo's side, 0 to 1")
    if len(values) > 4:
        return number, (np.array(values).reshape(-1, 2) * (photo.width, photo.height)).astype(np.float32)
    x, y, width, height = np.array(values) * ([photo.width, photo.height] * 2)
    return number, annotated.rectangle(x - width / 2, y - height / 2, width, height)
