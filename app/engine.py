"""What the path asks of whoever runs the predictors: in this process (`batcher`), or elsewhere (`engines`)."""

from collections.abc import Callable
from typing import Protocol

from app.lane import Answer, Lane
from models.predictor import Arrays
from models.registry import AnyPredictor


class Engine(Protocol):
    """All methods but `bring`'s loading are called on one event loop. The laws are the same for every engine: each
    item that is taken is answered once, a bad one fails alone, a cancelled or late one is dropped, and what cannot be
    answered in time is refused at the door. Times and deadlines are in seconds of the path's clock."""

    @property
    def device(self) -> str:
        """Where the predictors run, for those who count: `cpu`, `cuda` or `cuda:1`."""

    @property
    def alive(self) -> bool:
        """Whether it was started, and did not end."""

    @property
    def taking(self) -> bool:
        """Whether it runs, and who has a choice should send photos here."""

    @property
    def leaving(self) -> bool:
        """Whether the service is about to stop, or stops."""

    @property
    def oldest_s(self) -> float:
        """How long the oldest item has been waiting, in seconds."""

    def bring(self, predictor: AnyPredictor, version: str | None) -> Lane:
        """A lane for the predictor, which was made of the files of that version (None: those without one in their
        name); its `settled` tells when it was loaded and warmed, or failed."""

    def retire(self, lane: Lane) -> None:
        """From now on the lane is only for those who were given it before; with the last of them it goes."""

    def on_doubt(self, call: Callable[[Lane], None]) -> None:
        """`call` is told, on the event loop, of every lane on which an item failed alone."""

    async def start(self) -> None:
        """Returns before anything is loaded."""

    async def died(self) -> bool:
        """Returns when it has ended: whether it died, rather than was stopped."""

    def admit(self, to: Lane | str, deadline: float, items: int = 1) -> None:
        """Raises at once, as an `Unanswered`, what `submit` of that many items would raise now."""

    async def submit(self, to: Lane | str, item: Arrays, *, deadline: float) -> Answer:
        """One item, without batch axis, answered by its row of a batch. Raises `Unanswered`. Cancelling the waiting
        task drops the item."""

    def leave(self) -> None:
        """The service is about to stop: it is ready no more, and takes items as before."""

    def close(self) -> None:
        """From now on `admit` refuses."""

    async def stop(self, grace_s: float) -> None:
        """Finishes what was taken within `grace_s` seconds, and answers the rest with `Stopping`."""
