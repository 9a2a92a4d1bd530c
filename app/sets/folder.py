"""The folder that results are kept in: a manifest, a part for each shard that is done, and what failed."""

import csv
import io
import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TextIO

import pyarrow as pa
import pyarrow.parquet as pq
from pydantic import ValidationError

from app.sets.order import Manifest, Shard

MANIFEST = "manifest.json"
BAD = "bad.csv"
ANSWERS = "answers"
"""The folder of the parts: nothing else is in it, so that it is a dataset to those who read Parquet."""


class ForeignFolder(ValueError):
    """The folder holds something else than what is to be written; the text says what to do."""


@dataclass(frozen=True, slots=True)
class Folder:
    """Every file appears whole or not at all, so that whoever comes after a kill may believe what is there."""

    path: Path

    def begin(self, manifest: Manifest) -> None:
        """Makes the folder, or goes on with it. Raises `ForeignFolder` where it holds other things."""
        (self.path / ANSWERS).mkdir(parents=True, exist_ok=True)
        there = self.path / MANIFEST
        if not there.exists():
            if any(one.is_file() and one.suffix != ".tmp" for one in self.path.rglob("*")):
                raise ForeignFolder(f"{self.path} is not empty and has no {MANIFEST}: name a new folder")
            with replacing(there) as file:
                file.write(manifest.model_dump_json(indent=1) + "\n")
            return
        try:
            before = Manifest.model_validate_json(there.read_bytes())
        except ValidationError as error:
            raise ForeignFolder(f"{there} is not one of carlens: name a new folder") from error
        if differences := before.differences(manifest):
            raise ForeignFolder(
                f"{self.path} was begun with another {', '.join(differences)}: name a new folder, or ask the same"
            )

    def part(self, number: int) -> Path:
        return self.path / ANSWERS / f"part-{number:06d}.parquet"

    def has(self, shard: Shard) -> bool:
        """Whether the shard is done."""
        try:
            return int(pq.read_metadata(self.part(shard.number)).num_rows) == len(shard.names)
        except (FileNotFoundError, pa.ArrowInvalid):
            return False

    def write(self, number: int, data: bytes) -> None:
        """A shard's part."""
        _replace(self.part(number), data)

    def rows(self, count: int, columns: Sequence[str] | None = None) -> Iterator[dict[str, Any]]:
        """Those of the first `count` parts, in the photos' order, one part in memory at a time; structs and maps as
        dictionaries."""
        for number in range(count):
            yield from pq.read_table(self.part(number), columns=columns).to_pylist(maps_as_pydicts="strict")

    def list_bad(self, count: int) -> int:
        """Writes `bad.csv`, a line for each thing that failed, and tells of how many photos. As a table of paths it is
        a source itself."""
        bad = 0
        with replacing(self.path / BAD) as file:
            lines = csv.writer(file)
            lines.writerow(["file", "task", "code", "reason"])
            for row in self.rows(count, ["file", "problems"]):
                bad += bool(row["problems"])
                lines.writerows([row["file"], one["task"], one["code"], one["reason"]] for one in row["problems"])
        return bad


@contextmanager
def replacing(path: Path) -> Iterator[TextIO]:
    """A file that takes the place of `path` once all of it is written."""
    temporary = _temporary(path)
    with temporary.open("w", encoding="utf-8", errors="surrogateescape", newline="") as file:
        yield file
        _settle(file, temporary, path)


def _replace(path: Path, data: bytes) -> None:
    temporary = _temporary(path)
    with temporary.open("wb") as file:
        file.write(data)
        _settle(file, temporary, path)


def _temporary(path: Path) -> Path:
    return path.with_name(f".{path.name}.tmp")  # who reads Parquet leaves out what begins with a dot


def _settle(file: io.IOBase | TextIO, temporary: Path, path: Path) -> None:
    file.flush()
    os.fsync(file.fileno())  # else a machine that stops may leave a whole name on half a file
    temporary.replace(path)
