"""`carlens check-data`."""

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from rich.table import Table

from training import check
from training import recipe as recipes
from training.check import Report
from training.data.problems import DataError

SHOWN = 5
MANY = 40
"""Of more labels than this, only those with a note are shown."""


def check_data(
    recipe: Annotated[str, typer.Argument(help="Name of a recipe, or a path that ends in .toml.")],
    data: Annotated[Path, typer.Option(help="Folder with the data packs; training/README.md says how it is laid out.")],
    photos: Annotated[
        bool, typer.Option(help="Open every photo: broken ones, wrong sizes, the same picture in both splits.")
    ] = True,
    set_: Annotated[list[str] | None, typer.Option("--set", help="Change one key of the recipe: key=value.")] = None,
) -> None:
    """Check photos and labels as training would read them, and count them, without training.

    Exit code 0 where a run could begin, 2 where something is broken (every problem is a line on stderr).
    """
    try:
        report = check.read(recipes.read(recipe, set_), data)
    except KeyError as error:
        typer.echo(
            f"carlens check-data: recipe {recipe!r}: the key {error} is missing under `task` or `data`", err=True
        )
        raise typer.Exit(2) from None
    except (ValueError, FileNotFoundError) as error:
        typer.echo(f"carlens check-data: {error}", err=True)
        raise typer.Exit(2) from None
    if photos:
        errors = Console(stderr=True)
        columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
        with Progress(*columns, console=errors, transient=True, disable=not errors.is_terminal) as progress:
            bar = progress.add_task("photos", total=sum(len(one.photos) for one in report.splits.values()))
            check.open_photos(report, lambda: progress.advance(bar))
    Console().print(as_table(recipe, report))
    _tell("names of photos in both splits", report.same_name)
    _tell("photos of val that train shows too", [f"{val} (as {train})" for train, val in report.same_photo])
    if report.problems:
        typer.echo(f"carlens check-data: {DataError(report.problems)}", err=True)
        raise typer.Exit(2)


def as_table(name: str, report: Report) -> Table:
    """Photos and labels of each split, a row for each label."""
    table = Table("", *report.splits, "", title=name)
    splits = list(report.splits.values())
    table.add_row("photos", *(str(len(one.photos)) for one in splits), "")
    table.add_row("labels", *(str(one.labels.total()) for one in splits), "")
    if any(one.without for one in splits):
        table.add_row("photos without any", *(str(one.without) for one in splits), "")
    if any(one.crowds for one in splits):
        table.add_row("crowds", *(str(one.crowds) for one in splits), "left out")
    table.add_section()
    for label in report.labels:
        note = report.note(label)
        if note or len(report.labels) <= MANY:
            table.add_row(label, *(str(one.labels[label]) for one in splits), note)
    return table


def _tell(what: str, found: Sequence[str]) -> None:
    if found:
        rest = f", and {len(found) - SHOWN} more" if len(found) > SHOWN else ""
        typer.echo(f"{len(found)} {what}: {', '.join(found[:SHOWN])}{rest}")
