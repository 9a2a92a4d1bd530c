"""Made-up weights: valid manifests, and networks of random numbers beside them, for tests that need nothing trained."""

import hashlib
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from safetensors.numpy import save

from models.manifest import LabelRow, Manifest, Training, shrink
from models.predictor import Input, Licence

ORIENTATIONS = ["front", "back", "left", "right", "front_left", "front_right", "back_left", "back_right"]
DAMAGES = ["dent", "scratch", "crack", "glass_shatter", "lamp_broken", "tire_flat"]
GRADES = ["minor", "moderate", "severe"]
CARS = [
    LabelRow(label="Audi R8 Coupe 2012", make="Audi", model="R8 Coupe", year=2012),
    LabelRow(label="Audi TTS Coupe 2012", make="Audi", model="TTS Coupe", year=2012),
    LabelRow(label="BMW M3 Coupe 2012", make="BMW", model="M3 Coupe", year=2012),
    LabelRow(label="something else"),
]
_PARTS: dict[str, dict[str, Any]] = {
    "attributes": {
        "kind": "heads",
        "architecture": "resnet18",
        "labels": {"color": ["red", "blue", "gray"], "type": ["sedan", "bus"], "orientation": ORIENTATIONS},
    },
    "car_details": {
        "kind": "classifier",
        "architecture": "resnet18",
        "labels": {"label": [row.label for row in CARS]},
        "table": CARS,
    },
    "damage": {
        "kind": "instances",
        "architecture": "mask_rcnn_mobilenet_v2_fpn",
        "network": {"channels": 16, "hidden": 32, "detections": 10},
        "labels": {"label": DAMAGES},
    },
    "damage_severity": {
        "kind": "classifier",
        "architecture": "resnet18",
        "network": {"beside": 6},
        "labels": {"label": GRADES},
    },
    "severity": {"kind": "classifier", "architecture": "resnet18", "labels": {"label": GRADES}},
    "vehicles": {
        "kind": "boxes",
        "architecture": "yolox_nano",
        "network": {"channels": 4},
        "labels": {"label": ["car", "bus", "truck", "motorcycle"]},
        "fit": "letterbox",
    },
}


OWN = {
    "balloons": {**_PARTS["damage"], "labels": {"label": ["balloon", "string"]}},
    "brands": {**_PARTS["car_details"], "labels": {"label": ["Audi", "BMW", "Fiat"]}, "table": []},
    "paint": {**_PARTS["attributes"], "labels": {"finish": ["matt", "glossy"], "paint_color": ["red", "blue"]}},
}
"""Weights that no predictor is named after, one set of each kind."""


def manifest(name: str, **changes: Any) -> Manifest:
    """A manifest that the predictor `name` (or its kind's) can serve, 32 x 32 pixels, with `changes`."""
    given: dict[str, Any] = {
        "name": name,
        "summary": f"Made up: {name}",
        "version": "0.0.1",
        "input": Input(width=32, height=32),
        "training": Training(
            recipe=name, data=[], start="none", epochs=0, steps=0, hours=0, machine="none", notes="never trained"
        ),
        "figures": {"none": 0},
        "figures_command": "none",
        "licence": Licence(weights="none needed", why="random numbers"),
        "sha256": "",
        **{**_PARTS, **OWN}[name],
    }
    return Manifest(**{**given, **changes})


def random_state(of: Manifest, seed: int = 0) -> dict[str, NDArray[np.generic]]:
    """The state of the manifest's network, random."""
    import torch

    from models.networks import build

    torch.manual_seed(seed)
    network = build(of.architecture, of.classes, of.network).get_submodule("network")
    return {key: value.numpy() for key, value in network.state_dict().items()}


def write(folder: Path, of: Manifest, state: dict[str, NDArray[np.generic]] | None = None) -> Path:
    """`NAME.json` and `NAME.safetensors` in `folder`, the sha256 right; without `state` the tensors fit no network."""
    tensors = save(shrink(state) if state else {"nothing": np.zeros(1, np.float32)})
    signed = of.model_copy(update={"sha256": hashlib.sha256(tensors).hexdigest()})
    folder.mkdir(parents=True, exist_ok=True)
    (folder / f"{of.name}.safetensors").write_bytes(tensors)
    path = folder / f"{of.name}.json"
    path.write_text(signed.model_dump_json())
    return path
