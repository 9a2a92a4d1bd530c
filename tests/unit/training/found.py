"""Made-up findings on drawn photos, small enough to work figures out by hand."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from models.outlines import run_lengths
from training.data.annotated import Annotated, Instance
from training.findings import Head, Instances

COLORS = ["red", "green", "blue"]
SIDE = 100


def pixels(number: int, width: int = 60, height: int = 40) -> NDArray[np.uint8]:
    """A plain photo of a colour of its own."""
    return np.full((height, width, 3), (40 + 20 * number, 90, 200 - 20 * number), np.uint8)


def head(name: str = "color", labels: list[str] = COLORS, temperature: float = 1.0) -> Head:
    """Four photos: 0 is surely and rightly the first label, 1 surely and wrongly, 2 rightly the second, 3 wrongly and
    less surely the third."""
    logits = np.full((4, len(labels)), 0.0)
    logits[[0, 1, 2, 3], [0, 0, 1, 2]] = [4, 3, 3, 2]
    truth = np.array([0, 1, 1, 0])
    return Head(name, labels, [f"{n}.png" for n in range(4)], logits, truth, temperature, pixels)


def square(label: int, x: float, side: float = 40) -> Instance:
    return Instance(label, [np.array([[x, 0], [x + side, 0], [x + side, side], [x, side]], np.float32)])


def result(photo: int, label: int, x: float, score: float) -> dict[str, Any]:
    return {"image_id": photo, "category_id": label, "bbox": [x, 0.0, 40.0, 40.0], "score": score}


def instances(masks: bool = True) -> Instances:
    """Two photos with two dents and a scratch. Found: one dent surely, the other below the threshold of 0.5, a dent
    where there is none, and no scratch. One of four quiet photos is called a scratch."""
    photos = [
        Annotated(7, "seven.png", SIDE, SIDE, [square(0, 0), square(1, 50)]),
        Annotated(9, "nine.png", SIDE, SIDE, [square(0, 30)]),
    ]
    boxes = [result(7, 0, 0, 0.9), result(9, 0, 30, 0.3), result(7, 0, 60, 0.8)]
    outlines = []
    for one in boxes:
        x = one["bbox"][0]
        ring = np.array([[x, 0], [x + 40, 0], [x + 40, 40], [x, 40]], float)
        code = run_lengths([ring], SIDE, SIDE).model_dump()
        outlines.append({key: one[key] for key in ("image_id", "category_id", "score")} | {"segmentation": code})
    return Instances(
        labels=["dent", "scratch"],
        thresholds={"dent": 0.5, "scratch": 0.6},
        photos=photos,
        boxes=boxes,
        masks=outlines if masks else [],
        quiet_files=["a.png", "b.png", "c.png", "d.png"],
        quiet=[[], [(1, 0.7), (0, 0.4)], [(1, 0.5)], []],
        read=lambda file: pixels(len(file), SIDE, SIDE),
        read_quiet=lambda file: pixels(ord(file[0]) - ord("a")),
    )
