"""`carlens serve`: one process, one worker, stopped cleanly by SIGTERM or Ctrl-C."""

import asyncio
import logging
import signal
import socket
import sys
from collections.abc import Callable, Coroutine
from typing import Annotated

import typer
import uvicorn

from app.batcher import Batcher
from app.commands.inside import build, choose, fail, read_settings
from app.settings import LogLevel

KEEP_ALIVE_S = 75
"""An idle connection is kept this long: over the 60 s of the usual proxies, so that they close it first."""

FLUSH_S = 5
"""What is left, after the grace time, to send the last answers."""

BACKLOG = 2048


class Server(uvicorn.Server):
    """uvicorn's server, which says when every predictor is ready, and refuses new photos at once where uvicorn would
    first wait for the connections."""

    def __init__(
        self, config: uvicorn.Config, batcher: Batcher, stop: Callable[[], Coroutine[None, None, None]], address: str
    ) -> None:
        super().__init__(config)
        self.batcher = batcher
        self.stop = stop
        self.address = address
        self.waiting: asyncio.Task[None] | None = None

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        self.waiting = asyncio.create_task(self.announce())

    async def announce(self) -> None:
        """One line when the service can answer; until then liveness alone is up."""
        while not self.batcher.ready:  # noqa: ASYNC110 - a thread loads
            await asyncio.sleep(0.1)
        typer.echo(f"carlens answers at {self.address} - try it at {self.address}/docs (Ctrl-C stops it)")

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        if self.waiting:
            self.waiting.cancel()
        stopping = asyncio.create_task(self.stop())
        await super().shutdown(sockets)
        await stopping


def listen(host: str, port: int) -> socket.socket:
    """The listening socket, bound before anything is loaded; a port in use is one line and exit 1."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        return socket.create_server((host, port), family=family, backlog=BACKLOG)
    except (OSError, OverflowError) as error:
        reason = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
        fail(f"cannot listen on {host}:{port}: {reason}. Choose another with --port or CARLENS_PORT.")


def base_url(listener: socket.socket) -> str:
    """Where a browser on this machine finds the listener."""
    host, port = listener.getsockname()[:2]
    name = {"0.0.0.0": "127.0.0.1", "::": "[::1]"}.get(host, f"[{host}]" if ":" in host else host)
    return f"http://{name}:{port}"


def leave(*_: object) -> None:
    """uvicorn raises the signal again after its clean stop; a clean stop is exit code 0."""
    sys.exit(0)


def serve(
    host: Annotated[str | None, typer.Option(help="Address to listen on (CARLENS_HOST). Default: 127.0.0.1.")] = None,
    port: Annotated[
        int | None, typer.Option(min=0, max=65535, help="Port (CARLENS_PORT); 0 takes a free one. Default: 8000.")
    ] = None,
    log_level: Annotated[
        LogLevel | None, typer.Option(help="How much is logged (CARLENS_LOG_LEVEL). Default: info.")
    ] = None,
    access_log: Annotated[
        bool, typer.Option("--access-log", help="Log every request; metrics count them anyway.")
    ] = False,
) -> None:
    """Start the service. Stops at SIGTERM or Ctrl-C once what was taken is answered."""
    settings = read_settings(host=host, port=port, log_level=log_level)
    with listen(settings.host, settings.port) as listener:
        application = build(settings, choose(settings))
        logging.basicConfig(level=settings.log_level.upper(), format="%(asctime)s %(levelname)s %(name)s: %(message)s")
        signal.signal(signal.SIGTERM, leave)
        config = uvicorn.Config(
            application,
            loop="uvloop" if sys.platform != "win32" else "asyncio",
            http="httptools",
            ws="none",
            lifespan="on",
            log_config=None,
            log_level=settings.log_level,
            access_log=access_log,
            server_header=False,
            timeout_keep_alive=KEEP_ALIVE_S,
            timeout_graceful_shutdown=round(settings.grace_s) + FLUSH_S,
            backlog=BACKLOG,
        )
        if settings.log_level == "info":  # uvicorn tells at length what `announce` says in a line
            logging.getLogger("uvicorn.error").setLevel(logging.WARNING)
        state = application.state
        Server(config, state.batcher, state.stop, base_url(listener)).run(sockets=[listener])
