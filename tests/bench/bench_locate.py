"""What finding the vehicle costs: one large photo with `vehicle=whole` and with `vehicle=auto`, in turns.

`python -m tests.bench.bench_locate [--rounds N]`; the drawn car of `openapi/examples` stands on a 12-megapixel photo
over a tenth, a third and all of its width. One row per width and way: milliseconds in all (the median of the rounds,
and the lowest and highest), to decode, until the region and its finer pixels were there, and on the device.
"""

import argparse
import asyncio
import io
import statistics
import sys
from pathlib import Path

import httpx
import numpy as np
from PIL import Image

from app.commands.inside import choose, running
from app.settings import Settings

SIZE = (4032, 3024)
SHARES = (0.1, 0.33, 1.0)
WAYS = ("whole", "auto")
CAR = Path(__file__).resolve().parents[2] / "openapi" / "examples" / "car.jpg"


def print_line(text: str) -> None:
    sys.stdout.write(text + "\n")


def photo(share: float) -> bytes:
    """The drawn car over `share` of the width, on soft noise that costs a decoder what a photo does."""
    noise = np.random.default_rng(0).integers(90, 150, (SIZE[1] // 4, SIZE[0] // 4, 3), np.uint8)
    scene = Image.fromarray(noise).resize(SIZE, Image.Resampling.BICUBIC)
    with Image.open(CAR) as car:
        width = round(share * SIZE[0])
        drawn = car.convert("RGB").resize((width, round(car.height * width / car.width)))
    scene.paste(drawn, ((SIZE[0] - width) // 2, max(0, (SIZE[1] - drawn.height) // 2)))
    file = io.BytesIO()
    scene.save(file, "JPEG", quality=88)
    return file.getvalue()


async def ask(client: httpx.AsyncClient, data: bytes, way: str) -> dict[str, float]:
    """The timings of one answer, milliseconds."""
    headers = {"Content-Type": "image/jpeg", "X-Deadline-Ms": "60000"}
    answer = await client.post("/v1/attributes", params={"vehicle": way}, content=data, headers=headers)
    answer.raise_for_status()
    timings: dict[str, float] = answer.json()["timings_ms"]
    return timings


async def measure(rounds: int) -> None:
    settings = Settings(predictors=["attributes"])
    async with running(settings, choose(settings)) as inside:
        if failed := await inside.loaded():
            raise SystemExit("; ".join(failed.values()))
        print_line(f"{'width':>6} {'way':>6} {'total ms':>9} {'range':>15} {'decode':>7} {'locate':>7} {'device':>7}")
        for share in SHARES:
            data = photo(share)
            found: dict[str, list[dict[str, float]]] = {way: [] for way in WAYS}
            for _ in range(rounds):
                for way in WAYS:
                    found[way].append(await ask(inside.client, data, way))
            for way, timings in found.items():
                total = [one["total"] for one in timings]
                parts = [
                    statistics.median(one.get(part, 0.0) for one in timings) for part in ("decode", "locate", "device")
                ]
                told = " ".join(f"{part:7.1f}" for part in parts)
                spread = f"{min(total):.0f}-{max(total):.0f}"
                print_line(f"{share:6.0%} {way:>6} {statistics.median(total):9.1f} {spread:>15} {told}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=15, help="how often each photo is asked about in each way")
    asyncio.run(measure(parser.parse_args().rounds))


if __name__ == "__main__":
    main()
