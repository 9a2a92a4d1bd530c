"""One predictor's waiting line: what waits, in order; what a run costs; and the reasons why an item gets no answer."""

import asyncio
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from models.predictor import Arrays, State, Tensor

NEWEST = 0.3
"""Weight of the newest run in the measured service time."""
TRUSTED_S = 5.0
"""How long an idle lane refuses by its last measurement, in seconds; then one item may measure anew."""


class Unanswered(Exception):
    """Base of the reasons why an item gets no answer; `label` is what metrics count it under."""

    label = "backend"


class QueueFull(Unanswered):
    """No room (`full`), or no chance to be answered in time (`deadline`); in `retry_after_s` seconds there may be."""

    label = "full"

    def __init__(self, retry_after_s: float, detail: str = "too many items wait", label: str = "full") -> None:
        super().__init__(detail)
        self.retry_after_s = retry_after_s
        self.label = label


class Expired(Unanswered):
    """The deadline passed before there was an answer."""

    label = "deadline"


class Stopping(Unanswered):
    """The service is being shut down."""

    label = "stopping"


class NotServing(Unanswered):
    """The predictor is not ready; `state` and `reason` say why."""

    def __init__(self, state: State, reason: str | None = None) -> None:
        super().__init__(reason or f"the predictor is {state}")
        self.state = state
        self.reason = reason


class ItemFailed(Unanswered):
    """This item, not its neighbours, makes the predictor fail; `__cause__` is what was raised."""


class DeviceStuck(Unanswered):
    """What runs on the device does not come back, so that nothing is taken until it does."""


class DeviceDied(Unanswered):
    """The thread that drives the device has ended and does not come back."""


@dataclass(frozen=True, slots=True, eq=False, weakref_slot=True)
class Batch:
    """One run on the device: the same object in all its answers. `size` counts its items, padding not among them;
    times in seconds of the clock."""

    size: int
    started: float
    ended: float


@dataclass(frozen=True, slots=True)
class Answer:
    """One row of a run, without the batch axis. Times in seconds: from submission to `taken`, which is on the clock,
    and of the run the item was in; `batch_size` counts the items in that run."""

    output: Arrays
    queue_s: float
    taken: float
    batch: Batch

    @property
    def device_s(self) -> float:
        return self.batch.ended - self.batch.started

    @property
    def batch_size(self) -> int:
        return self.batch.size


@dataclass(slots=True, eq=False)
class Item:
    """One submission. Its future is settled once, on the event loop, with an answer or the reason there is none."""

    arrays: Arrays
    deadline: float
    number: int
    enqueued: float
    future: asyncio.Future[Answer | Unanswered]
    taken: float | None = None

    def settle(self, outcome: Answer | Unanswered) -> None:
        if not self.future.done():
            self.future.set_result(outcome)


class ServiceTime:
    """Seconds a run takes, exponentially weighted, by padded size."""

    def __init__(self) -> None:
        self._seconds: dict[int, float] = {}
        self.measured_at = float("-inf")

    def measure(self, size: int, seconds: float, now: float) -> None:
        before = self._seconds.get(size, seconds)
        self._seconds[size] = before + NEWEST * (seconds - before)
        self.measured_at = now

    def of(self, size: int) -> float:
        """A size that has not run yet costs per row what the nearest one did; before any measurement it is 0."""
        if size in self._seconds or not self._seconds:
            return self._seconds.get(size, 0.0)
        nearest = min(self._seconds, key=lambda known: abs(known - size))
        return self._seconds[nearest] * size / nearest


