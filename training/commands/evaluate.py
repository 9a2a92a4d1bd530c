"""`carlens evaluate`."""

from pathlib import Path
from typing import Annotated

import typer

from models.backends import resolve_device
from models.manifest import WeightsError
from training import recipe as recipes
from training import tasks
from training.commands.figures import show
from training.evaluate import PREDICTORS, figures


def evaluate(
    name: Annotated[str, typer.Argument(help="damage, car_details or attributes.")],
    data: Annotated[Path, typer.Option(help="Folder with the data packs.")],
    weights: Annotated[
        Path | None, typer.Option(envvar="CARLENS_WEIGHTS_DIR", help="Folder searched before the shipped weights.")
    ] = None,
    device: Annotated[str, typer.Option(help="cpu, cuda or auto.")] = "auto",
    recipe: Annotated[
        str | None, typer.Option(help="Recipe that names the photos. Default: the manifest's own.")
    ] = None,
) -> None:
    """Measure served weights on the validation photos of the data they were trained on."""
    try:
        if name not in PREDICTORS:
            raise ValueError(f"unknown predictor {name!r}: one of {', '.join(PREDICTORS)}")
        predictor = PREDICTORS[name](weights_dir=weights)
        predictor.load(resolve_device(device))
        chosen = recipes.read(recipe or predictor.manifest.training.recipe)
        task = tasks.create(chosen, data, Path("runs") / name)
    except (ValueError, FileNotFoundError, WeightsError) as error:
        typer.echo(f"carlens evaluate: {error}", err=True)
        raise typer.Exit(2) from None
    show(name, figures(predictor, task))
