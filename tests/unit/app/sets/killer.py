"""A predictor that ends its process in the middle of a set, once, and writes down what it was shown."""

import os
import signal
from pathlib import Path

import numpy as np

from models.predictor import Arrays
from tests.fakes import Brightness

FOLDER = "KILLER_FOLDER"
ARMED = "armed"
SEEN = "seen"
DEADLY = (200, 0, 0)
"""The colour of the photo that kills, while there is a file `armed`; that file is gone then."""


class Killer(Brightness):
    """Every row of a batch is a line of `seen`: its red, green and blue."""

    def run(self, batch: Arrays) -> Arrays:
        folder = Path(os.environ[FOLDER])
        for row in batch["pixels"].astype(np.float64).mean(axis=(1, 2)).round().astype(int):
            if row.any():  # padding and warm-up are zeros
                with (folder / SEEN).open("a") as file:
                    file.write(f"{row[0]} {row[1]} {row[2]}\n")
            if tuple(row) == DEADLY and (folder / ARMED).exists():
                (folder / ARMED).unlink()
                os.kill(os.getpid(), signal.SIGKILL)
        return super().run(batch)
