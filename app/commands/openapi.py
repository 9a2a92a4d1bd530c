"""`carlens openapi`: the OpenAPI document, printed, written, or compared with a file."""

from pathlib import Path
from typing import Annotated

import typer

from app.commands.inside import choose, fail, read_settings
from app.main import openapi_document


def openapi(
    output: Annotated[
        Path | None, typer.Option("--output", "-o", dir_okay=False, help="Write to this file instead of stdout.")
    ] = None,
    check: Annotated[
        bool, typer.Option("--check", help="Write nothing; exit 1 where the file of --output is out of step.")
    ] = False,
) -> None:
    """Print the OpenAPI document that a client is generated from."""
    if check and output is None:
        raise typer.BadParameter("--check needs --output FILE, the file to compare")
    settings = read_settings()
    choose(settings)  # says clearly what is wrong, where something is
    text = openapi_document(settings)
    if output is None:
        typer.echo(text, nl=False)
    elif check:
        if not output.is_file() or output.read_text(encoding="utf-8") != text:
            fail(f"{output} is out of step with the code. Do: carlens openapi --output {output}")
    else:
        output.write_text(text, encoding="utf-8")
