"""`carlens find-rate`."""

from pathlib import Path
from typing import Annotated

import typer
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from training import devices, rates, tasks
from training import recipe as recipes


def find_rate(
    recipe: Annotated[str, typer.Argument(help="Name of a recipe, or a path that ends in .toml.")],
    data: Annotated[Path, typer.Option(help="Folder with the data packs.")],
    out: Annotated[Path | None, typer.Option(help="Folder of the run. Default: runs/NAME.")] = None,
    steps: Annotated[int, typer.Option(help="Steps, one rate each.")] = 100,
    low: Annotated[float, typer.Option(help="The first rate.")] = 1e-6,
    high: Annotated[float, typer.Option(help="The last rate, if the loss lasts that long.")] = 1.0,
    set_: Annotated[list[str] | None, typer.Option("--set", help="Change one key of the recipe: key=value.")] = None,
    device: Annotated[str, typer.Option(help="auto, cpu, cuda, cuda:N or mps.")] = "auto",
    precision: Annotated[str, typer.Option(help="auto, fp32, bf16 or fp16.")] = "auto",
) -> None:
    """Find the learning rates between which a recipe trains: writes rates.csv and rates.png to the run's folder."""
    try:
        chosen = recipes.read(recipe, set_)
        folder = out or Path("runs") / chosen.name
        tried = rates.spread(low, high, steps)
        place = devices.choose(device, precision)
        task = tasks.create(chosen, data, folder)
        columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
        with Progress(*columns) as progress:
            bar = progress.add_task(chosen.name, total=steps)

            def report(rate: float, loss: float) -> None:
                progress.update(bar, advance=1, description=f"{chosen.name} rate {rate:.1e} loss {loss:.3f}")

            found = rates.measure(task, tried, place, report)
        rates.write(found, folder)
        base, largest = found.suggested()
    except (ValueError, FileNotFoundError) as error:
        typer.echo(f"carlens find-rate: {error}", err=True)
        raise typer.Exit(2) from None
    if found.diverged:
        typer.echo(f"the loss burst at a rate of {found.rates[-1]:.3g}")
    else:
        typer.echo(f"the loss did not burst up to a rate of {high:g}: a higher --high may show more")
    typer.echo(f"base {base:.2g}, largest {largest:.2g}: {rates.RULE}")
    typer.echo(f"one cycle: --set rate={largest:.2g}")
    typer.echo(
        f"cyclical: --set rate={largest:.2g} --set schedule.name=triangular --set schedule.base={base / largest:.2g}"
    )
    typer.echo(f"written: {folder / 'rates.csv'} and rates.png")
