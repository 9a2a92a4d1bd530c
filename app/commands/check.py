"""`carlens check`: whether this machine, these settings and these weights would serve."""

import asyncio

import typer
from rich.console import Console
from rich.table import Table

from app import keys
from app.commands.inside import choose, fail, read_settings, running
from app.limits import Limits
from app.schemas import AnyPredictor
from app.settings import Settings

COLUMNS = ("name", "state", "version", "weights", "backend", "device")


async def examine(
    settings: Settings, predictors: dict[str, AnyPredictor]
) -> tuple[list[dict[str, str]], dict[str, str]]:
    """What `/v1/models` says after loading and warming, and the predictors that failed, each with the reason."""
    async with running(settings, predictors) as inside:
        failed = await inside.loaded()
        return (await inside.client.get("/v1/models")).json()["models"], failed


def guarded(settings: Settings) -> None:
    """Says who may ask; a file of keys, or a storage of rate limits, that cannot be used is one line and exit 1."""
    try:
        Limits(settings)
        found = keys.read(settings.keys_file) if settings.keys_file else None
    except ValueError as error:
        fail(str(error))
    if found is not None:
        shown = [f"{key.name} ({', '.join(sorted(key.scopes))})" for key in found]
        typer.echo(f"Keys: {', '.join(shown) or 'none'}")


def check() -> None:
    """Load and warm every predictor as `serve` would: settings, keys, manifests, hashes of weights, device.

    Exit code 0 where all are ready, 1 where one is not, 2 where a setting is wrong.
    """
    settings = read_settings()
    guarded(settings)
    served, failed = asyncio.run(examine(settings, choose(settings)))
    table = Table(*(column.capitalize() for column in COLUMNS))
    for model in served:
        table.add_row(*(str(model[column]) for column in COLUMNS))
    Console().print(table)
    for reason in failed.values():
        typer.echo(f"carlens: {reason}", err=True)
    if failed:
        raise typer.Exit(1)
