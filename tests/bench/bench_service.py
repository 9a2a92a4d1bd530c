"""Latency and throughput of a running service by the number of clients that ask at once (a closed loop).

`python -m tests.bench.bench_service [URL] [--photo FILE] [--call PATH] [--requests N]`; one row per concurrency.
`device` and `queue` are the medians of what the answers say of themselves.
"""

import argparse
import asyncio
import statistics
import sys
import time
from collections.abc import Sequence
from pathlib import Path

import httpx

CONCURRENCIES = (1, 4, 16)
EXAMPLE = Path(__file__).resolve().parents[2] / "openapi" / "examples" / "car.jpg"
HEADERS = {"content-type": "application/octet-stream", "x-deadline-ms": "60000"}


async def ask(client: httpx.AsyncClient, call: str, photo: bytes) -> tuple[float, dict[str, float] | None]:
    """Milliseconds of one request, and the answer's own timings; None where it was refused or failed."""
    began = time.perf_counter()
    response = await client.post(call, content=photo, headers=HEADERS)
    took = (time.perf_counter() - began) * 1000
    return took, response.json()["timings_ms"] if response.is_success else None


async def measure(client: httpx.AsyncClient, call: str, photo: bytes, concurrency: int, requests: int) -> str:
    """A row of the table."""
    rows: list[tuple[float, dict[str, float] | None]] = []
    left = iter(range(requests))

    async def one_client() -> None:
        rows.extend([await ask(client, call, photo) for _ in left])

    began = time.perf_counter()
    await asyncio.gather(*(one_client() for _ in range(concurrency)))
    seconds = time.perf_counter() - began
    answered = [(took, timings) for took, timings in rows if timings]
    if not answered:
        return f"{concurrency:>11}  none of {requests} was answered"
    took = sorted(took for took, _ in answered)
    middle = [statistics.median(timings.get(step, 0.0) for _, timings in answered) for step in ("queue", "device")]
    figures = [statistics.median(took), took[int(len(took) * 0.95)], *middle]
    shown = "".join(f"{figure:>10.1f}" for figure in figures)
    return f"{concurrency:>11}{len(answered) / seconds:>10.1f}{shown}{requests - len(answered):>8}"


async def run(url: str, call: str, photo: bytes, requests: int) -> None:
    limits = httpx.Limits(max_connections=max(CONCURRENCIES))
    async with httpx.AsyncClient(base_url=url, timeout=120, limits=limits) as client:
        await asyncio.gather(*(ask(client, call, photo) for _ in range(4)))  # connections and caches, not measured
        columns = "".join(f"{column:>10}" for column in ("per s", "p50 ms", "p95 ms", "queue", "device"))
        print_line(f"{'concurrency':>11}{columns}{'failed':>8}")
        for concurrency in CONCURRENCIES:
            print_line(await measure(client, call, photo, concurrency, requests))


def print_line(text: str) -> None:
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description="Latency and throughput of a running service.")
    parser.add_argument("url", nargs="?", default="http://127.0.0.1:8000")
    parser.add_argument("--photo", type=Path, default=EXAMPLE)
    parser.add_argument("--call", default="/v1/attributes", help="what to ask (default /v1/attributes)")
    parser.add_argument("--requests", type=int, default=200, help="requests per concurrency (default 200)")
    chosen = parser.parse_args(arguments)
    try:
        asyncio.run(run(chosen.url, chosen.call, chosen.photo.read_bytes(), chosen.requests))
    except httpx.ConnectError:
        sys.exit(f"nothing answers at {chosen.url}: start it with make serve, or name another URL")


if __name__ == "__main__":
    main()
