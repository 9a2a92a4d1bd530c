"""Data folders with a handful of drawn photos, laid out as training/README.md says, and starts of random numbers."""

import csv
import io
import json
import zipfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image
from safetensors.torch import save_file
from torchvision.models import get_model

COLORS = {"red": (200, 30, 30), "blue": (30, 30, 200)}
CARS = ["AM General Hummer SUV 2000", "Acura RL Sedan 2012", "Acura TL Sedan 2012"]
WIDTH, HEIGHT = 60, 40
SQUARE = (12, 8, 42, 28)  # where a drawn damage lies
CLASSIFIER = [
    "architecture=resnet18",
    "start=pretrained/resnet18.safetensors",
    "sizes=[[0.0, 32]]",
    "epochs=1",
    "batch=2",
    "task={frozen = 3, variants = 2, augment = {flip = 1.0}}",
]
HEADS = ["start=pretrained/resnet18.safetensors", "sizes=[[0.0, 32]]", "epochs=1", "batch=8", "task.epoch=16"]
INSTANCES = [
    "start=pretrained/mobilenet_v2.safetensors",
    "sizes=[[0.0, 64]]",
    "epochs=1",
    "batch=2",
    "network={channels = 16, hidden = 32, detections = 10}",
    "task.negatives=1",
]


def photo(color: Sequence[int] = (230, 230, 230), square: tuple[int, int, int, int] | None = None) -> bytes:
    """One colour, maybe with a dark rectangle, as PNG."""
    pixels = np.full((HEIGHT, WIDTH, 3), color, np.uint8)
    if square:
        x1, y1, x2, y2 = square
        pixels[y1:y2, x1:x2] = 10
    return _encoded(Image.fromarray(pixels))


def cutout() -> bytes:
    """A green car on nothing."""
    pixels = np.zeros((HEIGHT, WIDTH, 4), np.uint8)
    pixels[6:-6, 6:-6] = (0, 255, 0, 255)
    return _encoded(Image.fromarray(pixels, "RGBA"))


def _encoded(image: Image.Image) -> bytes:
    file = io.BytesIO()
    image.save(file, "PNG")
    return file.getvalue()


def folder(path: Path, files: Mapping[str, bytes]) -> None:
    """The files in a folder."""
    for name, data in files.items():
        (path / name).parent.mkdir(parents=True, exist_ok=True)
        (path / name).write_bytes(data)


def zipped(path: Path, files: Mapping[str, bytes]) -> None:
    """The files in `PATH.zip`."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with zipfile.ZipFile(path.parent / f"{path.name}.zip", "w") as file:
        for name, data in files.items():
            file.writestr(name, data)


def table(path: Path, header: str, rows: Sequence[Sequence[object]]) -> None:
    """A CSV file."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w", newline="") as file:
        csv.writer(file).writerows([header.split(","), *rows])


def start(path: Path, architecture: str) -> None:
    """Random weights under torchvision's key names, fp16."""
    torch.manual_seed(0)
    state = get_model(architecture, weights=None).state_dict()
    path.parent.mkdir(parents=True, exist_ok=True)
    save_file({name: value.half() if value.is_floating_point() else value for name, value in state.items()}, path)


def classifier(data: Path) -> None:
    """Six crops to train on, in a folder, and two to validate, in a zip."""
    rows: list[tuple[object, ...]] = []
    for split, count in (("train", 6), ("val", 2)):
        files = {}
        for n in range(count):
            name = f"{split}/{n:05}.png"
            files[name] = photo((40 * n, 90, 200 - 30 * n))
            rows.append((name, n % 3 + 1, CARS[n % 3], split))
        (folder if split == "train" else zipped)(data / "car_details" / split, files)
    table(data / "car_details" / "labels.csv", "file,class_id,class_name,split", rows)


def heads(data: Path) -> None:
    """A few photos of each head; a type's photo may lie in the classifier's archive, and two views are cut-outs."""
    classifier(data)
    tables: dict[str, list[tuple[object, ...]]] = {"color": [], "type": [], "orientation": []}
    root = data / "attributes"
    for split in ("train", "val"):
        folder(root / f"color_{split}", {f"{split}/{name}.png": photo(rgb) for name, rgb in COLORS.items()})
        tables["color"] += [(f"{split}/{name}.png", name, split) for name in COLORS]
        zipped(root / f"type_{split}", {f"{split}/bus.png": photo((250, 250, 0))})
        tables["type"] += [
            (f"{split}/bus.png", f"attributes/type_{split}.zip", "bus", split),
            (f"{split}/00000.png", f"car_details/{split}.zip", "sedan", split),
            (f"{split}/00001.png", f"car_details/{split}.zip", "sedan", split),
        ]
        zipped(root / f"orientation_photos_{split}", {f"{split}/front_left.png": photo((90, 0, 90))})
        zipped(root / f"orientation_cutouts_{split}", {f"{split}/{view}.png": cutout() for view in ("left", "front")})
        tables["orientation"] += [
            (f"{split}/front_left.png", "front_left", "photo", split),
            (f"{split}/left.png", "left", "cutout", split),
            (f"{split}/front.png", "front", "cutout", split),
        ]
    table(root / "color.csv", "file,color,split", tables["color"])
    table(root / "type.csv", "file,archive,type,split", tables["type"])
    table(root / "orientation.csv", "file,orientation,kind,split", tables["orientation"])


def instances(data: Path) -> None:
    """Six photos with a dent or a scratch to train on, two to validate; one sound car each."""
    x1, y1, x2, y2 = SQUARE
    outline = [x1, y1, x2, y1, x2, y2, x1, y2]
    for split, count in (("train", 6), ("val", 2)):
        document: dict[str, list[dict[str, Any]]] = {
            "images": [],
            "annotations": [],
            "categories": [{"id": 1, "name": "dent"}, {"id": 2, "name": "scratch"}],
        }
        for n in range(count):
            document["images"].append({"id": n + 10, "file_name": f"{n}.png", "width": WIDTH, "height": HEIGHT})
            document["annotations"].append(
                {"id": n, "image_id": n + 10, "category_id": n % 2 + 1, "segmentation": [outline]}
            )
        folder(data / "damage" / split, {f"{n}.png": photo(square=SQUARE) for n in range(count)})
        (data / "damage" / f"{split}.json").write_text(json.dumps(document))
        folder(data / "sound" / split, {"0.png": photo()})
