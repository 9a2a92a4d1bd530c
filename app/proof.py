"""The proof that a predictor can answer: a drawn photo through its whole path, before others' photos and in doubt."""

import asyncio
import io
import math
from functools import cache

import numpy as np
from PIL import Image, ImageDraw

from app.ask import Ask, Loaded
from app.engine import Engine
from app.finish import finished
from app.locate import scale_for
from models.photo import Header, Limits, Region, decode, read_header, whole
from models.predictor import Arrays, Options

SIZE = (640, 480)


@cache
def photo() -> bytes:
    """A car from the side on a road, as JPEG; noise on it, as every camera's."""
    image = Image.new("RGB", SIZE, (168, 190, 214))
    draw = ImageDraw.Draw(image)
    draw.rectangle((0, 330, 640, 480), fill=(96, 96, 100))
    draw.polygon([(190, 250), (250, 180), (400, 180), (470, 250)], fill=(60, 70, 84))
    draw.rounded_rectangle((90, 245, 560, 345), 30, fill=(176, 28, 36))
    for x in (185, 465):
        draw.ellipse((x - 48, 297, x + 48, 393), fill=(24, 24, 26))
        draw.ellipse((x - 24, 321, x + 24, 369), fill=(180, 182, 186))
    noise = np.random.default_rng(0).integers(-6, 7, (SIZE[1], SIZE[0], 3))
    pixels = np.clip(np.asarray(image).astype(np.int64) + noise, 0, 255).astype(np.uint8)
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, "JPEG")
    return file.getvalue()


class Proof:
    """Takes a photo through decode, prepare, batcher, device and finish."""

    def __init__(self, batcher: Engine) -> None:
        self._batcher = batcher

    async def __call__(self, loaded: Loaded) -> None:
        """Returns once it was answered; raises what failed. No deadline: who waits for too long gives up by itself."""
        predictor = loaded.predictor
        options = predictor.specification.options()
        header, region, item = await asyncio.to_thread(_prepared, loaded, options)
        row = await self._batcher.submit(loaded.lane, item, deadline=math.inf)
        await asyncio.to_thread(finished, Ask(predictor, options), row.output, header, region)


def _prepared(loaded: Loaded, options: Options) -> tuple[Header, Region, Arrays]:
    header = read_header(photo(), Limits())
    region = whole(header)
    pixels = decode(photo(), header, scale_for(loaded.predictor.specification, region))
    return header, region, loaded.predictor.prepare(pixels, region, options)
