"""A predictor for replicas: what it does is told by the photo, and by files in a folder that all processes see."""

import os
import threading
import time
from pathlib import Path

import numpy as np

from models.photo import Header, Region
from models.predictor import Arrays, RegionOptions
from tests.fakes import Brightness, BrightnessAnswer

FOLDER = "FAKE_PREDICTOR_FOLDER"
RUN_S = 0.02

BAD = (255, 0, 0)
"""The colour of a photo that makes its batch fail."""
DEADLY = (0, 0, 255)
"""The colour of a photo that ends the process that runs it."""


class Remote(Brightness):
    """`weights` in the folder is its version. Where there is a file `hang`, the first replica to run anything takes it
    away and never comes back from that run; while there is `hold`, every run waits, and says so by `held`, which names
    its process. Every run is a line of `runs`: process, photos. One takes `RUN_S`."""

    def __init__(self) -> None:
        super().__init__()
        self.folder = Path(os.environ[FOLDER])
        self.version = int((self.folder / "weights").read_text())
        digest = f"sha256:{self.version:012d}"
        self.card = self.card.model_copy(update={"version": f"{self.version}.0.0", "weights": digest})

    def run(self, batch: Arrays) -> Arrays:
        pixels = batch["pixels"].astype(np.float64).mean(axis=(1, 2))
        photos = int((pixels.sum(axis=1) > 0).sum())  # padding and warm-up are zeros
        if photos:
            self._meet(pixels)
            time.sleep(RUN_S)  # what a device would take
            with (self.folder / "runs").open("a") as file:
                file.write(f"{os.getpid()} {photos}\n")
        return {"channels": pixels, "version": np.full(len(pixels), self.version)}

    def _meet(self, pixels: np.ndarray) -> None:
        try:
            (self.folder / "hang").rename(self.folder / "hung")
        except FileNotFoundError:
            pass
        else:
            threading.Event().wait()
        while (self.folder / "hold").exists():
            (self.folder / "held").write_text(str(os.getpid()))
            time.sleep(0.005)
        for row in pixels:
            if np.abs(row - DEADLY).max() < 3:
                os._exit(1)
            if np.abs(row - BAD).max() < 3:
                raise ValueError("a photo that cannot be read")

    def finish(self, output: Arrays, header: Header, region: Region, options: RegionOptions) -> BrightnessAnswer:
        if int(output["version"]) != self.version:
            raise AssertionError(f"version {self.version} was given a row of version {int(output['version'])}")
        return super().finish(output, header, region, options)
