"""`carlens train`."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated

import torch
import typer
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskProgressColumn, TextColumn, TimeRemainingColumn

from models.manifest import Weights
from models.registry import RegistryError, server
from training import checkpoints, devices, graphs, processes, record, tasks, trackers, weights
from training import recipe as recipes
from training.commands.figures import show
from training.interrupts import Interrupted
from training.loop import Report, Run
from training.recipe import Recipe


def train(
    recipe: Annotated[str, typer.Argument(help="Name of a recipe, or a path that ends in .toml.")],
    data: Annotated[Path, typer.Option(help="Folder with the data packs; training/README.md says how it is laid out.")],
    out: Annotated[
        Path | None, typer.Option(help="Folder of the run; a run found there goes on. Default: runs/NAME.")
    ] = None,
    set_: Annotated[list[str] | None, typer.Option("--set", help="Change one key of the recipe: key=value.")] = None,
    device: Annotated[str, typer.Option(help="auto, cpu, cuda, cuda:N or mps.")] = "auto",
    precision: Annotated[str, typer.Option(help="auto, fp32, bf16 or fp16.")] = "auto",
    track: Annotated[
        list[str] | None,
        typer.Option(help="tensorboard (the default), wandb, mlflow or none; as often as you like."),
    ] = None,
) -> None:
    """Train a recipe, or go on with a run that was stopped; then write what can be served to OUT/weights."""
    among = processes.found()
    try:
        chosen = served(recipes.read(recipe, set_))
        folder = out or Path("runs") / chosen.name
        place = devices.choose(device, precision, among.local_rank)
        tracked = trackers.names(track)
        with processes.joined(among, place.device):
            task = tasks.create(chosen, data, folder)
            run = Run(task, folder, place=place, processes=among)
            if among.first and not (folder / "final.pt").exists():
                run.trackers = trackers.start(
                    tracked, trackers.Identity(folder.name, folder, record.plain(chosen), run.step)
                )
            _run(run, chosen.name)
    except Interrupted as stop:
        if among.first:
            typer.echo(f"carlens train: {stop}; the same command goes on from there", err=True)
        raise typer.Exit(128 + stop.number) from None
    except torch.OutOfMemoryError:
        typer.echo(f"carlens train: {place.device} is out of memory: lower `batch`, or raise `accumulate`", err=True)
        raise typer.Exit(2) from None
    except (ValueError, FileNotFoundError, FloatingPointError, RegistryError) as error:
        typer.echo(f"carlens train: {error}", err=True)
        raise typer.Exit(2) from None
    if not among.first:
        return
    manifest = weights.export(task, checkpoints.require(folder / "final.pt"), folder / "weights")
    show(manifest.name, manifest.figures)
    typer.echo(f"written: {folder / 'weights' / manifest.name}.safetensors and .json")
    try:
        graphs.write(Weights(manifest, folder / "weights" / f"{manifest.name}.safetensors"))
    except graphs.GraphError as error:
        typer.echo(f"no graphs, so torch alone can serve it: {error}", err=True)


def _run(run: Run, name: str) -> None:
    """The run with a progress bar, and its trackers closed whatever happens."""
    try:
        with _shown(run, name) as report:
            run.train(report)
    finally:
        for tracker in run.trackers:
            tracker.close()


@contextmanager
def _shown(run: Run, name: str) -> Iterator[Report | None]:
    """A bar with the losses, photos a second and the time left; nothing but in the first process."""
    if not run.processes.first:
        yield None
        return
    bar, losses = BarColumn(), TextColumn("{task.fields[losses]}")
    columns = (TextColumn("{task.description}"), bar, MofNCompleteColumn(), TaskProgressColumn(), losses)
    with Progress(*columns, TimeRemainingColumn()) as progress:
        shown = progress.add_task(name, total=run.steps, completed=run.step, losses="")

        def report(step: int, _: int, row: dict[str, float]) -> None:
            means = " ".join(f"{key} {value:.3f}" for key, value in row.items() if key not in ("lr", "photos_per_s"))
            progress.update(shown, completed=step, losses=f"{means} {row['photos_per_s']:.1f} photos/s")

        yield report


def served(recipe: Recipe) -> Recipe:
    """The recipe, if there is a predictor to serve what it makes: better refused now than after the last epoch."""
    predictor = server(recipe.name, recipe.kind)
    if getattr(predictor, "kind", None) != recipe.kind:
        raise ValueError(f"recipe {recipe.name!r} is of kind {recipe.kind!r}, the predictor of that name is not")
    missing = set(predictor.heads) - set(recipe.task.get("heads", {})) if recipe.kind == "heads" else set()
    if missing:
        raise ValueError(f"recipe {recipe.name!r}: the heads {', '.join(sorted(missing))} are missing")
    return recipe