class Lane:
    """One version of a predictor on one device. All but `load` and `run` is guarded by the device's lock."""

    def __init__(
        self,
        name: str,
        load: Callable[[str], None],
        run: Callable[[Arrays], Arrays],
        inputs: Mapping[str, Tensor],
        batch_sizes: Sequence[int],
    ) -> None:
        sizes = tuple(batch_sizes)
        if not sizes or sizes[0] < 1 or list(sizes) != sorted(set(sizes)):
            raise ValueError(f"{name}: batch_sizes must be ascending and at least 1, not {list(batch_sizes)}")
        self.name = name
        self.load = load
        self.run = run
        self.inputs = {key: (tensor.shape, np.dtype(tensor.dtype)) for key, tensor in inputs.items()}
        self.sizes = sizes
        self.largest = sizes[-1]
        self.warmed: set[int] = set()
        self.cold: deque[int] = deque()
        """Sizes that are still to be warmed, once it is loaded."""
        self.outputs: dict[str, tuple[tuple[int, ...], np.dtype[np.generic]]] = {}
        """What `run` gives: shape without the batch axis, and dtype; known from the first run on."""
        self.state: State = "loading"
        self.reason: str | None = None
        self.missing = ""
        """What is not there of several copies, for readiness, though it answers."""
        self.settled = asyncio.Event()
        """Set, on the event loop, once it is loading no more."""
        self.counted = True
        """Whether the observer is told of its batches: not of those that prove it before it serves."""
        self.retired = False
        """Whether it is only for those who hold it already: it leaves the device whenever nothing waits."""
        self.waiting: deque[Item] = deque()
        self.service = ServiceTime()
        self.used_s = 0.0
        """Virtual device time: what the lane used, lifted to the others' when it comes back from being idle."""

    def check(self, arrays: Arrays) -> None:
        """Raises ItemFailed where one item is not what `inputs` promised the device."""
        if arrays.keys() != self.inputs.keys():
            raise _unfit(self.name, f"arrays named {sorted(arrays)} instead of {sorted(self.inputs)}")
        for key, (shape, dtype) in self.inputs.items():
            array = arrays[key]
            if not isinstance(array, np.ndarray):
                raise _unfit(self.name, f"{key!r} as {type(array).__name__} instead of a numpy array")
            if array.shape != shape or array.dtype != dtype:
                made = f"{key!r} as {array.dtype}{list(array.shape)} instead of {dtype}{list(shape)}"
                raise _unfit(self.name, made)

    def take(self, now: float) -> tuple[list[Item], list[Item]]:
        """The next batch, and those whose deadline has passed; those nobody waits for any more are left out."""
        batch: list[Item] = []
        late: list[Item] = []
        while self.waiting and len(batch) < self.largest:
            item = self.waiting.popleft()
            item.taken = now
            if item.deadline <= now:
                late.append(item)
            elif not item.future.done():
                batch.append(item)
        return batch, late

    def padded(self, count: int) -> int:
        """The smallest size that holds `count` items."""
        return next(size for size in self.sizes if size >= count)

    def shrink(self, size: int) -> bool:
        """After `size` was too much for the memory: keep to at most half of it; False where no size is that small."""
        smaller = [known for known in self.sizes if known <= size // 2]
        if smaller:
            self.largest = smaller[-1]
        return bool(smaller)

    def seconds_for(self, count: int) -> float:
        """Device time, in seconds, that `count` items need in batches as large as they may be."""
        full, rest = divmod(count, self.largest)
        seconds = full * self.service.of(self.largest)
        return seconds + self.service.of(self.padded(rest)) if rest else seconds

    def zeros(self, size: int) -> dict[str, NDArray[np.generic]]:
        return {key: np.zeros((size, *shape), dtype) for key, (shape, dtype) in self.inputs.items()}

    def run_padded(self, items: Sequence[Arrays], size: int) -> list[Arrays]:
        """One run of `size` rows, those after `items` being zeros; the items' rows, each a copy of its own: the
        runtime may use its output again, and no row shall keep the whole batch in memory."""
        batch = self.zeros(size)
        for row, item in enumerate(items):
            for key, array in batch.items():
                array[row] = item[key]
        outputs = self.run(batch)
        if not isinstance(outputs, Mapping) or not outputs:
            raise ValueError(f"run of {self.name} must return a mapping of names to arrays, not {outputs!r:.80}")
        arrays = {key: np.asarray(output) for key, output in outputs.items()}
        for key, array in arrays.items():
            if array.shape[:1] != (size,):
                raise ValueError(
                    f"run of {self.name} returned {key!r} of shape {list(array.shape)} for a batch of {size}. "
                    f"Hint: the first axis of every returned array is the batch, padding included; here it must be "
                    f"{size} (is an axis squeezed away, or a result for the whole batch returned?)"
                )
        self.outputs = {key: (array.shape[1:], array.dtype) for key, array in arrays.items()}
        return [{key: array[row].copy() for key, array in arrays.items()} for row in range(len(items))]


def _unfit(name: str, made: str) -> ItemFailed:
    failure = ItemFailed(f"prepare of {name} made an item that does not fit its inputs")
    failure.__cause__ = ValueError(f"prepare of {name} made {made}")
    return failure
