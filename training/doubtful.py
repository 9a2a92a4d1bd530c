"""Validation photos whose label is doubted: a table beside the data, so that figures can be given without them."""

import csv
from dataclasses import dataclass
from pathlib import Path

FOLDER = Path(__file__).parent / "data" / "doubtful"
COLUMNS = ("file", "given", "why")


@dataclass(frozen=True, slots=True)
class Doubt:
    """One row: the photo, the label it was given (empty: any), and why that is doubted."""

    file: str
    given: str
    why: str
    where: str


class Doubts:
    """The rows of `path`; what is asked for is remembered, so that rows that name no photo can be told."""

    def __init__(self, rows: list[Doubt]) -> None:
        self.rows = rows
        self._met: set[Doubt] = set()

    def holds(self, file: str, given: str) -> bool:
        """Whether this photo's label is doubted; for a photo with outlines `given` is empty."""
        found = [row for row in self.rows if row.file == file and (not given or row.given in ("", given))]
        self._met.update(found)
        return bool(found)

    def unmet(self) -> list[Doubt]:
        """The rows that named none of the photos asked for."""
        return [row for row in self.rows if row not in self._met]


def read(path: Path) -> Doubts:
    """The table, CSV with the columns `file`, `given` and `why`. Raises `ValueError` with file and line of what is
    wrong, `FileNotFoundError` where there is no such file."""
    if not path.is_file():
        raise FileNotFoundError(f"{path}: no such file; expected a CSV with the columns {', '.join(COLUMNS)}")
    with path.open(newline="", encoding="utf-8") as file:
        reader = csv.DictReader(file)
        missing = [column for column in COLUMNS if column not in (reader.fieldnames or ())]
        if missing:
            raise ValueError(f"{path}: column {', '.join(missing)} is missing; expected {', '.join(COLUMNS)}")
        rows = []
        for line, record in enumerate(reader, start=2):
            if not record["file"]:
                raise ValueError(f"{path}, line {line}: no file")
            given, why = record["given"] or "", record["why"] or ""
            rows.append(Doubt(record["file"], given, why, f"{path}, line {line}"))
    return Doubts(rows)


def provided(name: str) -> Doubts | None:
    """The table that comes with the data of the predictor `name`, if there is one."""
    path = FOLDER / f"{name}.csv"
    return read(path) if path.exists() else None
