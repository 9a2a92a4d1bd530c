"""How many decoded pixels may be held at a time: a fair semaphore counted in pixels."""

import asyncio
from collections import deque


class Held:
    """A share of the budget. `release` gives it back; a second call does nothing."""

    __slots__ = ("_budget", "_pixels")

    def __init__(self, budget: "PixelBudget", pixels: int) -> None:
        self._budget = budget
        self._pixels = pixels

    def release(self) -> None:
        pixels, self._pixels = self._pixels, 0
        self._budget._give(pixels)


class PixelBudget:
    """First come, first served: a large photo that waits is not overtaken by small ones, so it cannot starve."""

    def __init__(self, pixels: int) -> None:
        self.total = pixels
        self.free = pixels
        self._waiting: deque[tuple[int, asyncio.Future[None]]] = deque()

    async def take(self, pixels: int) -> Held:
        """Waits until `pixels` are free. More than the whole budget counts as the whole budget: it goes alone."""
        pixels = min(pixels, self.total)
        if self._waiting or pixels > self.free:
            turn = asyncio.get_running_loop().create_future()
            self._waiting.append((pixels, turn))
            try:
                await turn
            except asyncio.CancelledError:
                self._leave(pixels, turn)
                raise
        else:
            self.free -= pixels
        return Held(self, pixels)

    def _leave(self, pixels: int, turn: "asyncio.Future[None]") -> None:
        granted = turn.done() and not turn.cancelled()
        if granted:  # the turn came in the same tick as the cancellation
            self._give(pixels)
        else:
            if (pixels, turn) in self._waiting:
                self._waiting.remove((pixels, turn))
            self._give(0)  # whoever stood behind a large one may fit now

    def _give(self, pixels: int) -> None:
        self.free += pixels
        while self._waiting and self._waiting[0][0] <= self.free:
            wanted, turn = self._waiting.popleft()
            if not turn.done():
                self.free -= wanted
                turn.set_result(None)
