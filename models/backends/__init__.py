"""Runtimes behind one small contract: put a network's weights on a device, run arrays through it."""

from importlib import import_module
from typing import Protocol, cast

from models.manifest import Weights
from models.predictor import Arrays


class Backend(Protocol):
    """One loaded network. `load` and `run` are called by the device's own thread."""

    name: str

    def load(self, weights: Weights, device: str) -> None:
        """Build the network and put it on `device`; raises `WeightsError` where the weights do not fit it."""

    def run(self, arrays: Arrays) -> Arrays:
        """A batch through the network; names and shapes are those of the network's forward. Device memory exhausted
        is raised as `MemoryError`."""


NAMES = ("torch",)


def create(name: str = "torch") -> Backend:
    """The backend of that name; its library is imported here and not before. Raises `ValueError` for an unknown one."""
    if name not in NAMES:
        raise ValueError(f"unknown backend {name!r}: one of {', '.join(NAMES)}")
    return cast(Backend, import_module(f"models.backends.{name}").create())


def resolve_device(requested: str) -> str:
    """`auto` to `cuda` where a GPU can be used, else `cpu`; any other name is checked and kept.

    Raises `ValueError` with what is there.
    """
    return cast(str, import_module("models.backends.torch").resolve_device(requested))
