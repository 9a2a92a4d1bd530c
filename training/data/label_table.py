"""The labels of a classifier: a plain list, or a CSV `label,make,model,year` in class order, which says more."""

import csv
from pathlib import Path
from typing import Any

from training.data.problems import Problems
from training.recipe import Recipe

PROVIDED = Path(__file__).parent
"""Where tables are looked for that are not in the data folder."""

COLUMNS = ("label", "make", "model", "year")


def of_recipe(recipe: Recipe, data: Path) -> list[dict[str, Any]]:
    """One row a class: those of the recipe's table, or its plain `task.labels`. Raises `ValueError` where it has
    neither, or both."""
    name, labels = recipe.data.get("label_table"), recipe.task.get("labels")
    if (name is None) == (labels is None):
        raise ValueError(f"recipe {recipe.name!r}: give either `task.labels` or `data.label_table`")
    if name is not None:
        return read(find(data, name))
    if len(set(labels)) < max(2, len(labels)):
        raise ValueError(f"recipe {recipe.name!r}: task.labels: expected two labels or more, each once")
    return [{"label": label} for label in labels]


def find(data: Path, name: str) -> Path:
    """The table of that name in the data folder, else the one provided here."""
    own = data / name
    return own if own.exists() else PROVIDED / name


def read(path: Path) -> list[dict[str, Any]]:
    """One row a class; make, model and year are None where they are empty. Raises `DataError` with file and line."""
    problems, rows = Problems(), []
    with path.open(newline="", encoding="utf-8-sig") as file:
        reader = csv.DictReader(file)
        missing = [column for column in COLUMNS if column not in (reader.fieldnames or ())]
        if missing:
            raise ValueError(f"{path}: column {', '.join(missing)} is missing")
        seen: set[str] = set()
        for record in reader:
            where = f"{path}, line {reader.line_num}"
            label, year = record["label"], record["year"]
            if not label or label in seen:
                problems.add(where, f"the label {label!r} is there twice" if label else "the label is empty")
            if year and not year.isdecimal():
                problems.add(where, f"year {year!r} is not a number")
                continue
            seen.add(label)
            texts = {column: record[column] or None for column in ("make", "model")}
            rows.append({"label": label, **texts, "year": int(year) if year else None})
    problems.check()
    return rows
