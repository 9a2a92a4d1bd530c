"""What a recipe's photos and labels are, and what is wrong with them, told without training."""

import os
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from training.data import duplicates, formats, heads, label_table
from training.data.archive import Archive, photo_header
from training.data.problems import Problems
from training.recipe import Recipe

RARE = 20
"""A label that is seen less often than this in `train` is told as rare."""


@dataclass(frozen=True, slots=True)
class Photo:
    """One photo: where it lies, and the size that the labels claim, where they claim one."""

    archive: Archive
    file: str
    size: tuple[int, int] | None = None

    @property
    def name(self) -> str:
        return str(self.archive.path / self.file)


@dataclass(slots=True)
class Content:
    """One split: its photos, and how often each label is seen (instances, or photos that have the label)."""

    photos: list[Photo] = field(default_factory=list)
    labels: Counter[str] = field(default_factory=Counter)
    crowds: int = 0
    without: int = 0


@dataclass(slots=True)
class Report:
    """What was found. `same_name` are names of photos in both splits, `same_photo` pairs that show the same."""

    labels: list[str]
    splits: dict[str, Content]
    problems: list[str] = field(default_factory=list)
    same_name: list[str] = field(default_factory=list)
    same_photo: list[tuple[str, str]] = field(default_factory=list)

    def note(self, label: str) -> str:
        """What is to be said of a label: missing, rare, or nothing."""
        missing = [split for split, content in self.splits.items() if not content.labels[label]]
        if missing:
            return f"missing in {' and '.join(missing)}"
        return f"rare, under {RARE}" if self.splits["train"].labels[label] < RARE else ""


def read(recipe: Recipe, data: Path) -> Report:
    """Labels and photos by the very readers that training uses. Raises as they do."""
    found = {"instances": _instances, "classifier": _classifier, "heads": _heads}[recipe.kind](recipe, data)
    names = [{photo.file for photo in content.photos} for content in found.splits.values()]
    found.same_name = sorted(names[0] & names[1])
    return found


def _instances(recipe: Recipe, data: Path) -> Report:
    labels: list[str] = list(recipe.task["labels"])
    splits = {}
    for split, (photos, archive) in formats.instances(recipe, data).items():
        found = Content([Photo(archive, p.file, (p.width, p.height)) for p in photos])
        instances = [one for p in photos for one in p.instances]
        found.labels.update(labels[one.label] for one in instances if not one.crowd)
        found.crowds = sum(one.crowd for one in instances)
        found.without = sum(not p.instances for p in photos)
        empty = {"train": "negatives", "val": "quiet"}[split]
        if empty in recipe.data:
            others = Archive(data / recipe.data[empty])
            found.photos += [Photo(others, name) for name in others.names()]
            found.without += len(others.names())
        splits[split] = found
    return Report(labels, splits)


def _classifier(recipe: Recipe, data: Path) -> Report:
    labels = [row["label"] for row in label_table.of_recipe(recipe, data)]
    splits = {}
    for split, (rows, archive) in formats.labelled(recipe, data, labels).items():
        splits[split] = Content([Photo(archive, row.file) for row in rows], Counter(labels[row.label] for row in rows))
    return Report(labels, splits)


def _heads(recipe: Recipe, data: Path) -> Report:
    samples, archives = heads.read(recipe.task["heads"], data)
    splits = {}
    for split, rows in samples.items():
        places = dict.fromkeys((row.archive, row.file) for row in rows)
        found = Content([Photo(archives[archive], file) for archive, file in places])
        found.labels.update(f"{row.head} {recipe.task['heads'][row.head]['labels'][row.label]}" for row in rows)
        splits[split] = found
    labels = [f"{name} {label}" for name, head in recipe.task["heads"].items() for label in head["labels"]]
    return Report(labels, splits)


def open_photos(report: Report, step: Callable[[], None] = lambda: None) -> None:
    """Opens every photo: those that cannot be read or are of another size than the labels say become problems, those
    that show the same in both splits are noted. `step` is called once a photo."""
    problems = Problems()
    hashes: dict[str, tuple[list[str], list[int]]] = {}
    pool = ThreadPoolExecutor(os.cpu_count())  # nearly all of it is decoding, which lets other threads run
    try:
        for split, content in report.splits.items():
            names, found = hashes[split] = ([], [])
            for photo, (one, wrong) in zip(content.photos, pool.map(_open, content.photos), strict=True):
                step()
                for text in wrong:
                    problems.add(photo.name, text)
                if one is not None:
                    names.append(photo.name)
                    found.append(one)
    finally:
        pool.shutdown(cancel_futures=True)
    report.problems += problems.found
    report.same_photo = list(_pairs(*hashes["train"], *hashes["val"]))


def _open(photo: Photo) -> tuple[int | None, list[str]]:
    """The hash of what it shows, where it can be read, and what is wrong with it."""
    wrong: list[str] = []
    try:
        data = photo.archive.read(photo.file)
        header = photo_header(data)
        size = header.width, header.height
        if photo.size and size != photo.size:
            real, said = (" x ".join(map(str, sides)) for sides in (size, photo.size))
            wrong.append(f"the photo is {real} pixels, its labels say {said}")
        return duplicates.perceptual_hash(data, header), wrong
    except ValueError as error:
        return None, [*wrong, str(error)]


def _pairs(
    train: list[str], train_hashes: list[int], val: list[str], val_hashes: list[int]
) -> Iterator[tuple[str, str]]:
    known = np.array(train_hashes, np.uint64)
    for name, one in zip(val, val_hashes, strict=True):
        for place in duplicates.near(known, one)[:1]:
            yield train[int(place)], name
