"""`carlens card`."""

from pathlib import Path
from typing import Annotated

import typer

from models.manifest import WeightsError, find
from training import cards


def card(
    name: Annotated[str, typer.Argument(help="Name of the weights: damage, car_details, attributes or your own.")],
    weights: Annotated[
        Path | None, typer.Option(envvar="CARLENS_WEIGHTS_DIR", help="Folder searched before the shipped weights.")
    ] = None,
    report: Annotated[
        Path | None, typer.Option(help="Folder that `carlens evaluate --report` wrote for these weights.")
    ] = None,
    output: Annotated[Path | None, typer.Option(help="File to write. Default: the screen.")] = None,
) -> None:
    """Write the model card of weights: what they do, from which data, how well, under which terms."""
    try:
        manifest = find(name, weights).manifest
        text = cards.card(manifest, cards.read(report) if report else None)
        if output is not None:
            output.write_text(text, encoding="utf-8")
    except (ValueError, OSError, WeightsError) as error:
        typer.echo(f"carlens card: {error}", err=True)
        raise typer.Exit(2) from None
    typer.echo(text if output is None else f"written: {output}", nl=output is not None)
