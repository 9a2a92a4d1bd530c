"""The predictor that the fault tests serve: the mean colour of a photo, and whatever else its `Control` orders.

It runs in the service's process, brought in as a plug-in, and asks before it loads and before every run.
"""

import json
import os
import socket
from typing import Any

import numpy as np
from pydantic import BaseModel, Field

from models.photo import Header, Photo, Region
from models.predictor import Arrays, Card, Options, Predictor, Specification, Tensor

SIDE = 8
PLAIN = 40
"""Between the darkest and the brightest value of what tests send."""

ADDRESS = "FAULTS_CONTROL"


class OutOfMemoryError(RuntimeError):
    """What torch raises, by its name and its base."""


class Doom(BaseException):
    """What no `except Exception` catches."""


class ProbeOptions(Options):
    digits: int = Field(default=3, ge=0, le=6, description="Digits after the point.")


class ProbeAnswer(BaseModel):
    mean: float
    channels: list[float]
    left: float
    width: int
    height: int


class Probe(Predictor[ProbeOptions, ProbeAnswer]):
    card = Card(version="1.0.0", architecture="mean")
    specification = Specification(
        name="probe",
        summary="The mean colour",
        description="The mean colour of a photo and of its left half, 0 to 255.",
        options=ProbeOptions,
        answer=ProbeAnswer,
        inputs={"pixels": Tensor((SIDE, SIDE, 3))},
        reads=(SIDE, SIDE),
        batch_sizes=(1, 2, 4, 8),
        drawable=True,
    )

    def __init__(self) -> None:
        self._orders: Any = None

    def ask(self, what: str, **more: object) -> str:
        """Tells the control what is about to happen, and waits for its order."""
        if self._orders is None:
            host, _, port = os.environ[ADDRESS].rpartition(":")
            self._orders = socket.create_connection((host, int(port))).makefile("rwb")
        self._orders.write(json.dumps({"what": what, "pid": os.getpid(), **more}).encode() + b"\n")
        self._orders.flush()
        return str(self._orders.readline().decode().strip())

    def load(self, device: str) -> None:
        obey(self.ask("load"))

    def prepare(self, photo: Photo, region: Region, options: ProbeOptions) -> Arrays:
        return {"pixels": photo.resized(region, SIDE, SIDE)}

    def run(self, batch: Arrays) -> Arrays:
        pixels = batch["pixels"].astype(np.float64)
        means, left = pixels.mean(axis=(1, 2)), pixels[:, :, : SIDE // 2].mean(axis=(1, 2, 3))
        # Padding and warm-up are zeros; the drawn photo by which the service proves a predictor is of many colours.
        numbers = [round(float(one.mean())) for one in pixels if one.any() and np.ptp(one) < PLAIN]
        order = self.ask("run", numbers=numbers, rows=len(means))
        obey(order)
        if order in ("nan", "inf"):
            means = np.full_like(means, float(order))
        return {"means": means, "left": left}

    def finish(self, output: Arrays, header: Header, region: Region, options: ProbeOptions) -> ProbeAnswer:
        channels = [round(float(value), options.digits) for value in output["means"]]
        mean, left = (round(float(output[name].mean()), options.digits) for name in ("means", "left"))
        return ProbeAnswer(mean=mean, channels=channels, left=left, width=header.width, height=header.height)


def obey(order: str) -> None:
    match order:
        case "raise":
            raise RuntimeError("the predictor was told to fail")
        case "memory":
            raise MemoryError("the predictor was told that memory is out")
        case "torch-memory":
            raise OutOfMemoryError("CUDA out of memory. Tried to allocate 20.00 MiB.")
        case "die":
            raise Doom("the device's thread was told to die")
