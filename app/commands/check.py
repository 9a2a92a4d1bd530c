"""`carlens check`: whether this machine, these settings and these weights would serve."""

import asyncio

import typer
from rich.console import Console
from rich.table import Table

from app.commands.inside import choose, read_settings, running
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


def check() -> None:
    """Load and warm every predictor as `serve` would: settings, manifests, hashes of weights, device.

    Exit code 0 where all are ready, 1 where one is not, 2 where a setting is wrong.
    """
    settings = read_settings()
    served, failed = asyncio.run(examine(settings, choose(settings)))
    table = Table(*(column.capitalize() for column in COLUMNS))
    for model in served:
        table.add_row(*(str(model[column]) for column in COLUMNS))
    Console().print(table)
    for reason in failed.values():
        typer.echo(f"carlens: {reason}", err=True)
    if failed:
        raise typer.Exit(1)
