"""`carlens compare-backbones`."""

from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from rich.table import Table

from training import compare, devices
from training import recipe as recipes
from training.compare import Compared
from training.loop import Report


def compare_backbones(
    data: Annotated[Path, typer.Option(help="Folder with the data packs.")],
    recipe: Annotated[str, typer.Option(help="Recipe of a detector that each backbone is trained by.")] = "damage_toy",
    backbones: Annotated[str, typer.Option(help="Names, separated by commas.")] = ",".join(compare.CHANGES),
    out: Annotated[Path, typer.Option(help="Folder of the runs and of compare.csv.")] = Path("runs/compare"),
    set_: Annotated[list[str] | None, typer.Option("--set", help="Change one key of the recipe: key=value.")] = None,
    device: Annotated[str, typer.Option(help="auto, cpu, cuda, cuda:N or mps.")] = "auto",
    precision: Annotated[str, typer.Option(help="auto, fp32, bf16 or fp16.")] = "auto",
) -> None:
    """Train a detector with each backbone on the same photos, and show size, speed and AP50 in one table.

    Stopped, it goes on where it was; a backbone that is done is not trained again.
    """
    rows: list[Compared] = []
    try:
        chosen, place = recipes.read(recipe, set_), devices.choose(device, precision)
        names = [name.strip() for name in backbones.split(",") if name.strip()]
        columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
        with Progress(*columns, console=Console(stderr=True)) as progress:

            def report(name: str) -> Report:
                bar = progress.add_task(name)
                return lambda step, steps, _: progress.update(bar, completed=step, total=steps)

            for row in compare.compare(chosen, names, data, out, place, report):
                rows.append(row)
                compare.write(rows, out / "compare.csv")
    except (ValueError, FileNotFoundError, FloatingPointError) as error:
        typer.echo(f"carlens compare-backbones: {error}", err=True)
        raise typer.Exit(2) from None
    Console().print(as_table(recipe, rows))
    typer.echo(f"written: {out / 'compare.csv'}")


def as_table(recipe: str, rows: list[Compared]) -> Table:
    table = Table("backbone", "start", "parameters", "ms a photo", "box AP50", title=f"{recipe}, by backbone")
    for row in rows:
        median, low, high = row.milliseconds
        start = Path(row.start).name.partition(".")[0]
        times = f"{median:.0f} ({low:.0f}-{high:.0f})"
        table.add_row(row.backbone, start, f"{row.parameters:.1f} M", times, f"{row.ap50:.3f}")
    return table
