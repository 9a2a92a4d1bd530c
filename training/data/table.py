"""Label tables: CSV with a `file` column, one label column and a `split`."""

import csv
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True)
class Row:
    """One labelled photo: its file, the number of its label, and what else the table says of it."""

    file: str
    label: int
    extra: dict[str, str]


def read(path: Path, column: str, labels: Sequence[str], split: str) -> list[Row]:
    """Rows of one split. Raises `ValueError` with file and line of an unknown label, or with what column is missing."""
    with path.open(newline="") as file:
        reader = csv.DictReader(file)
        missing = {"file", "split", column} - set(reader.fieldnames or ())
        if missing:
            raise ValueError(f"{path}: column {', '.join(sorted(missing))} is missing")
        rows = []
        for line, record in enumerate(reader, start=2):
            if record["split"] != split:
                continue
            if record[column] not in labels:
                raise ValueError(f"{path}, line {line}: {column} {record[column]!r} is not one of {', '.join(labels)}")
            rows.append(Row(record["file"], labels.index(record[column]), record))
    return rows
