"""`carlens import-yolox`."""

from pathlib import Path
from typing import Annotated

import typer

from models.manifest import WeightsError


def import_yolox(
    file: Annotated[Path, typer.Argument(help="YOLOX-Nano as released: an ONNX file with BatchNorm folded.")],
    out: Annotated[Path, typer.Option(help="Folder to write vehicles.safetensors and vehicles.json to.")],
) -> None:
    """Turn the released YOLOX-Nano into the weights that find vehicles."""
    from training import yolox  # it brings onnx and its runtime

    try:
        manifest = yolox.convert(file, out)
    except (OSError, WeightsError) as error:
        typer.echo(f"carlens import-yolox: {error}", err=True)
        raise typer.Exit(2) from None
    typer.echo(f"written: {out / manifest.name}.safetensors and .json, sha256:{manifest.sha256[:12]}")
