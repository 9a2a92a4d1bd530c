"""`carlens train`."""

from pathlib import Path
from typing import Annotated

import typer
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from training import checkpoints, tasks, weights
from training import recipe as recipes
from training.commands.figures import show
from training.evaluate import PREDICTORS
from training.loop import Run
from training.recipe import Recipe


def train(
    recipe: Annotated[str, typer.Argument(help="Name of a recipe, or a path that ends in .toml.")],
    data: Annotated[Path, typer.Option(help="Folder with the data packs; training/README.md says how it is laid out.")],
    out: Annotated[
        Path | None, typer.Option(help="Folder of the run; a run found there goes on. Default: runs/NAME.")
    ] = None,
    set_: Annotated[list[str] | None, typer.Option("--set", help="Change one key of the recipe: key=value.")] = None,
) -> None:
    """Train a recipe, or go on with a run that was stopped; then write what can be served to OUT/weights."""
    try:
        chosen = served(recipes.read(recipe, set_))
        folder = out or Path("runs") / chosen.name
        task = tasks.create(chosen, data, folder)
        run = Run(task, folder)
    except (ValueError, FileNotFoundError) as error:
        typer.echo(f"carlens train: {error}", err=True)
        raise typer.Exit(2) from None
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns) as progress:
        bar = progress.add_task(chosen.name, total=run.steps, completed=run.step)

        def report(step: int, steps: int, row: dict[str, float]) -> None:
            losses = " ".join(f"{name} {value:.3f}" for name, value in row.items())
            progress.update(bar, completed=step, description=f"{chosen.name} {losses}")

        run.train(report)
    manifest = weights.export(task, checkpoints.require(folder / "final.pt"), folder / "weights")
    show(manifest.name, manifest.figures)
    typer.echo(f"written: {folder / 'weights' / manifest.name}.safetensors and .json")


def served(recipe: Recipe) -> Recipe:
    """The recipe, if there is a predictor to serve what it makes: better refused now than after the last epoch."""
    predictor = PREDICTORS.get(recipe.name)
    if predictor is None or predictor.kind != recipe.kind:
        kinds = ", ".join(f"{name} ({known.kind})" for name, known in PREDICTORS.items())
        raise ValueError(f"recipe {recipe.name!r} of kind {recipe.kind!r}: no predictor serves it; there are {kinds}")
    missing = set(predictor.heads) - set(recipe.task.get("heads", {})) if recipe.kind == "heads" else set()
    if missing:
        raise ValueError(f"recipe {recipe.name!r}: the heads {', '.join(sorted(missing))} are missing")
    return recipe
