"""What the shipped weights said of two fixed inputs when they were shipped; `python -m tests.golden` writes it anew."""

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from models.boxes import suppress
from models.photo import Limits, decode, read_header, whole
from models.predictor import Arrays
from models.predictors.weighted import WeightedPredictor
from models.registry import discover

NAMES = ("attributes", "car_details", "damage", "damage_severity", "parts", "severity", "vehicles")
FOLDER = Path(__file__).parent / "golden"
PHOTO = Path(__file__).parents[1] / "openapi" / "examples" / "car.jpg"
ROWS = 10  # detections kept, best first


def path(name: str) -> Path:
    return FOLDER / f"{name}.npz"


def predictor(name: str, backend: str = "torch") -> WeightedPredictor[Any, Any]:
    """The predictor with the shipped weights, loaded on the CPU."""
    found = discover(wanted=[name], backends={name: backend})[name]
    assert isinstance(found, WeightedPredictor)
    found.load("cpu")
    return found


def inputs(of: WeightedPredictor[Any, Any]) -> Arrays:
    """Two photos: the example car under a little noise, and its mirror image under much."""
    data = PHOTO.read_bytes()
    photo = decode(data, read_header(data, Limits()))
    every = {"min_score": 0} if of.kind == "instances" else {}  # outlines of what is faint too
    item = of.prepare(photo, whole(photo.header), of.specification.options(**every))
    car = item["image"].astype(np.float64)
    noise = np.random.default_rng(0).integers(0, 256, (2, *car.shape))
    blended = [0.9 * car + 0.1 * noise[0], 0.6 * car[:, ::-1] + 0.4 * noise[1]]
    return {
        **{name: np.stack([value, value]) for name, value in item.items()},
        "image": np.stack(blended).round().astype(np.uint8),
    }


def outputs(of: WeightedPredictor[Any, Any]) -> dict[str, NDArray[np.generic]]:
    """What `run` gives, small enough to keep: of detections the best rows, and of a mask its mean."""
    found = of.run(inputs(of))
    if of.kind == "boxes":  # thousands of cells, many on the same thing
        return _best_cells(found["boxes"], found["scores"])
    if of.kind != "instances":
        return {name: value.astype(np.float32).round(3) for name, value in found.items()}
    best = {name: value[:, :ROWS] for name, value in found.items()}
    return {
        "boxes": best["boxes"].astype(np.float32).round(1),
        "scores": best["scores"].astype(np.float32).round(3),
        "labels": best["labels"].astype(np.int16),
        "mask_means": best["masks"].astype(np.float32).mean(axis=(2, 3)).round(3),
    }


def _best_cells(boxes: NDArray[np.generic], scores: NDArray[np.generic]) -> dict[str, NDArray[np.generic]]:
    """The best cells of each photo that do not overlap."""
    best = scores.astype(np.float64).max(axis=2)
    kept = np.array([suppress(b.astype(np.float64), s, 0.45, ROWS) for b, s in zip(boxes, best, strict=True)])
    return {
        "boxes": np.take_along_axis(boxes, kept[:, :, None], axis=1).astype(np.float32).round(1),
        "scores": np.take_along_axis(best, kept, axis=1).astype(np.float32).round(3),
        "labels": np.take_along_axis(scores.argmax(axis=2), kept, axis=1).astype(np.int16),
    }


def write() -> None:
    """Rewrites every golden file from the shipped weights."""
    FOLDER.mkdir(exist_ok=True)
    for name in NAMES:
        shipped = predictor(name)
        np.savez_compressed(path(name), weights=np.array(shipped.card.weights), **outputs(shipped))  # type: ignore[arg-type]


if __name__ == "__main__":
    write()
