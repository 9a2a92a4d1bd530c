"""uvicorn as carlens runs it: its settings, and what it says and does at start and stop."""

import asyncio
import logging
import socket
import sys
from collections.abc import Callable, Coroutine

import uvicorn
from starlette.types import ASGIApp

from app.batcher import Batcher
from app.connection import Connection
from app.settings import Settings

KEEP_ALIVE_S = 75
"""An idle connection is kept this long: over the 60 s of the usual proxies, so that they close it first."""

FLUSH_S = 5
"""What is left, after the grace time, to send the last answers."""

BACKLOG = 2048

TICKS = 10
"""Of uvicorn's ticks, a tenth of a second each: between two looks at what clients owe."""

log = logging.getLogger("carlens")


class Server(uvicorn.Server):
    """uvicorn's server, which says when every predictor is ready, closes the connections of clients that do nothing,
    ends where the device has died, and refuses new photos at once where uvicorn would first wait for the connections.
    """

    def __init__(
        self,
        config: uvicorn.Config,
        settings: Settings,
        batcher: Batcher,
        stop: Callable[[], Coroutine[None, None, None]],
        ready: Callable[[], None],
    ) -> None:
        super().__init__(config)
        self.settings = settings
        self.batcher = batcher
        self.failed = False
        self.stop = stop
        self.ready = ready
        self.waiting: list[asyncio.Task[None]] = []

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        self.waiting = [asyncio.create_task(self.announce()), asyncio.create_task(self.watch())]

    async def announce(self) -> None:
        """Tells once that the service can answer; until then liveness alone is up."""
        while not self.batcher.ready:  # noqa: ASYNC110 - a thread loads
            await asyncio.sleep(0.1)
        self.ready()

    async def watch(self) -> None:
        """Without its device the process is of no use: whoever started it shall start it again."""
        if await self.batcher.died():
            log.critical("the device's thread died: the service ends")
            self.failed = self.should_exit = True

    async def on_tick(self, counter: int) -> bool:
        if counter % TICKS == 0:
            now = asyncio.get_running_loop().time()
            for connection in list(self.server_state.connections):
                if isinstance(connection, Connection):
                    connection.cut_off(now, self.settings.header_timeout_s, self.settings.answer_timeout_s)
        return await super().on_tick(counter)

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        for task in self.waiting:
            task.cancel()
        stopping = asyncio.create_task(self.stop())
        await super().shutdown(sockets)
        await stopping


def configured(application: ASGIApp, settings: Settings, access_log: bool) -> uvicorn.Config:
    config = uvicorn.Config(
        application,
        loop="uvloop" if sys.platform != "win32" else "asyncio",
        http=Connection,
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


def leave(*_: object) -> None:
    """For signals: uvicorn raises one again after its clean stop, and a clean stop is exit code 0."""
    sys.exit(0)
