"""One photo's pixels: decoded as fine as is asked, and counted against the budget for as long as they are held."""

from collections.abc import Awaitable, Callable

from app.budget import Held, PixelBudget
from models.photo import Header, Photo


class Pixels:
    """Nothing is decoded until `at` is called. `release` may be called at any time, and twice."""

    def __init__(self, header: Header, budget: PixelBudget, decode: Callable[[float], Awaitable[Photo]]) -> None:
        self.header = header
        self._budget = budget
        self._decode = decode
        self._photo: Photo | None = None
        self._held: Held | None = None
        self._size = 0

    async def at(self, scale: float) -> None:
        """Decodes at `scale` or finer. What was held is given back first: whoever waits for pixels holds none."""
        self.release()
        self._size = decoded_pixels(self.header, scale)
        self._held = await self._budget.take(self._size)
        self._photo = await self._decode(scale)

    @property
    def photo(self) -> Photo:
        if self._photo is None:
            raise RuntimeError("these pixels are not held any more")
        return self._photo

    def fine_enough(self, scale: float) -> bool:
        """Whether decoding at `scale` would give no more pixels than there are."""
        return decoded_pixels(self.header, scale) <= self._size

    def release(self) -> None:
        self._photo = None
        if self._held is not None:
            self._held.release()


def decoded_pixels(header: Header, scale: float) -> int:
    """Pixels that `decode` will hold: a JPEG comes at 1, 1/2, 1/4 or 1/8, the next that is no smaller than `scale`."""
    step = 1
    while header.format == "JPEG" and step < 8 and scale * step * 2 <= 1:
        step *= 2
    return -(-header.width // step) * -(-header.height // step)
