"""Which reader a recipe's photos and labels need: named by `data.format`, else told from the files."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import TypeVar

from training.data import annotated, cardd, coco, datumaro, folders, label_table, regions, stanford, table, via, yolo
from training.data.annotated import Annotated, Labels
from training.data.archive import Archive, Several
from training.data.problems import Problems
from training.data.table import Row
from training.recipe import Recipe

INSTANCES = ("cardd", "coco", "datumaro", "via", "yolo")
LABELLED = ("datumaro", "folders", "regions", "stanford", "table")
T = TypeVar("T")


def instances(recipe: Recipe, data: Path) -> dict[str, tuple[list[Annotated], Archive]]:
    """Photos with their instances, and the archive of the photos, for `train` and `val`. Those of `data.more`, with
    their COCO labels `data.more_labels` (in the data folder, or beside this file), are added to `train`; those in
    `data.more_val_labels` are held back as `more`. To photos of `train` that are in `data.silent_labels`, COCO too, the
    instances of `task.silent` are added, numbered after the labels.

    Raises `DataError` with all that is broken in either, `ValueError` where the recipe does not fit the files.
    """
    found = _both(lambda split: _instances(recipe, data, split))
    if "more" in recipe.data:
        photos, other = _more(recipe, data, "more_labels")
        if "more_val_labels" in recipe.data:
            held, _ = found["more"] = _more(recipe, data, "more_val_labels")
            _apart(photos, held, label_table.find(data, recipe.data["more_val_labels"]), "data.more_labels")
        found["train"] = _with_more(recipe, data, *found["train"], photos, other)
    if "silent_labels" in recipe.data:
        _add_silent(recipe, label_table.find(data, recipe.data["silent_labels"]), found["train"][0])
    return found


def _add_silent(recipe: Recipe, path: Path, photos: list[Annotated]) -> None:
    """Adds the instances of classes that are never told to the photos on which `path` has all of them."""
    by_file, problems = {photo.file: photo for photo in photos}, Problems()
    for silent in coco.read(path, Labels(list(recipe.task.get("silent", [])))):
        photo = by_file.get(silent.file)
        if photo is None:
            problems.add(path, f"photo {silent.file!r} is not among those to train on")
            continue
        first = len(recipe.task["labels"])
        photo.instances += [replace(one, label=first + one.label) for one in silent.instances]
        photo.partial = False
    problems.check()


def _more(recipe: Recipe, data: Path, key: str) -> tuple[list[Annotated], Archive]:
    """The photos of `data.more` that have labels in the file of that key."""
    path, archive = label_table.find(data, _key(recipe, key)), Archive(data / recipe.data["more"])
    problems, photos = Problems(), coco.read(path, Labels(list(recipe.task["labels"]), recipe.task.get("rename", {})))
    annotated.check_files((photo.file for photo in photos), archive.names(), path, problems)
    problems.check()
    return photos, archive


def _with_more(
    recipe: Recipe, data: Path, photos: list[Annotated], archive: Archive, more: list[Annotated], other: Archive
) -> tuple[list[Annotated], Archive]:
    """The photos and `more` of the `other` archive; numbers go on, and files must not be called the same."""
    _apart(photos, more, label_table.find(data, recipe.data["more_labels"]), str(archive.path))
    first = max((photo.id for photo in photos), default=0) + 1
    numbered = [replace(photo, id=first + number) for number, photo in enumerate(more)]
    return [*photos, *numbered], Several([archive, other])


def _apart(photos: list[Annotated], more: list[Annotated], path: Path, of: str) -> None:
    """Raises `DataError` for files of `more`, labelled in `path`, that are also among `photos`, those `of` a source."""
    problems = Problems()
    for file in sorted({photo.file for photo in photos} & {photo.file for photo in more}):
        problems.add(path, f"{file} is also a photo of {of}")
    problems.check()


def labelled(recipe: Recipe, data: Path, labels: list[str]) -> dict[str, tuple[list[Row], Archive]]:
    """Photos with one label each, and the archive of the photos, for `train` and `val`. Raises as `instances` does."""
    return _both(lambda split: _labelled(recipe, data, labels, split))


def _both(read: Callable[[str], T]) -> dict[str, T]:
    problems, found = Problems(), {}
    for split in ("train", "val"):
        with problems.gather():
            found[split] = read(split)
    problems.check()
    return found


def _key(recipe: Recipe, key: str) -> str:
    if key not in recipe.data:
        raise ValueError(f"recipe {recipe.name!r}: the key {key!r} is missing under `data`")
    return recipe.data[key]


def _format(recipe: Recipe, known: tuple[str, ...], detect: Callable[[], str]) -> str:
    given = recipe.data.get("format")
    if given is None:
        return detect()
    if given not in known:
        raise ValueError(f"recipe {recipe.name!r}: data.format {given!r} is not one of {', '.join(known)}")
    return given


def _detect_instances(path: Path) -> str:
    """The format of a file of labels."""
    if path.suffix in (".yaml", ".yml"):
        return "yolo"
    document = annotated.read_json(path)
    if isinstance(document, dict) and {"items", "categories"} <= set(document):
        return "datumaro"
    if isinstance(document, dict) and {"images", "annotations", "categories"} & set(document):
        return "coco"
    if via.entries(document) is not None:
        return "via"
    raise ValueError(f"{path}: not labels that are known; say which of {', '.join(INSTANCES)} in data.format")


def _instances(recipe: Recipe, data: Path, split: str) -> tuple[list[Annotated], Archive]:
    names: list[str] = list(recipe.task["labels"])
    rename: dict[str, str] = recipe.task.get("rename", {})
    if "root" in recipe.data:
        form = _format(recipe, ("cardd",), lambda: "cardd")
        path, photos = cardd.place(data / recipe.data["root"], split)
        rename = {old: new for old, new in cardd.NAMES.items() if new in names} | rename
    else:
        path, photos = data / _key(recipe, f"{split}_labels"), data / _key(recipe, split)
        form = _format(recipe, INSTANCES[1:], lambda: _detect_instances(path))
    labels, archive = Labels(names, rename), Archive(photos)
    if form == "datumaro":
        return datumaro.read(path, labels, archive), archive
    if form == "via":
        return via.read(path, labels, archive, recipe.data.get("attribute")), archive
    if form == "yolo":
        return yolo.read(path, labels, archive), archive
    found, problems = coco.read(path, labels), Problems()
    annotated.check_files((photo.file for photo in found), archive.names(), path, problems)
    problems.check()
    return found, archive


def _labelled(recipe: Recipe, data: Path, names: list[str], split: str) -> tuple[list[Row], Archive]:
    labels, problems = Labels(names, recipe.task.get("rename")), Problems()
    form = _format(recipe, LABELLED, lambda: _detect_labelled(recipe))
    if form == "stanford":
        root = data / _key(recipe, "root")
        rows, archive = stanford.read(root, labels, split)
        where = stanford.find(root, stanford.FILES[split][0])
    else:
        archive = Archive(data / _key(recipe, split))
        where = archive.path
        if form == "table":
            where = data / _key(recipe, "labels")
            rows = table.read(where, _key(recipe, "column"), labels, split)
        elif form == "datumaro":
            where = data / _key(recipe, f"{split}_labels")
            rows = datumaro.read_tags(where, labels, archive)
        elif form == "regions":
            where = data / _key(recipe, f"{split}_labels")
            rows = regions.read(where, recipe.task.get("kinds", []), _key(recipe, "column"), labels)
        else:
            rows = folders.read(labels, archive)
    files = [row.file for row in rows]
    annotated.check_files(dict.fromkeys(files) if form == "regions" else files, archive.names(), where, problems)
    if not rows:
        problems.add(where, f"no photo of the split {split!r}")
    problems.check()
    return rows, archive


def _detect_labelled(recipe: Recipe) -> str:
    if "root" in recipe.data:
        return "stanford"
    if "labels" in recipe.data:
        return "table"
    return "datumaro" if "train_labels" in recipe.data else "folders"
