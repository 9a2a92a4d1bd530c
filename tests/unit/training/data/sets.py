"""Photos and label files that the readers' tests draw."""

import io
import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

WIDTH, HEIGHT = 60, 40
SQUARE = [12, 8, 42, 8, 42, 28, 12, 28]


def encoded(seed: int = 0, width: int = WIDTH, height: int = HEIGHT, kind: str = "PNG", patches: int = 5) -> bytes:
    """A photo of soft patches, so many a side, another for every seed."""
    colors = np.random.default_rng(seed).integers(0, 256, (patches, patches, 3), np.uint8)
    file = io.BytesIO()
    Image.fromarray(colors).resize((width, height), Image.Resampling.BICUBIC).save(file, kind)
    return file.getvalue()


def photos(folder: Path, names: Iterable[str]) -> Path:
    """The folder, with a photo of 60 x 40 pixels for each name."""
    for seed, name in enumerate(names):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(encoded(seed))
    return folder


def write(path: Path, content: Any) -> Path:
    """Text as it is, anything else as JSON."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(content if isinstance(content, str) else json.dumps(content), encoding="utf-8")
    return path
