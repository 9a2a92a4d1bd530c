"""What backends of graphs share: which files make a network, and the path through its parts."""

import shutil
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np

from models import graphs
from models.manifest import Manifest, Weights, WeightsError
from models.predictor import Arrays
from models.rcnn import Limits, Part, Rcnn


class GraphBackend(ABC):
    """A network from the graphs beside its weights (`models.graphs`), without torch, on the CPU."""

    name: str
    int8 = False
    """Whether it runs int8 graphs, where there are any."""

    def __init__(self, cache: Path | None = None, threads: int | None = None) -> None:
        self.cache, self.threads = cache, threads
        self._network: Callable[[Arrays], Arrays] | None = None

    @abstractmethod
    def open(self, path: Path, digest: str) -> Part:
        """The graph, ready to run; what it returns is the caller's own. `digest` tells its weights from others."""

    def load(self, weights: Weights, device: str) -> None:
        if device != "cpu":
            raise WeightsError(f"{weights.manifest.name}: the backend {self.name} runs on the cpu, not on {device}")
        data = weights.verify()
        name, files = weights.manifest.name, graphs.found(weights, self.int8)
        if self.int8 and not graphs.quantized(weights):
            raise WeightsError(f"{name}: the backend {self.name} needs its int8 graph; {graphs.QUANTIZED.format(name)}")
        if not files:
            raise WeightsError(f"{name}: the backend {self.name} needs its graphs; {graphs.REMADE.format(name)}")
        with TemporaryDirectory(prefix="carlens-", ignore_cleanup_errors=True) as folder:
            # From a copy that nobody writes: runtimes map files into memory, and end with the process if one changes.
            # It is called as the graphs call it, also where they are served beside others of that name.
            (Path(folder) / f"{name}.safetensors").write_bytes(data)
            digest = weights.manifest.sha256[:16]
            parts = {part: self.open(Path(shutil.copy(file, folder)), digest) for part, file in files.items()}
        self._network = parts[graphs.WHOLE] if graphs.WHOLE in parts else _rcnn(parts, weights.manifest)

    def run(self, arrays: Arrays) -> Arrays:
        if self._network is None:
            raise RuntimeError("run before load")
        try:
            return self._network(arrays)
        except RuntimeError as error:
            if "alloc" in str(error):  # how both runtimes say it
                raise MemoryError(str(error)) from error
            raise


def _rcnn(parts: Mapping[str, Part], manifest: Manifest) -> Rcnn:
    """A detector of its parts, warmed."""
    kept = {name: manifest.network[name] for name in ("detections", "min_score", "overlap") if name in manifest.network}
    made = Rcnn(parts["dense"], parts["boxes"], parts.get("masks"), Limits(**kept))
    made.warm({"image": np.zeros((1, manifest.input.height, manifest.input.width, 3), np.uint8)})
    return made
