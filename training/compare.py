"""Backbones side by side: the same recipe, data and steps with each of them, in one table to choose by."""

import csv
import statistics
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import nn

from training import tasks
from training.devices import CPU, Place
from training.loop import Report, Run
from training.recipe import Recipe

TIMED = 9
_RESNET = ["conv1", "layer1"]
_STARTS = {name: f"pretrained/{name}.safetensors.xz" for name in ("mobilenet_v2", "resnet18", "resnet50")}
CHANGES: dict[str, dict[str, object]] = {
    "mobilenet_v2": {"start": _STARTS["mobilenet_v2"], "frozen": ["0", "1", "2", "3"]},
    "resnet18": {"start": _STARTS["resnet18"], "frozen": _RESNET},
    "resnet34": {"start": _STARTS["resnet18"], "frozen": _RESNET, "grow_from": "resnet18"},
    "resnet50": {"start": _STARTS["resnet50"], "frozen": _RESNET},
    "resnet101": {"start": _STARTS["resnet50"], "frozen": _RESNET, "grow_from": "resnet50"},
    "vovnet19": {"start": "none", "frozen": [], "norm": "batch"},
}
"""From what each backbone starts here, and which of its layers stay as they are."""


@dataclass(frozen=True, slots=True)
class Compared:
    """One row: parameters in millions, milliseconds for one photo (median, lowest, highest), and the box AP50."""

    backbone: str
    start: str
    parameters: float
    milliseconds: tuple[float, float, float]
    ap50: float


def recipe_for(recipe: Recipe, backbone: str) -> Recipe:
    """The recipe with another backbone, its start and frozen layers. Raises `ValueError` for an unknown one."""
    if recipe.kind != "instances":
        raise ValueError(f"recipe {recipe.name!r} is of kind {recipe.kind!r}: backbones are compared in detectors")
    if backbone not in CHANGES:
        raise ValueError(f"unknown backbone {backbone!r}: one of {', '.join(CHANGES)}")
    changes = dict(CHANGES[backbone])
    kind = recipe.architecture.partition("_rcnn_")[0]
    task = {name: value for name, value in recipe.task.items() if name != "grow_from"}
    task |= {name: changes[name] for name in ("frozen", "grow_from") if name in changes}
    network = {name: value for name, value in recipe.network.items() if name not in ("norm", "deformable")}
    network |= {name: changes[name] for name in ("norm",) if name in changes}
    return recipe.model_copy(
        update={
            "architecture": f"{kind}_rcnn_{backbone}_fpn",
            "start": changes["start"],
            "task": task,
            "network": network,
        }
    )


def compare(
    recipe: Recipe,
    backbones: Sequence[str],
    data: Path,
    folder: Path,
    place: Place = CPU,
    report: Callable[[str], Report] | None = None,
) -> Iterator[Compared]:
    """A row for each backbone as soon as it is trained; each has its own run in `folder`, which can go on."""
    for name, chosen in [(name, recipe_for(recipe, name)) for name in backbones]:
        task = tasks.create(chosen, data, folder / name)
        run = Run(task, folder / name, place=place)
        network = run.train(report(name) if report else None)
        last = [row for row in run.record.rows() if "val" in row][-1]
        parameters = sum(p.numel() for p in network.parameters()) / 1e6
        yield Compared(name, chosen.start, parameters, timed(network, chosen.side(1.0), place), last["val"]["ap50"])


@torch.inference_mode()
def timed(network: nn.Module, side: int, place: Place = CPU) -> tuple[float, float, float]:
    """Median, lowest and highest milliseconds for one photo of noise, after two that do not count."""
    pixels = np.random.default_rng(0).integers(0, 256, (1, side, side, 3)).astype(np.uint8)
    photo, taken = torch.from_numpy(pixels).to(place.device), []
    network.eval()
    for _ in range(TIMED + 2):
        begun = time.perf_counter()
        network(photo)
        if place.device.type == "cuda":
            torch.cuda.synchronize(place.device)
        taken.append(1000 * (time.perf_counter() - begun))
    return statistics.median(taken[2:]), min(taken[2:]), max(taken[2:])


def write(rows: Sequence[Compared], path: Path) -> None:
    """The table as CSV."""
    with path.open("w", newline="") as file:
        table = csv.writer(file)
        table.writerow(["backbone", "start", "parameters_m", "ms", "ms_lowest", "ms_highest", "ap50"])
        for row in rows:
            times = [f"{value:.1f}" for value in row.milliseconds]
            table.writerow([row.backbone, row.start, f"{row.parameters:.2f}", *times, f"{row.ap50:.4f}"])
