"""`carlens quantize`."""

from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table

from models.backends import INT8
from models.manifest import Int8, Manifest, WeightsError
from models.registry import RegistryError
from training import cards, ranges, tasks, weights
from training import quantize as ranged
from training import recipe as recipes
from training.evaluate import figures, open_predictor
from training.graphs import GraphError


def quantize(
    name: Annotated[str, typer.Argument(help="Name of the weights: damage, car_details, attributes or your own.")],
    data: Annotated[Path, typer.Option(help="Folder with the data packs.")],
    weights_dir: Annotated[
        Path | None,
        typer.Option("--weights", envvar="CARLENS_WEIGHTS_DIR", help="Folder searched before the shipped weights."),
    ] = None,
    recipe: Annotated[
        str | None, typer.Option(help="Recipe that names the photos. Default: the manifest's own.")
    ] = None,
    photos: Annotated[int, typer.Option(min=1, help="Training photos that ranges are taken from.")] = 300,
    seed: Annotated[int, typer.Option(help="Which photos: the same seed draws the same.")] = 0,
) -> None:
    """Write an int8 graph beside weights, for the backend openvino-int8: quicker, a little less right.

    The ranges of activations are taken from training photos; then it is measured on the validation photos, and the
    manifest, and the card where there is one, say what it came to. The weights stay as they are.
    """
    try:
        predictor = open_predictor(name, weights_dir)
        task = tasks.create(recipes.read(recipe or predictor.manifest.training.recipe), data, Path("runs") / name)
        written = ranged.write(predictor.weights, ranges.items(predictor, task, photos, seed))
        typer.echo(f"written: {', '.join(map(str, written))}")
        predictor = open_predictor(name, weights_dir, INT8)
        predictor.load("cpu")
        found = figures(predictor, task)
    except (ValueError, OSError, RegistryError, WeightsError, GraphError) as error:
        typer.echo(f"carlens quantize: {error}", err=True)
        raise typer.Exit(2) from None
    stated = Int8(
        backend=INT8,
        photos=photos,
        seed=seed,
        figures=found,
        figures_command=f"carlens evaluate {name} --data DATA --backend {INT8}",
    )
    manifest = predictor.manifest.model_copy(update={"int8": stated})
    weights.write(predictor.weights.path.parent, manifest)
    card = predictor.weights.path.with_suffix(".md")
    if card.exists():
        card.write_text(_with_section(card.read_text(encoding="utf-8"), manifest), encoding="utf-8")
    _show(manifest, stated)


def _with_section(card: str, manifest: Manifest) -> str:
    """A card that was written before, its section about int8 made anew; all else stays, a report's figures too."""
    sections = [one for one in card.split("\n## ") if not one.startswith(f"{cards.INT8}\n")]
    place = next((n for n, one in enumerate(sections) if one.startswith("Known weaknesses\n")), len(sections))
    sections.insert(place, cards.int8(manifest).removeprefix("## ") + "\n")
    return "\n## ".join(one.rstrip("\n") + "\n" for one in sections)


def _show(manifest: Manifest, stated: Int8) -> None:
    table = Table("figure", "val", "int8", "difference", title=manifest.name)
    for key, value in stated.figures.items():
        plain = manifest.figures.get(key)
        told = ("", "") if plain is None else (str(plain), f"{value - plain:+.4f}")
        table.add_row(key, told[0], str(value), told[1])
    Console().print(table)
