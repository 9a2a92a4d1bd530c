"""ONNX Runtime on the CPU."""

from pathlib import Path

import onnxruntime

from models.backends.graph import GraphBackend
from models.predictor import Arrays
from models.rcnn import Part

ERRORS_ONLY = 3


class OnnxRuntimeBackend(GraphBackend):
    """A session for each graph, on `threads` or all cores, fp32. It compiles quickly and keeps nothing in the cache."""

    name = "onnxruntime"

    def open(self, path: Path, digest: str) -> Part:
        settings = onnxruntime.SessionOptions()
        settings.log_severity_level = ERRORS_ONLY
        settings.intra_op_num_threads = self.threads or 0  # 0: one for each core
        session = onnxruntime.InferenceSession(path, settings, providers=["CPUExecutionProvider"])
        names = [output.name for output in session.get_outputs()]

        def run(arrays: Arrays) -> Arrays:
            return dict(zip(names, session.run(names, dict(arrays)), strict=True))

        return run


def create(cache: Path | None = None, threads: int | None = None) -> OnnxRuntimeBackend:
    """A backend with nothing loaded."""
    return OnnxRuntimeBackend(cache, threads)
