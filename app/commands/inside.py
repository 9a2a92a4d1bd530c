"""What several commands need: settings with readable errors, and the service run inside this process."""

import asyncio
import logging
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from typing import Any, NoReturn

import httpx
import typer
from fastapi import FastAPI

from app import configuration
from app.main import create_app
from app.routes.changes import Spread
from app.routes.metrics import Read
from app.schemas import AnyPredictor
from app.settings import Settings
from app.shelf import Make, Shelf
from models import backends, registry

OURSELVES = {
    **dict.fromkeys(("keys_file", "rate_per_key", "rate_per_address", "lazy")),
    "engine": "process",
    **{name: Settings.model_fields[name].default for name in ("replicas", "replica_cpus", "replica_gpus")},
}


def fail(message: str, code: int = 1) -> NoReturn:
    """One line on stderr, then exit."""
    typer.echo(f"carlens: {message}", err=True)
    raise typer.Exit(code)


def read_settings(**given: Any) -> Settings:
    """Settings from wherever they are set, first what is `given` and not None; each wrong one is a line, and exit 2."""
    try:
        return configuration.read({name: value for name, value in given.items() if value is not None})
    except configuration.WrongSettings as wrong:
        for line in wrong.lines:
            typer.echo(f"carlens: {line}", err=True)
        raise typer.Exit(2) from wrong


def as_set(settings: Settings, *names: str) -> str:
    """Those of the settings that have not their default, in brackets, for whoever has to mend one of them."""
    held = {name: getattr(settings, name) for name in names}
    told = [
        f"CARLENS_{name.upper()}={configuration.shown(name, value)}"
        for name, value in held.items()
        if value != Settings.model_fields[name].default
    ]
    return f" ({', '.join(told)})" if told else ""


def choose(settings: Settings, wanted: list[str] | None = None, threads: int | None = None) -> dict[str, AnyPredictor]:
    """The `wanted` predictors, else those of the settings, with that share of the CPU's `threads`; one that is
    unknown is exit 2, one that cannot be made (its weights are missing, say) exit 1."""
    try:
        return registry.discover(
            settings.weights_dir,
            wanted or settings.predictors,
            backends=settings.backends,
            cache_dir=settings.cache_dir,
            threads=threads,
        )
    except registry.RegistryError as error:
        fail(f"{error}{as_set(settings, 'predictors', 'backend', 'weights_dir')}", 2)
    except Exception as error:  # whatever an outside package raises
        fail(f"{str(error) or type(error).__name__}{as_set(settings, 'backend', 'weights_dir')}")


def build(
    settings: Settings,
    predictors: Mapping[str, AnyPredictor],
    read_metrics: Read | None = None,
    make: Make | None = None,
    spread: Spread | None = None,
) -> FastAPI:
    """The gateway; what hinders it (a device that is not there, say) is one line and exit 1."""
    try:
        chosen = settings.model_copy(update={"predictors": None})  # they are chosen already
        return create_app(chosen, predictors, read_metrics=read_metrics, make=make, spread=spread)
    except registry.RegistryError as error:
        fail(str(error), 2)
    except ModuleNotFoundError as error:
        fail(f'{error.name} is not installed: pip install "carlens[gpu]"')
    except (ValueError, RuntimeError) as error:
        fail(str(error))


def devices(settings: Settings) -> list[str]:
    """Those that workers share out; one that is not there is one line and exit 1."""
    try:
        return backends.devices(settings.device)
    except ValueError as error:
        fail(f"{error}{as_set(settings, 'device')}")


@dataclass(frozen=True, slots=True)
class Inside:
    """The service in this process: a client that speaks to it without a socket, and what it serves."""

    client: httpx.AsyncClient
    shelf: Shelf

    async def loaded(self) -> dict[str, str]:
        """Returns once no predictor is loading any more: those that are not ready, each with the reason."""
        while not self.shelf.settled:  # noqa: ASYNC110 - a thread loads
            await asyncio.sleep(0.02)
        failed = [entry for entry in self.shelf.entries if entry.state == "failed"]
        return {entry.name: entry.reason or entry.state for entry in failed}


@contextmanager
def quiet() -> Iterator[None]:
    """What goes wrong is told as one line by the command; tracebacks are for a server's log."""
    before = logging.root.manager.disable
    logging.disable(logging.CRITICAL)
    try:
        yield
    finally:
        logging.disable(before)


@asynccontextmanager
async def running(settings: Settings, predictors: Mapping[str, AnyPredictor]) -> AsyncIterator[Inside]:
    """The very service that `carlens serve` runs, without a server around it; who runs it needs no key, and nothing is
    lazy."""
    application = build(settings.model_copy(update=OURSELVES), predictors)
    with quiet():
        async with application.router.lifespan_context(application):
            transport = httpx.ASGITransport(app=application, raise_app_exceptions=False)
            async with httpx.AsyncClient(transport=transport, base_url="http://carlens", timeout=None) as client:
                yield Inside(client, application.state.shelf)
