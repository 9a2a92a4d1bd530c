"""Photos of several heads: each is labelled for one of them, by that head's table."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from training.data import table
from training.data.archive import Archive
from training.data.problems import Problems

MISSING = -1
UNLABELLED = ""
"""Number of no label, and name of no head."""


@dataclass(frozen=True, slots=True)
class Sample:
    """One photo: where it lies, which head it labels and how; a cut-out has its background removed."""

    archive: str
    file: str
    head: str
    label: int
    cutout: bool


def read(heads: Mapping[str, Mapping[str, Any]], data: Path) -> tuple[dict[str, list[Sample]], dict[str, Archive]]:
    """The photos of `train` and `val`, and the archives they lie in. Raises `DataError` with file and line of all that
    is broken, and with photos that do not exist."""
    problems = Problems()
    samples: dict[str, list[Sample]] = {"train": [], "val": []}
    for split in samples:
        for name, head in heads.items():
            with problems.gather():
                samples[split] += _rows(name, head, data, split)
    archives: dict[str, Archive] = {}
    for name in sorted({sample.archive for rows in samples.values() for sample in rows}):
        with problems.gather():
            archives[name] = Archive(data / name)
    names = {name: set(archive.names()) for name, archive in archives.items()}
    for sample in (sample for rows in samples.values() for sample in rows):
        if sample.archive in names and sample.file not in names[sample.archive]:
            where = data / heads[sample.head]["table"]
            problems.add(where, f"photo {sample.file!r} does not exist in {sample.archive}")
    problems.check()
    return samples, archives


def _rows(name: str, head: Mapping[str, Any], data: Path, split: str) -> list[Sample]:
    found = []
    for row in table.read(data / head["table"], name, head["labels"], split):
        cutout = row.extra.get("kind") == "cutout"
        archive = row.extra.get("archive") or f"{head['cutouts' if cutout else 'photos']}_{split}"
        found.append(Sample(archive.removesuffix(".zip"), row.file, name, row.label, cutout))
    return found


def unlabelled(
    names: Sequence[str], data: Path, known: Mapping[str, Archive]
) -> tuple[list[Sample], dict[str, Archive]]:
    """The photos of archives, labelled for no head, and the archives with those already `known`. Raises `DataError`
    for all that do not exist."""
    problems, samples, archives = Problems(), list[Sample](), dict(known)
    for name in names:
        with problems.gather():
            archives[name] = archives.get(name) or Archive(data / name)
            samples += [Sample(name, file, UNLABELLED, MISSING, cutout=False) for file in archives[name].photos()]
    problems.check()
    return samples, archives
