"""The load, a process of its own: a closed or an open loop of requests, each answer checked; JSON in, JSON out.

`python -m tests.bench.compare.load` reads an `Order` from its standard input and writes what `run` returns.
"""

import asyncio
import gc
import json
import random
import sys
import time
from collections import Counter
from collections.abc import Awaitable, Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from tests.bench.compare.answers import alike, result_of
from tests.bench.compare.settle import Window, quantile, settled

Reply = tuple[int, bytes, Mapping[str, str]]
"""Status, body and headers, their names in lower case."""

Send = Callable[[], Awaitable[Reply]]
LEAST = 8
"""Right answers that a window waits for, at most `STRETCH` times its seconds."""

STRETCH = 4
PATIENCE_S = 90.0


@dataclass(frozen=True, slots=True)
class Order:
    """What is to be sent. `rate` per second: an open loop of one window; 0: a closed loop of `concurrency` clients, at
    most `windows` windows of `window_s` seconds after `warm_s`. `expected` is the `result` of a right answer; None
    takes any that is not empty."""

    url: str
    photo: str
    form: str = "raw"
    expected: Mapping[str, Any] | None = None
    concurrency: int = 1
    rate: float = 0.0
    window_s: float = 3.0
    windows: int = 6
    warm_s: float = 1.0
    seed: int = 0


@dataclass(slots=True)
class Seen:
    """Every request that ended: when, seconds it took, what came of it (`good`, `failed`, `refused`)."""

    rows: list[tuple[float, float, str]] = field(default_factory=list)
    statuses: Counter[str] = field(default_factory=Counter)
    retry_after: int = 0

    async def ask(self, send: Send, expected: Mapping[str, Any] | None, began: float | None = None) -> None:
        """One request; its latency counts from `began` where that is given."""
        began = time.perf_counter() if began is None else began
        try:
            async with asyncio.timeout(PATIENCE_S):  # `wait_for` of Python 3.11 may swallow a cancellation
                status, body, headers = await send()
            ended = time.perf_counter()
            outcome = judge(status, body, expected)
            self.statuses[str(status)] += 1
            self.retry_after += outcome == "refused" and "retry-after" in headers
        except Exception as error:
            ended, outcome = time.perf_counter(), "failed"
            self.statuses[type(error).__name__] += 1
        self.rows.append((ended, ended - began, outcome))

    def window(self, start: float, end: float) -> Window:
        """What ended from `start` to `end`."""
        inside = [row for row in self.rows if start <= row[0] < end]
        took = [1000 * seconds for _, seconds, outcome in inside if outcome == "good"]
        count = Counter(outcome for _, _, outcome in inside)
        quantiles = (quantile(took, share) for share in (0.5, 0.95, 0.99))
        return Window(end - start, count["good"], count["failed"], count["refused"], *quantiles)


def judge(status: int, body: bytes, expected: Mapping[str, Any] | None) -> str:
    """`good`, `refused` (503), or `failed`: any other status, and a body that is empty, no JSON, or says another thing
    than is expected."""
    if status == 503:
        return "refused"
    result = result_of(body) if status == 200 else None
    if result is None:
        return "failed"
    return "good" if expected is None or alike(expected, result) else "failed"


def poisson(rate: float, seconds: float, seed: int) -> list[float]:
    """Times of arrivals, in seconds from the start, `rate` per second in the mean, independent of each other."""
    draw, times, now = random.Random(seed), list[float](), 0.0
    while (now := now + draw.expovariate(rate)) < seconds:
        times.append(now)
    return times


