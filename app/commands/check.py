"""`carlens check`: whether this machine, these settings and these weights would serve, and what would be served."""

import asyncio

import typer
from rich.console import Console
from rich.table import Table

from app import keys, ports, replicas
from app.commands.inside import choose, devices, fail, read_settings, running
from app.cores import cores
from app.limits import Limits
from app.schemas import AnyPredictor
from app.settings import Settings
from models.registry import RegistryError

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


def port_problem(settings: Settings) -> str | None:
    """Why the port cannot be listened on; None where it is free."""
    try:
        ports.bound(settings.host, settings.port, 1).close()
    except ports.PortError as error:
        return str(error)
    return None


def plan(settings: Settings) -> str:
    """What `serve` would do, in a line."""
    on = devices(settings)
    count = settings.workers or len(on)
    who = f"{count} workers on {', '.join(on[:count])}" if count > 1 else f"one process on {on[0]}"
    port = f"{settings.host}:{settings.port}" if settings.port else f"any free port of {settings.host}"
    return f"`carlens serve` would listen on {port}, with {who} and {cores()} cores of the CPU."


def check() -> None:
    """Try all that `serve` needs: settings, keys, port, device, manifests and hashes of weights, predictors warmed.

    Exit code 0 where it would serve, 1 where it would not, 2 where a setting is wrong.
    """
    settings = read_settings()
    guarded(settings)
    chosen = choose(settings)
    try:
        replicas.check(settings.of_replicas, chosen)
    except RegistryError as error:
        fail(str(error), 2)
    told = plan(settings)
    served, failed = asyncio.run(examine(settings, chosen))
    table = Table(*(column.capitalize() for column in COLUMNS))
    for model in served:
        table.add_row(*(str(model[column]) for column in COLUMNS))
    Console().print(table)
    taken = port_problem(settings)
    for reason in [*failed.values(), *([taken] if taken else [])]:
        typer.echo(f"carlens: {reason}", err=True)
    if failed or taken:
        raise typer.Exit(1)
    typer.echo(told)
