"""`carlens sample`."""

import csv
import json
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from training import labelling
from training.data.archive import Archive
from training.sample import Sample, draw


def sample(
    folder: Annotated[Path, typer.Argument(help="Folder of photos, or a zip named without its ending.")],
    count: Annotated[int, typer.Option(min=1, help="How many photos to choose at most.")] = 1000,
    seed: Annotated[int, typer.Option(min=0, help="The same seed chooses the same photos.")] = 0,
    output: Annotated[Path, typer.Option(help="Folder for photos.csv and labels.json.")] = Path("sample"),
    labels: Annotated[
        str | None,
        typer.Option(help="Write CVAT's labels of these weights (name, or manifest .json) or recipe (name, or .toml)."),
    ] = None,
    copy: Annotated[bool, typer.Option(help="Copy the chosen photos to OUTPUT/photos.")] = False,
) -> None:
    """Choose photos to label: spread over the folder's sub-folders, no picture twice, broken ones left out.

    Exit code 0, or 2 where nothing can be chosen.
    """
    try:
        specification = labelling.specification(*labelling.labels_of(labels)) if labels else None
        archive = Archive(folder.parent / folder.stem if folder.suffix == ".zip" else folder)
        found = choose(archive, count, seed)
        if not found.chosen:
            raise ValueError(f"{folder}: no photo in it that can be read")
        save(archive, found, output, copy)
    except (ValueError, OSError) as error:
        typer.echo(f"carlens sample: {error}", err=True)
        raise typer.Exit(2) from None
    for name, reason in found.broken:
        typer.echo(f"{name}: left out, {reason}", err=True)
    left_out = f"left out {len(found.near_duplicates)} near-duplicates and {len(found.broken)} broken ones"
    typer.echo(f"{len(found.chosen)} photos chosen, {left_out}: {output / 'photos.csv'}")
    if specification is not None:
        path = output / "labels.json"
        path.write_text(json.dumps(specification, indent=2, ensure_ascii=False), encoding="utf-8")
        typer.echo(f"labels for CVAT, to paste into the raw view of a task's labels: {path}")


def choose(archive: Archive, count: int, seed: int) -> Sample:
    """`draw`, with a progress bar on stderr."""
    errors = Console(stderr=True)
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=errors, transient=True, disable=not errors.is_terminal) as progress:
        bar = progress.add_task("photos chosen", total=count)
        return draw(archive, count, seed, lambda found: progress.update(bar, completed=len(found.chosen)))


def save(archive: Archive, found: Sample, output: Path, copy: bool) -> None:
    """The list of photos, and the photos themselves where `copy` is set."""
    output.mkdir(parents=True, exist_ok=True)
    with (output / "photos.csv").open("w", newline="", encoding="utf-8") as file:
        csv.writer(file).writerows([("file", "hash"), *((name, f"{one:016x}") for name, one in found.chosen)])
    for name, _ in found.chosen if copy else []:
        target = output / "photos" / name
        if not target.resolve().is_relative_to((output / "photos").resolve()):
            raise ValueError(f"{archive.path}: the name {name!r} leads out of the folder")
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(archive.read(name))