async def closed(send: Send, order: Order) -> tuple[Seen, list[Window], bool]:
    """So many clients that each send the next request when the last is answered; the windows, and whether they have
    settled."""
    seen, windows = Seen(), list[Window]()

    async def client() -> None:
        while True:
            await seen.ask(send, order.expected)
            await asyncio.sleep(0)  # a refused connection comes back without ever letting others run

    clients = [asyncio.create_task(client()) for _ in range(order.concurrency)]
    try:
        await asyncio.sleep(order.warm_s)
        while len(windows) < order.windows and not settled(windows):
            start = time.perf_counter()
            for _ in range(STRETCH):
                await asyncio.sleep(order.window_s)
                window = seen.window(start, time.perf_counter())
                if window.good >= LEAST:
                    break
            windows.append(window)
    finally:
        for one in clients:
            one.cancel()
        await asyncio.gather(*clients, return_exceptions=True)
    return seen, windows, settled(windows)


async def opened(send: Send, order: Order) -> tuple[Seen, list[Window]]:
    """Requests at the times of a Poisson process, whether or not the last ones are answered: one window, which ends
    with the schedule. Latencies count from the scheduled time."""
    seen, asked = Seen(), list[asyncio.Task[None]]()
    start = time.perf_counter()
    for due in poisson(order.rate, order.window_s, order.seed):
        await asyncio.sleep(max(0.0, start + due - time.perf_counter()))
        asked.append(asyncio.create_task(seen.ask(send, order.expected, start + due)))
    await asyncio.gather(*asked)
    # What is answered after the last arrival was carried by the machine beyond the schedule: the time counts, too.
    return seen, [seen.window(start, max((row[0] for row in seen.rows), default=start) + 1e-6)]


def body_of(photo: bytes, form: str) -> tuple[bytes, dict[str, str]]:
    """The request's body and headers: `raw`, or `multipart` with the field `file`."""
    if form == "raw":
        return photo, {"Content-Type": "image/jpeg"}
    boundary = "carlens-bench-boundary"
    head = f'--{boundary}\r\nContent-Disposition: form-data; name="file"; filename="car.jpg"\r\n'
    body = head.encode() + b"Content-Type: image/jpeg\r\n\r\n" + photo + f"\r\n--{boundary}--\r\n".encode()
    return body, {"Content-Type": f"multipart/form-data; boundary={boundary}"}


async def run(send: Send, order: Order) -> dict[str, Any]:
    """The order carried out: `windows`, `settled`, `requests`, `statuses`, and for refusals `refused_ms` (median and
    99th percentile) and `retry_after` (how many had the header)."""
    if order.rate:
        seen, windows = await opened(send, order)
        still = True
    else:
        seen, windows, still = await closed(send, order)
    refused = [1000 * took for _, took, outcome in seen.rows if outcome == "refused"]
    return {
        "windows": [asdict(window) for window in windows],
        "settled": still,
        "requests": len(seen.rows),
        "statuses": dict(seen.statuses),
        "refused": len(refused),
        "refused_ms": [quantile(refused, 0.5), quantile(refused, 0.99)],
        "retry_after": seen.retry_after,
    }


@contextmanager
def without_pauses() -> Iterator[None]:
    """The collector of garbage stays out of the latencies; a run is short."""
    gc.disable()
    try:
        yield
    finally:
        gc.enable()


async def sent(order: Order, body: bytes, headers: Mapping[str, str]) -> dict[str, Any]:
    """The order carried out by aiohttp's client: connections are kept, and never lacking."""
    import aiohttp

    connector = aiohttp.TCPConnector(limit=0)
    timeout = aiohttp.ClientTimeout(total=PATIENCE_S)
    async with aiohttp.ClientSession(connector=connector, timeout=timeout) as session:

        async def send() -> Reply:
            async with session.post(order.url, data=body, headers=headers) as answer:
                text = await answer.read()
                return answer.status, text, {name.lower(): value for name, value in answer.headers.items()}

        with without_pauses():
            return await run(send, order)


def main() -> None:
    order = Order(**json.loads(sys.stdin.read()))
    body, headers = body_of(Path(order.photo).read_bytes(), order.form)
    sys.stdout.write(json.dumps(asyncio.run(sent(order, body, headers))))


if __name__ == "__main__":
    main()
