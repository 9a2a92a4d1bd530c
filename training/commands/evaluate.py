"""`carlens evaluate`."""

from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.table import Table

from models.backends import AUTO, NAMES, resolve_device
from models.graphs import QUANTIZED
from models.manifest import Manifest, WeightsError
from models.predictors.vehicles import Vehicles
from models.registry import RegistryError
from training import cropped, tasks, wide
from training import doubtful as doubts
from training import recipe as recipes
from training import report as reports
from training.commands.figures import show
from training.doubtful import Doubts
from training.evaluate import Findings, findings, open_predictor, summary
from training.findings import Instances

SHOWN = 20


def evaluate(
    name: Annotated[str, typer.Argument(help="Name of the weights: damage, car_details, attributes or your own.")],
    data: Annotated[Path, typer.Option(help="Folder with the data packs.")],
    weights: Annotated[
        Path | None, typer.Option(envvar="CARLENS_WEIGHTS_DIR", help="Folder searched before the shipped weights.")
    ] = None,
    device: Annotated[str, typer.Option(help="cpu, cuda or auto.")] = "auto",
    backend: Annotated[
        str, typer.Option(help=f"What computes: {', '.join((AUTO, *NAMES))}. In bf16 figures differ in the last digit.")
    ] = AUTO,
    recipe: Annotated[
        str | None, typer.Option(help="Recipe that names the photos. Default: the manifest's own.")
    ] = None,
    report: Annotated[
        Path | None, typer.Option(help="Folder for a report: report.html with pictures, and figures.json.")
    ] = None,
    doubtful: Annotated[
        Path | None,
        typer.Option(
            help="CSV (file, given, why) of photos whose label is doubted; figures are given without them too. "
            "Default: training/data/doubtful/NAME.csv, where there is one."
        ),
    ] = None,
    wide_photos: Annotated[
        int, typer.Option("--wide", min=0, help="Measure the locator on so many made-up wide photos of each kind.")
    ] = 0,
) -> None:
    """Measure served weights on the validation photos of the data they were trained on."""
    try:
        if backend not in (AUTO, *NAMES):
            raise ValueError(f"unknown backend {backend!r}: one of {', '.join((AUTO, *NAMES))}")
        predictor = open_predictor(name, weights, backend)
        predictor.load(resolve_device(device))
        if backend not in (AUTO, predictor.card.backend):
            raise ValueError(f"{name} has no int8 graph; {QUANTIZED.format(name)}")
        if isinstance(predictor, Vehicles) or wide_photos:
            show(name, _wide(predictor, data, weights, resolve_device(device), wide_photos))
            return
        chosen = recipes.read(recipe or predictor.manifest.training.recipe)
        task = tasks.create(chosen, data, Path("runs") / name)
        doubted, source = (doubts.read(doubtful), str(doubtful)) if doubtful else _provided(name)
        if report is not None:
            report.mkdir(parents=True, exist_ok=True)
        found = findings(predictor, task)
        left_out = _left_out(predictor.manifest, found, doubted, source)
    except (ValueError, OSError, RegistryError, WeightsError) as error:
        typer.echo(f"carlens evaluate: {error}", err=True)
        raise typer.Exit(2) from None
    figures = summary(predictor.manifest, found)
    show(name, figures)
    command = f"carlens evaluate {name} --data DATA" + (f" --recipe {Path(recipe).name}" if recipe else "")
    told = reports.document(predictor.manifest, found, figures, command, left_out)
    for title, classes in _by_label(told):
        _show_classes(title, classes)
    if left_out:
        typer.echo(f"without {left_out.photos} photos whose label is doubted in {source}:")
        show(name, left_out.figures)
    if report is not None:
        typer.echo(f"written: {reports.write(report, told, found)}")


def _wide(predictor: Any, data: Path, weights: Path | None, device: str, count: int) -> dict[str, float]:
    """The locator's figures. Raises `ValueError` for other weights, and where no number of photos is given."""
    if not isinstance(predictor, Vehicles):
        raise ValueError(f"{predictor.name}: --wide measures what finds vehicles: carlens evaluate vehicles --wide 150")
    if not count:
        raise ValueError(f"{predictor.name} has no validation photos of its own: say how many to make up, --wide 150")
    scenes = wide.Scenes(data)
    readers = {name: open_predictor(name, weights) for name in scenes.cars}
    for reader in readers.values():
        reader.load(device)
    return wide.figures(predictor, readers, scenes, count) | cropped.figures(predictor, readers, cropped.photos(data))


def _provided(name: str) -> tuple[Doubts | None, str]:
    return doubts.provided(name), f"training/data/doubtful/{name}.csv"


def _left_out(manifest: Manifest, found: Findings, doubted: Doubts | None, source: str) -> reports.Doubtful | None:
    """The figures without the doubted photos; None where there are none."""
    if doubted is None:
        return None
    rest: Findings
    if isinstance(found, Instances):
        rest = found.without(doubted)
        photos = len(found.photos) + len(found.quiet_files) - len(rest.photos) - len(rest.quiet_files)
    else:
        rest = [head.without(doubted) for head in found]
        photos = sum(len(one.files) - len(other.files) for one, other in zip(found, rest, strict=True))
    unmet = doubted.unmet()
    if unmet:
        typer.echo(
            f"carlens evaluate: {len(unmet)} of {len(doubted.rows)} rows name no validation photo with that label, "
            f"the first is {unmet[0].where}: {unmet[0].file} {unmet[0].given}",
            err=True,
        )
    return reports.Doubtful(source, photos, summary(manifest, rest)) if photos else None


def _by_label(told: dict[str, Any]) -> list[tuple[str, list[dict[str, Any]]]]:
    if "instances" in told:
        return [("at the thresholds", told["instances"]["classes"])]
    return [(name, head["classes"]) for name, head in told["heads"].items()]


def _show_classes(title: str, classes: list[dict[str, Any]]) -> None:
    """Prints precision, recall and F1; of many labels the weakest."""
    rows = classes
    if len(classes) > SHOWN:
        rows = sorted(classes, key=lambda one: one["f1"])[:SHOWN]
        title += f": the {SHOWN} weakest of {len(classes)}"
    table = Table("label", "number", "precision", "recall", "F1", title=title)
    for one in rows:
        shares = (f"{one[key]:.3f}" for key in ("precision", "recall", "f1"))
        table.add_row(one["label"], str(one["support"]), *shares)
    Console().print(table)
