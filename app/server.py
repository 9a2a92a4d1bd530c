"""uvicorn as carlens runs it: its settings, and what it says and does at start and stop."""

import asyncio
import logging
import os
import signal
import socket
import sys
from collections.abc import Callable, Coroutine

import uvicorn
from starlette.types import ASGIApp

from app.changes import Change, Outcome
from app.settings import Settings
from app.shelf import Shelf

KEEP_ALIVE_S = 75
"""An idle connection is kept this long: over the 60 s of the usual proxies, so that they close it first."""

FLUSH_S = 5
"""What is left, after the grace time, to send the last answers."""

BACKLOG = 2048


class Server(uvicorn.Server):
    """uvicorn's server, which says when every predictor is ready, and refuses new photos at once where uvicorn would
    first wait for the connections."""

    def __init__(
        self,
        config: uvicorn.Config,
        shelf: Shelf,
        stop: Callable[[], Coroutine[None, None, None]],
        ready: Callable[[], None],
    ) -> None:
        super().__init__(config)
        self.shelf = shelf
        self.stop = stop
        self.ready = ready
        self.waiting: asyncio.Task[None] | None = None
        self.reloading: asyncio.Task[Outcome] | None = None

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        self.waiting = asyncio.create_task(self.announce())
        self.hear()

    def hear(self) -> None:
        """SIGHUP reads all models anew."""
        if sys.platform != "win32":
            asyncio.get_running_loop().add_signal_handler(signal.SIGHUP, on_hangup(self.reload, self.end))

    def reload(self) -> None:
        self.reloading = asyncio.create_task(self.shelf.do(Change("reload")))

    def end(self) -> None:
        """From any thread."""
        self.should_exit = True

    async def announce(self) -> None:
        """Tells once that the service can answer; until then liveness alone is up."""
        while not self.shelf.ready:  # noqa: ASYNC110 - a thread loads
            await asyncio.sleep(0.1)
        self.ready()

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        if self.waiting:
            self.waiting.cancel()
        stopping = asyncio.create_task(self.stop())
        await super().shutdown(sockets)
        await stopping


def configured(application: ASGIApp, settings: Settings, access_log: bool) -> uvicorn.Config:
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
    return config


def start_log(settings: Settings, who: str = "") -> None:
    """Log lines on stderr; `who` tells the processes of one service apart."""
    form = f"%(asctime)s {who}%(levelname)s %(name)s: %(message)s"
    logging.basicConfig(level=settings.log_level.upper(), format=form)


def on_hangup(reload: Callable[[], None], stop: Callable[[], None]) -> Callable[..., None]:
    """What SIGHUP does: `reload`, but `stop` where the terminal is gone in which the service was started."""
    terminal = os.isatty(0)

    def hear(*_: object) -> None:
        (stop if terminal and not os.isatty(0) else reload)()

    return hear


def leave(*_: object) -> None:
    """For signals: uvicorn raises one again after its clean stop, and a clean stop is exit code 0."""
    sys.exit(0)
