"""Which photos a set has: folders, patterns, tables of paths and single photos, here or in an object store."""

import csv
import io
from collections.abc import Iterator, Sequence
from pathlib import Path, PurePosixPath

import fsspec
import pyarrow.parquet as pq
from fsspec.core import has_magic, url_to_fs
from fsspec.implementations.local import LocalFileSystem

from app.suffixes import SUFFIXES

TABLES = {".csv", ".parquet"}

COLUMNS = ("file", "path", "url", "uri", "image", "file_name", "filename")
"""What the column of paths may be called; that of a table with one column may be called anything."""


class SourceError(ValueError):
    """A source that cannot be listed; the text names it and says what to mend."""


def listed(sources: Sequence[str]) -> list[str]:
    """The photos of all sources, each once, in the order of their names: absolute paths here, URLs elsewhere. Raises
    `SourceError`."""
    found: set[str] = set()
    for source in sources:
        try:
            found.update(_names(source))
        except SourceError:
            raise
        except Exception as error:  # each kind of object store raises errors of its own
            raise SourceError(f"{source} cannot be listed: {str(error) or type(error).__name__}") from error
    return sorted(found)


def read(name: str, most: int) -> bytes:
    """The file's bytes, `most` + 1 of them at most: enough to tell that it is too large. Raises whatever the store
    raises."""
    files, path = url_to_fs(name)
    data: bytes = files.cat_file(path, start=0, end=most + 1)
    return data


def _names(source: str) -> Iterator[str]:
    files, path = url_to_fs(source)
    if has_magic(path) and not files.exists(path):
        matches = files.glob(path, detail=True)
        if not matches:
            raise SourceError(f"nothing is called {source}")
        for match, told in matches.items():
            yield from _within(files, match) if told["type"] == "directory" else _of_file(files, match)
    elif files.isdir(path):
        yield from _within(files, path)
    elif files.exists(path):
        yield from _of_file(files, path)
    else:
        raise SourceError(f"{source} does not exist")


def _within(files: fsspec.AbstractFileSystem, folder: str) -> Iterator[str]:
    return (_full(files, path) for path in files.find(folder) if PurePosixPath(path).suffix.lower() in SUFFIXES)


def _of_file(files: fsspec.AbstractFileSystem, path: str) -> Iterator[str]:
    """The photo, or those that a table tells. Relative ones are looked for beside the table."""
    suffix = PurePosixPath(path).suffix.lower()
    if suffix not in TABLES:
        yield _full(files, path)
        return
    folder = PurePosixPath(path).parent
    for name in _parquet(files, path) if suffix == ".parquet" else _csv(files, path):
        if "://" in name:
            yield _full(*url_to_fs(name))
        elif PurePosixPath(name).is_absolute():
            yield _full(*url_to_fs(Path(name).as_uri()))
        elif name:
            yield _full(files, _plain(folder / name))


def _plain(path: PurePosixPath) -> str:
    """Without `..`, so that a photo has one name."""
    parts: list[str] = []
    for part in path.parts:
        if part == ".." and parts:
            parts.pop()
        else:
            parts.append(part)
    return str(PurePosixPath(*parts))


def _csv(files: fsspec.AbstractFileSystem, path: str) -> Iterator[str]:
    with files.open(path, "rb") as file:
        rows = csv.DictReader(io.TextIOWrapper(file, encoding="utf-8-sig", newline=""))
        column = _column(rows.fieldnames or [], path)
        yield from ((row[column] or "").strip() for row in rows)


def _parquet(files: fsspec.AbstractFileSystem, path: str) -> Iterator[str]:
    with files.open(path, "rb") as file:
        table = pq.ParquetFile(file)
        column = _column(table.schema_arrow.names, path)
        for batch in table.iter_batches(columns=[column]):
            yield from (str(name or "") for name in batch.column(0).to_pylist())


def _column(names: Sequence[str], path: str) -> str:
    chosen = next((name for name in COLUMNS if name in names), names[0] if len(names) == 1 else None)
    if chosen is None:
        told = ", ".join(names) or "no columns"
        raise SourceError(f"{path} has {told}: call the column of paths {' or '.join(COLUMNS[:3])}")
    return chosen


def _full(files: fsspec.AbstractFileSystem, path: str) -> str:
    return path if isinstance(files, LocalFileSystem) else str(files.unstrip_protocol(path))
