"""`carlens settings`: every setting with its value and where that comes from; or the table of them for people."""

from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table

from app import configuration
from app.commands.inside import fail, read_settings
from app.settings import Settings


def settings(
    write: Annotated[
        Path | None,
        typer.Option("--write", exists=True, dir_okay=False, help="Write the table of all into this Markdown page."),
    ] = None,
) -> None:
    """Show the settings that hold here, and where each that has not its default is set. Secrets stay hidden."""
    if write is not None:
        try:
            write.write_text(configuration.written(write.read_text(encoding="utf-8")), encoding="utf-8")
        except ValueError as error:
            fail(f"{write}: {error}")
        return
    held, places = read_settings(), configuration.origins({})
    table = Table("Setting", "Value", "From")
    for name in Settings.model_fields:
        value = getattr(held, name)
        told = "" if value is None or value == [] else configuration.shown(name, value)
        table.add_row(f"CARLENS_{name.upper()}", told, places[name].place if name in places else "")
    Console().print(table)
