"""uvicorn as carlens runs it: its settings, and what it says and does at start and stop."""

import asyncio
import ipaddress
import logging
import os
import signal
import socket
import sys
from collections.abc import Callable, Coroutine
from types import FrameType

import uvicorn
from starlette.types import ASGIApp

from app.changes import Change, Outcome
from app.connection import Connection
from app.engine import Engine
from app.settings import Settings
from app.shelf import Shelf

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
        batcher: Engine,
        shelf: Shelf,
        stop: Callable[[], Coroutine[None, None, None]],
        ready: Callable[[], None],
    ) -> None:
        super().__init__(config)
        self.settings = settings
        self.drain_delay_s = settings.drain_delay_s
        self.batcher = batcher
        self.shelf = shelf
        self.failed = False
        self.stop = stop
        self.ready = ready
        self.waiting: list[asyncio.Task[None]] = []
        self.reloading: asyncio.Task[Outcome] | None = None

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        self.waiting = [asyncio.create_task(self.announce()), asyncio.create_task(self.watch())]
        self.hear()

    def hear(self) -> None:
        """SIGHUP reads all models anew."""
        if sys.platform != "win32":
            asyncio.get_running_loop().add_signal_handler(signal.SIGHUP, on_hangup(self.reload, self.end))

    def reload(self) -> None:
        self.reloading = asyncio.create_task(self.shelf.do(Change("reload")))

    def end(self, at_once: bool = False) -> None:
        """From any thread; `at_once`, without the delay before photos are refused."""
        if at_once:
            self.drain_delay_s = 0.0
        self.should_exit = True

    async def announce(self) -> None:
        """Tells once that the service can answer; until then liveness alone is up."""
        while not self.shelf.ready:  # noqa: ASYNC110 - a thread loads
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
        was_ready = self.shelf.ready
        self.batcher.leave()
        if was_ready:  # else no balancer sends photos here
            await self.linger()
        stopping = asyncio.create_task(self.stop())
        await super().shutdown(sockets)
        await stopping

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        if self.should_exit:  # who asks twice will not wait
            self.drain_delay_s = 0.0
        super().handle_exit(sig, frame)

    async def linger(self) -> None:
        """Takes photos a while after readiness has ended, until balancers have seen it; a second signal ends this."""
        now = asyncio.get_running_loop().time
        began = now()
        while now() < began + self.drain_delay_s:  # noqa: ASYNC110 - a signal's handler may end it
            await asyncio.sleep(0.05)


def configured(application: ASGIApp, settings: Settings) -> uvicorn.Config:
    config = uvicorn.Config(
        application,
        loop="uvloop" if sys.platform != "win32" else "asyncio",
        http=Connection,
        ws="none",
        lifespan="on",
        log_config=None,
        log_level=settings.log_level,
        access_log=False,  # `app.logs` has a line for each request, without what callers write
        server_header=False,
        # Always said: uvicorn would by itself believe whoever asks from loopback, and a variable of its own.
        proxy_headers=bool(settings.trusted_proxies),
        forwarded_allow_ips=settings.trusted_proxies,
        timeout_keep_alive=KEEP_ALIVE_S,
        timeout_graceful_shutdown=round(settings.grace_s) + FLUSH_S,
        backlog=BACKLOG,
    )
    if settings.log_level == "info":  # uvicorn tells at length what `announce` says in a line
        logging.getLogger("uvicorn.error").setLevel(logging.WARNING)
    return config


def warn_of_exposure(settings: Settings, address: str) -> None:
    """A line where everybody who reaches the `address` that is listened at may ask everything."""
    if settings.keys_file is None and not ipaddress.ip_address(address.partition("%")[0]).is_loopback:
        logging.getLogger("carlens").warning(
            "listening at %s without keys: whoever reaches it may use it. Make keys with `carlens key`, and set "
            "CARLENS_KEYS_FILE, or put a proxy before it that asks for them.",
            address,
        )


def on_hangup(reload: Callable[[], None], stop: Callable[[], None]) -> Callable[..., None]:
    """What SIGHUP does: `reload`, but `stop` where the terminal is gone in which the service was started."""
    terminal = os.isatty(0)

    def hear(*_: object) -> None:
        (stop if terminal and not os.isatty(0) else reload)()

    return hear


def leave(*_: object) -> None:
    """For signals: uvicorn raises one again after its clean stop, and a clean stop is exit code 0."""
    sys.exit(0)
