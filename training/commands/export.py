"""`carlens export`."""

from pathlib import Path
from typing import Annotated

import typer

from models.manifest import WeightsError, find
from training.export import FORMATS, ExportError
from training.export import export as write


def export(
    name: Annotated[str, typer.Argument(help="Name of the weights, such as damage.")],
    form: Annotated[str, typer.Option("--format", help="onnx, openvino or tensorrt.")] = "onnx",
    output: Annotated[Path | None, typer.Option(help="File to write. Default: NAME.onnx, .xml or .plan here.")] = None,
    weights: Annotated[
        Path | None, typer.Option(envvar="CARLENS_WEIGHTS_DIR", help="Folder searched before the shipped weights.")
    ] = None,
) -> None:
    """Write weights as a graph for another runtime, with its pre- and post-processing in the metadata."""
    try:
        if form not in FORMATS:
            raise ExportError(f"unknown format {form!r}: one of {', '.join(FORMATS)}")
        path = output or Path(f"{name}{FORMATS[form]}")
        if not path.parent.is_dir():
            raise ExportError(f"{path.parent} is no folder")
        difference = write(find(name, weights), form, path)
    except (ExportError, WeightsError) as error:
        typer.echo(f"carlens export: {error}", err=True)
        raise typer.Exit(2) from None
    typer.echo(f"written: {path} (ONNX Runtime differs from torch by at most {difference:.2g})")
