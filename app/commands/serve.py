"""`carlens serve`: one worker in this process, or several under a supervisor, stopped cleanly by SIGTERM or Ctrl-C."""

import signal
import socket
import sys
from collections.abc import Callable
from multiprocessing.connection import Connection
from typing import Annotated, Any

import typer

from app import logs, ports
from app.changes import Change
from app.child import Child
from app.commands.inside import build, choose, devices, fail, read_settings
from app.cores import cores, limited
from app.link import Said
from app.main import maker
from app.server import BACKLOG, FLUSH_S, Server, configured, leave, on_hangup, warn_of_exposure
from app.settings import EngineName, LogLevel, Settings
from app.shares import Share, shares
from app.supervisor import Supervisor
from app.worker import work

SLACK_S = 2
"""What a worker needs, beyond its grace time and the last answers, to end its process."""


def listen(host: str, port: int) -> socket.socket:
    """The listening socket, bound before anything is loaded; a port in use is one line and exit 1."""
    try:
        return ports.bound(host, port, BACKLOG)
    except ports.PortError as error:
        fail(str(error))


def base_url(listener: socket.socket) -> str:
    """Where a browser on this machine finds the listener."""
    host, port = listener.getsockname()[:2]
    name = {"0.0.0.0": "127.0.0.1", "::": "[::1]"}.get(host, f"[{host}]" if ":" in host else host)
    return f"http://{name}:{port}"


def announce(address: str) -> None:
    typer.echo(f"carlens answers at {address} - open it in a browser; its calls: {address}/docs (Ctrl-C stops it)")


def supervise(settings: Settings, given: list[Share], listener: socket.socket) -> int:
    """Several workers until a signal; the exit code."""
    logs.start(settings, "supervisor")
    warn_of_exposure(settings, listener.getsockname()[0])

    def start(number: int, at_once: bool, hear: Callable[[Said | int], None]) -> Child:
        def arguments(pipe: "Connection[Any, Any]") -> tuple[object, ...]:
            return given[number], settings, listener, pipe, at_once

        return Child(f"carlens-worker-{number}", work, arguments, hear)

    address = base_url(listener)
    stop_s = settings.drain_delay_s + settings.grace_s + FLUSH_S + SLACK_S
    supervisor = Supervisor(len(given), start, lambda: announce(address), stop_s)
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, supervisor.stop)
    if sys.platform != "win32":
        signal.signal(signal.SIGHUP, on_hangup(lambda: supervisor.change(Change("reload")), supervisor.stop))
    return supervisor.run()


def alone(settings: Settings) -> Settings:
    """With replicas elsewhere, one process takes the photos; more of them would each have replicas of its own."""
    if settings.workers > 1:
        fail("with CARLENS_ENGINE=ray one process takes the photos: leave out CARLENS_WORKERS, set CARLENS_REPLICAS", 2)
    return settings.model_copy(update={"workers": 1})


def serve(
    host: Annotated[str | None, typer.Option(help="Address to listen on (CARLENS_HOST). Default: 127.0.0.1.")] = None,
    port: Annotated[
        int | None, typer.Option(min=0, max=65535, help="Port (CARLENS_PORT); 0 takes a free one. Default: 8000.")
    ] = None,
    workers: Annotated[
        int | None,
        typer.Option(min=0, max=256, help="Processes that serve (CARLENS_WORKERS). Default: one for each GPU."),
    ] = None,
    engine: Annotated[
        EngineName | None, typer.Option(help="Where predictors run (CARLENS_ENGINE). Default: process.")
    ] = None,
    log_level: Annotated[
        LogLevel | None, typer.Option(help="How much is logged (CARLENS_LOG_LEVEL). Default: info.")
    ] = None,
    access_log: Annotated[
        bool | None,
        typer.Option(
            "--access-log/--no-access-log", help="A line for each request (CARLENS_ACCESS_LOG). Default: yes."
        ),
    ] = None,
) -> None:
    """Start the service. Stops at SIGTERM or Ctrl-C once what was taken is answered."""
    settings = read_settings(
        host=host, port=port, workers=workers, engine=engine, log_level=log_level, access_log=access_log
    )
    if settings.engine == "ray":
        settings = alone(settings)
    with listen(settings.host, settings.port) as listener:
        predictors = choose(settings)
        shared = [settings.device] if settings.workers == 1 else devices(settings)
        count = settings.workers or len(shared)
        if count > 1:
            # One socket for all: each takes what it can, and what waits at it is lost with no worker. With SO_REUSEPORT
            # each would have a queue of its own, and lose that.
            code = supervise(settings, shares(count, shared, cores()), listener)
            raise typer.Exit(code)
        logs.start(settings)
        application = build(settings, predictors, make=maker(settings, limited()))
        warn_of_exposure(settings, listener.getsockname()[0])
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, leave)
        state = application.state
        server = Server(
            configured(application, settings),
            settings,
            state.batcher,
            state.shelf,
            state.stop,
            lambda: announce(base_url(listener)),
        )
        server.run(sockets=[listener])
    if server.failed:
        raise typer.Exit(1)
