"""Figures of carlens alone: good requests beside bad ones, every task of a photo, a phone's photo, finding the car."""

import asyncio
import os
import statistics
import sys
import time

import httpx

from tests.bench.compare.answers import alike, result_of
from tests.bench.compare.measure import Bench, OutOfTime, called, say
from tests.bench.compare.rows import Missing
from tests.bench.compare.servers import CARLENS, NotStarted, free_port, running

GOOD = 7
JPEG = {"content-type": "image/jpeg"}


def measure(bench: Bench) -> None:
    """All of them, into the results; where carlens does not start, the reason. Raises `OutOfTime`."""
    if time.monotonic() > bench.until:
        raise OutOfTime
    web, phone = bench.photos["web"], bench.photos.get("phone", bench.photos["web"])
    say("carlens alone: the locator")
    bench.results.extras.update(called("limits", {"predictor": "vehicles", "photo": str(web), "seconds": 2.0}))
    port = free_port()
    base = f"http://127.0.0.1:{port}"
    say("carlens alone: every predictor")
    command = [sys.executable, "-c", CARLENS, "serve", "--port", str(port)]
    try:
        with running(command, f"{base}/v1/inspect", web, {}):
            asyncio.run(_measure(bench, base, web.read_bytes(), phone.read_bytes()))
    except NotStarted as error:
        bench.results.missing.append(Missing("carlens with every predictor", str(error)))


async def _measure(bench: Bench, base: str, web: bytes, phone: bytes) -> None:
    extras, asks = bench.results.extras, bench.plan.asks
    async with httpx.AsyncClient(base_url=base, timeout=120, trust_env=False) as client:
        while (await client.get("/health/ready")).status_code != 200:  # noqa: ASYNC110 - in another process
            await asyncio.sleep(0.1)
        extras["inspect_web_ms"] = await p50(client, "/v1/inspect", web, asks)
        extras["damage_phone_ms"] = await p50(client, "/v1/damage", phone, asks)
        ways: dict[str, list[float]] = {"auto": [], "whole": []}
        for _ in range(asks):
            for way, took in ways.items():
                took.append(await p50(client, f"/v1/car_details?vehicle={way}", web, 1, warm=0))
        extras["auto_ms"] = statistics.median(ways["auto"]) - statistics.median(ways["whole"])
        right = await beside(client, "/v1/attributes?vehicle=whole", web, bench.plan.rounds)
        extras["good_beside_bad"], extras["good_beside_bad_of"] = right, GOOD * bench.plan.rounds
    say("  " + ", ".join(f"{name} {value:.1f}" for name, value in extras.items()))


async def p50(client: httpx.AsyncClient, call: str, photo: bytes, times: int, warm: int = 2) -> float:
    """The median of the milliseconds of so many requests, one after the other. Raises where one is not answered."""
    took = []
    for number in range(warm + times):
        began = time.perf_counter()
        answer = await client.post(call, content=photo, headers=JPEG)
        answer.raise_for_status()
        if number >= warm:
            took.append(1000 * (time.perf_counter() - began))
    return statistics.median(took)


def spoilt(photo: bytes, number: int) -> bytes:
    """A photo that cannot be read: cut off, full of holes, or none at all, in turns."""
    if number % 3 == 0:
        return photo[: len(photo) // 2]
    if number % 3 == 1:
        return photo[:700] + os.urandom(len(photo) - 700)
    return b"GIF89a" + os.urandom(200)


async def beside(client: httpx.AsyncClient, call: str, photo: bytes, rounds: int) -> int:
    """How many of `GOOD` good requests a round, sent at once with a bad one, are answered right."""
    first = await client.post(call, content=photo, headers=JPEG)
    expected, right = result_of(first.content), 0
    for number in range(rounds):
        bodies = [photo] * GOOD
        bodies.insert(number % (GOOD + 1), spoilt(photo, number))
        answers = await asyncio.gather(
            *(client.post(call, content=body, headers=JPEG) for body in bodies), return_exceptions=True
        )
        for body, answer in zip(bodies, answers, strict=True):
            if body is photo and isinstance(answer, httpx.Response) and answer.status_code == 200:
                right += alike(expected, result_of(answer.content))
    return right
