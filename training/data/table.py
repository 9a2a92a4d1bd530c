"""Label tables: CSV with a `file` column, one label column and a `split`."""

import csv
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from models.photo import Region
from training.data.annotated import Labels
from training.data.problems import Problems

SPLITS = ("train", "val", "test")


@dataclass(frozen=True, slots=True)
class Row:
    """One labelled photo: its file, the number of its label, and what else the table says of it. `region`: the part
    of the photo that the label is of, where it is not of all."""

    file: str
    label: int
    extra: dict[str, str]
    region: Region | None = None


def read(path: Path, column: str, labels: Sequence[str] | Labels, split: str) -> list[Row]:
    """Rows of one split. Raises `DataError` with file and line of every unknown label or split, or `ValueError` with
    what column is missing."""
    labels = labels if isinstance(labels, Labels) else Labels(labels)
    problems = Problems()
    with path.open(newline="", encoding="utf-8-sig") as file:
        reader = csv.DictReader(file)
        missing = {"file", "split", column} - set(reader.fieldnames or ())
        if missing:
            raise ValueError(f"{path}: column {', '.join(sorted(missing))} is missing")
        rows = []
        for record in reader:
            where = f"{path}, line {reader.line_num}"
            if None in record:
                problems.add(where, "more cells than columns")
            elif record["split"] not in SPLITS:
                problems.add(where, f"split {record['split']!r} is not one of {', '.join(SPLITS)}")
            if record["split"] != split:
                continue
            label = labels.number(record[column])
            if label is None:
                problems.add(where, f"{column} {record[column]!r} is not one of {', '.join(labels.names)}")
            elif not record["file"]:
                problems.add(where, "the name of the file is empty")
            else:
                rows.append(Row(record["file"], label, record))
    problems.check()
    return rows
