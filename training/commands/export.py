"""`carlens export`."""

from pathlib import Path
from typing import Annotated

import typer

from models.manifest import WeightsError, find
from training import graphs
from training.export import FORMATS, ExportError
from training.export import export as write


def export(
    name: Annotated[str, typer.Argument(help="Name of the weights, such as damage.")],
    form: Annotated[str, typer.Option("--format", help="onnx, openvino, tensorrt, or graph.")] = "onnx",
    output: Annotated[Path | None, typer.Option(help="File to write. Default: NAME.onnx, .xml or .plan here.")] = None,
    weights: Annotated[
        Path | None, typer.Option(envvar="CARLENS_WEIGHTS_DIR", help="Folder searched before the shipped weights.")
    ] = None,
) -> None:
    """Write weights as a graph for another runtime, with its pre- and post-processing in the metadata.

    `graph` is what this service itself reads where there is no torch: it holds no weights but points into the
    safetensors file, beside which it is written.
    """
    try:
        if form == "graph":
            if output:
                raise ExportError("--output: graphs lie beside the weights that they point into")
            paths = graphs.write(find(name, weights))
            typer.echo(f"written: {', '.join(map(str, paths))}")
            return
        if form not in FORMATS:
            raise ExportError(f"unknown format {form!r}: one of {', '.join(FORMATS)}, graph")
        path = output or Path(f"{name}{FORMATS[form]}")
        if not path.parent.is_dir():
            raise ExportError(f"{path.parent} is no folder")
        difference = write(find(name, weights), form, path)
    except (ExportError, graphs.GraphError, WeightsError) as error:
        typer.echo(f"carlens export: {error}", err=True)
        raise typer.Exit(2) from None
    typer.echo(f"written: {path} (ONNX Runtime differs from torch by at most {difference:.2g})")
