"""`carlens key`: makes an API key, prints it once, and adds its hash to the file of keys."""

from pathlib import Path
from typing import Annotated

import typer

from app import keys
from app.commands.inside import fail, read_settings


def key(
    name: Annotated[str, typer.Argument(help="Whose key it is, as the log shall call it.")],
    scope: Annotated[
        list[str],
        typer.Option(help="What it may do: predict, metrics, admin (changing models); can be given several times."),
    ] = ["predict"],  # noqa: B006 - read, never changed
    file: Annotated[
        Path | None, typer.Option(dir_okay=False, help="The file of keys (CARLENS_KEYS_FILE). Made if there is none.")
    ] = None,
) -> None:
    """Make an API key and print it, once: the file holds nothing but its hash.

    A service that runs with this file takes the key within a second or two. To withdraw one, delete its line.
    """
    path = file.expanduser() if file else read_settings().keys_file
    if path is None:
        fail("which file? Set CARLENS_KEYS_FILE, or give --file", 2)
    try:
        token, made = keys.create(name, scope)
        keys.append(path, made)
    except keys.KeysError as error:
        fail(str(error))
    typer.echo(token)
    typer.echo(f"This is the only time that it is shown. Its hash is in {path}.", err=True)
