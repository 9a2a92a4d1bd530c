"""The process of one worker: a whole gateway that accepts from the supervisor's socket."""

import asyncio
import signal
import socket
import sys
from collections.abc import Awaitable, Callable
from multiprocessing.connection import Connection

import typer
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from app import logs
from app.child import ignore_interrupts
from app.commands.inside import build, choose
from app.link import Link, Order, Said
from app.main import maker
from app.server import Server, configured, leave
from app.settings import Settings
from app.shares import Share


class WorkerServer(Server):
    """Tells its supervisor once no predictor is loading any more."""

    link: Link

    async def settle(self) -> None:
        while not (self.shelf.settled or self.should_exit):  # noqa: ASYNC110 - a thread loads
            await asyncio.sleep(0.05)

    async def announce(self) -> None:
        await self.settle()
        if not self.should_exit:
            self.ready()

    def hear(self) -> None:
        """What the supervisor orders; SIGHUP is for it."""
        self.link.changes(self.shelf.do)


def held(application: ASGIApp, until: Callable[[], Awaitable[None]]) -> ASGIApp:
    """The application, whose start is over, and whose server listens, not before `until`."""

    async def wrapped(scope: Scope, receive: Receive, send: Send) -> None:
        async def late(message: Message) -> None:
            if message["type"] == "lifespan.startup.complete":
                await until()
            await send(message)

        await application(scope, receive, late if scope["type"] == "lifespan" else send)

    return wrapped


def work(
    share: Share,
    settings: Settings,
    listener: socket.socket,
    pipe: "Connection[Said, Order]",
    at_once: bool,
) -> None:
    """Serves until the supervisor says stop or is gone. Connections are accepted `at_once`, or only when the
    predictors are loaded: then no photo goes to a worker that cannot answer while another can."""
    ignore_interrupts()
    link = Link(pipe)
    link.start()
    own = settings.model_copy(
        update={"device": share.device, "decode_threads": settings.decode_threads or share.threads}
    )
    logs.start(own, f"worker {share.number}")
    try:
        predictors, make = choose(own, threads=share.threads), maker(own, share.threads)
        application = build(own, predictors, link.sums, make, link.spread)
    except typer.Exit as failed:
        sys.exit(failed.exit_code)
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, leave)
    state = application.state

    async def settled() -> None:
        await server.settle()

    config = configured(application if at_once else held(application, settled), own)
    server = WorkerServer(config, own, state.batcher, state.shelf, state.stop, lambda: link.settled(state.shelf.ready))
    server.link = link
    link.serve(state.metrics.registry, server.end)
    try:
        server.run(sockets=[listener])
    finally:
        link.tell()  # the last figures, so that a worker that ends cleanly loses no count
    if server.failed:
        sys.exit(1)
