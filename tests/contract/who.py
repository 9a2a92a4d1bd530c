"""A predictor that says which process answers, installed from a folder: a real service with nothing to load."""

import os
from pathlib import Path

PLUGIN = '''
"""Says which process answers."""

import multiprocessing
import os
import time

from pydantic import BaseModel, Field

from models.predictor import Card, Options, Predictor, Specification, Tensor


class WhoOptions(Options):
    wait_s: float = Field(default=0, ge=0, le=10, description="Seconds that the answer takes.")


class WhoAnswer(BaseModel):
    pid: int
    threads: int


class Who(Predictor[WhoOptions, WhoAnswer]):
    card = Card(version="0.1.0", architecture="none")
    specification = Specification(
        name="who",
        summary="Who answers",
        description="The process that answers, and how many threads it may keep busy.",
        options=WhoOptions,
        answer=WhoAnswer,
        inputs={"pixels": Tensor((8, 8, 3), "uint8")},
        reads=(8, 8),
        batch_sizes=(1,),
    )

    def __init__(self, threads: int = 0) -> None:
        if "WHO_BREAKS" in os.environ and multiprocessing.parent_process():
            raise ValueError("who breaks in a worker")
        self.threads = threads

    def load(self, device):
        pass

    def prepare(self, photo, region, options):
        time.sleep(options.wait_s)
        return {"pixels": photo.resized(region, 8, 8)}

    def run(self, batch):
        return {"pixels": batch["pixels"]}

    def finish(self, output, header, region, options):
        return WhoAnswer(pid=os.getpid(), threads=self.threads)
'''


def installed(folder: Path) -> dict[str, str]:
    """Puts it there; the environment of a service that serves it alone, on the CPU."""
    (folder / "who_plugin.py").write_text(PLUGIN)
    info = folder / "who_plugin-0.1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: who-plugin\nVersion: 0.1.0\n")
    (info / "entry_points.txt").write_text("[carlens.predictors]\nwho = who_plugin:Who\n")
    path = os.pathsep.join(part for part in (str(folder), os.environ.get("PYTHONPATH")) if part)
    return {"CARLENS_PREDICTORS": "who", "CARLENS_DEVICE": "cpu", "PYTHONPATH": path}
