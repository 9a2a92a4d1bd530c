"""`carlens prelabel`."""

from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from models.backends import resolve_device
from models.manifest import WeightsError
from models.predictor import Options
from models.registry import RegistryError, discover
from training import prelabel as labels
from training.data.annotated import Annotated as Photo
from training.data.archive import Archive
from training.prelabel import AnyPredictor, Tags


class Format(StrEnum):
    """What CVAT imports."""

    COCO = "coco"
    DATUMARO = "datumaro"


def prelabel(
    folder: Annotated[Path, typer.Argument(help="Folder of photos, or a zip.")],
    output: Annotated[Path, typer.Option(help="The JSON file to write; COCO's results go beside it.")],
    task: Annotated[str, typer.Option(help="The predictor that labels.")] = "damage",
    format_: Annotated[
        Format, typer.Option("--format", help="coco for outlines; datumaro for outlines or tags.")
    ] = Format.DATUMARO,
    min_score: Annotated[
        float | None, typer.Option(min=0, max=1, help="Lowest score of a detection. Default: a value per class.")
    ] = None,
    weights: Annotated[
        Path | None, typer.Option(envvar="CARLENS_WEIGHTS_DIR", help="Folder searched before the shipped weights.")
    ] = None,
    device: Annotated[str, typer.Option(help="cpu, cuda or auto.")] = "auto",
) -> None:
    """Label photos by a predictor, for people to correct in CVAT.

    Exit code 0, or 2 on wrong usage. Photos that cannot be read are left out and told.
    """
    try:
        archive = Archive(folder.parent / folder.stem if folder.suffix == ".zip" else folder)
        predictor = discover(weights, [task])[task]
        kind = labels.kind_of(predictor)
        options = _options(predictor, min_score)
        labels.check(kind, format_)
        names = archive.photos()
        if not names:
            raise ValueError(f"{folder}: there is no photo in it")
        predictor.load(resolve_device(device))
    except (ValueError, OSError, RegistryError, WeightsError) as error:
        typer.echo(f"carlens prelabel: {error}", err=True)
        raise typer.Exit(2) from None
    photos, tags, count = _ask_all(predictor, kind, archive, names, options)
    try:
        written = labels.write(output, format_, predictor.card.labels, photos, None if kind == "instances" else tags)
    except OSError as error:
        typer.echo(f"carlens prelabel: {output} cannot be written ({error.strerror})", err=True)
        raise typer.Exit(2) from None
    typer.echo(f"{len(photos)} photos, {count} annotations: {', '.join(map(str, written))}")


def _options(predictor: AnyPredictor, min_score: float | None) -> Options:
    specification = predictor.specification
    if min_score is None:
        return specification.options()
    if "min_score" not in specification.options.model_fields:
        raise ValueError(f"{specification.name} has no score to choose: leave --min-score out")
    return specification.options(min_score=min_score)


def _ask_all(
    predictor: AnyPredictor, kind: str, archive: Archive, names: list[str], options: Options
) -> tuple[list[Photo], list[Tags], int]:
    """The photos that were read, their tags, and how many annotations there are, with a progress bar on stderr."""
    photos: list[Photo] = []
    tags: list[Any] = []
    errors = Console(stderr=True)
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=errors, transient=True, disable=not errors.is_terminal) as progress:
        shown = progress.track(names, description="photos")
        for photo, answer in labels.ask(predictor, archive, shown, options, _left_out):
            photos.append(photo)
            if kind == "instances":
                photo.instances += labels.instances(answer, next(iter(predictor.card.labels.values())))
            else:
                tags.append(labels.tags(answer, predictor.card.labels, kind))
    return photos, tags, sum(len(photo.instances) for photo in photos) + sum(map(len, tags))


def _left_out(name: str, reason: str) -> None:
    typer.echo(f"{name}: left out, {reason}", err=True)
