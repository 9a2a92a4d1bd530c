"""Runtimes behind one small contract: put a network's weights on a device, run arrays through it."""

import ctypes
import sys
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import Protocol, cast

from models import graphs
from models.manifest import Weights, WeightsError
from models.predictor import Arrays


class Backend(Protocol):
    """One loaded network. `load` is called by a thread that loads, then `run` by the device's own thread."""

    name: str

    def load(self, weights: Weights, device: str) -> None:
        """Build the network and put it on `device`; raises `WeightsError` where the weights do not fit it."""

    def run(self, arrays: Arrays) -> Arrays:
        """A batch through the network; names and shapes are those of the network's forward. Device memory exhausted
        is raised as `MemoryError`."""


class Unloaded:
    """In the place of a backend until one is loaded."""

    name = "none"

    def load(self, weights: Weights, device: str) -> None:
        raise NotImplementedError

    def run(self, arrays: Arrays) -> Arrays:
        raise RuntimeError("run before load")


GRAPHS = ("openvino", "openvino-fp32", "onnxruntime")
"""Those that run graphs on the CPU, without torch; the quickest first. After a dash the precision: `openvino` computes
in bf16 where the processor has it, `openvino-fp32` nowhere."""

INT8 = "openvino-int8"
"""Runs int8 graphs, which not all weights have, on the CPU. It changes answers a little: `auto` never takes it."""

NAMES = (*GRAPHS, INT8, "torch")
AUTO = "auto"


def create(name: str, cache: Path | None = None, threads: int | None = None) -> Backend:
    """The backend of that name; its library is imported here and not before. `cache` is a folder for what it compiles,
    so that a second start is quick. It computes with so many `threads` of the CPU; None leaves that to its library.
    Raises `ValueError` for an unknown one."""
    if name not in NAMES:
        raise ValueError(f"unknown backend {name!r}: one of {', '.join(NAMES)}")
    library, _, precision = name.partition("-")
    chosen = {"precision": precision} if precision else {}
    return cast(Backend, import_module(f"models.backends.{library}").create(cache, threads, **chosen))


def choose(wanted: str, weights: Weights, device: str) -> str:
    """The name of the backend that serves these weights on `device`: the one `wanted`, or for `auto` torch on a GPU,
    and on the CPU the quickest that is installed, of those for graphs where the weights have graphs. Where int8 is
    wanted and the weights have no graph for it `openvino` serves them, so that one word can be said for all predictors.

    Raises `WeightsError` where there is none, with what to install or make.
    """
    if wanted != AUTO:
        library = wanted.partition("-")[0]
        if not find_spec(library):
            raise WeightsError(f"{weights.manifest.name}: the backend {wanted} needs {library} (pip install {library})")
        return library if wanted == INT8 and not graphs.quantized(weights) else wanted
    able: tuple[str, ...] = GRAPHS if device == "cpu" and graphs.found(weights) else ()
    for name in (*able, "torch"):
        if find_spec(name):
            return name
    raise WeightsError(
        f"{weights.manifest.name}: no backend is installed that can serve it on {device}: on the cpu weights with "
        "graphs beside them need openvino or onnxruntime, all else needs torch"
    )


def resolve_device(requested: str) -> str:
    """`auto` to `cuda` where a GPU can be used, else `cpu`; any other name is checked and kept.

    Raises `ValueError` with what is there. torch, which takes seconds to import, is asked only where a GPU may be.
    """
    if requested == "cpu" or (requested == AUTO and not (_driver() and find_spec("torch"))):
        return "cpu"
    if not find_spec("torch"):
        raise ValueError(f"device {requested!r} needs torch, which is not installed; use auto or cpu")
    return cast(str, import_module("models.backends.torch").resolve_device(requested))


def devices(requested: str) -> list[str]:
    """The devices that workers may share out: for `auto` and `cuda` every GPU that can be used, else the one
    requested. Raises what `resolve_device` does."""
    resolved = resolve_device(requested)
    if resolved != "cuda":
        return [resolved]
    count = cast(int, import_module("models.backends.torch").count())
    return [f"cuda:{number}" for number in range(count)] or [resolved]


def _driver() -> bool:
    """Whether there is a driver for NVIDIA's GPUs."""
    try:
        ctypes.CDLL("nvcuda.dll" if sys.platform == "win32" else "libcuda.so.1")
    except OSError:
        return False
    return True
