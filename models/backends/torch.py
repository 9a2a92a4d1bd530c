"""PyTorch on CPU or CUDA."""

from pathlib import Path

import numpy as np
import torch

from models.manifest import Weights, WeightsError
from models.networks import build
from models.predictor import Arrays


class TorchBackend:
    """A network in evaluation mode, fp32, channels last."""

    name = "torch"

    def __init__(self, threads: int | None = None) -> None:
        self.threads = threads
        self._network: torch.nn.Module | None = None
        self._device = torch.device("cpu")

    def load(self, weights: Weights, device: str) -> None:
        manifest = weights.manifest
        try:
            network = build(manifest.architecture, manifest.classes, manifest.network)
        except (ValueError, TypeError) as error:
            raise WeightsError(f"{weights.path}: {error}") from error
        state = {name: torch.from_numpy(np.array(value)) for name, value in weights.tensors().items()}
        inner = network.network
        assert isinstance(inner, torch.nn.Module)
        try:
            inner.load_state_dict(state)
        except RuntimeError as error:
            raise WeightsError(
                f"{weights.path}: does not fit {manifest.architecture}: {str(error).splitlines()[-1].strip()}"
            ) from error
        if self.threads is not None:
            torch.set_num_threads(self.threads)  # of the whole process
        self._device = torch.device(device)
        network.requires_grad_(False)
        self._network = network.eval().to(self._device).to(memory_format=torch.channels_last)

    @property
    def network(self) -> torch.nn.Module:
        """What was loaded."""
        if self._network is None:
            raise RuntimeError("run before load")
        return self._network

    def run(self, arrays: Arrays) -> Arrays:
        network = self.network
        with torch.inference_mode():
            given = {
                name: torch.from_numpy(np.ascontiguousarray(value)).to(self._device) for name, value in arrays.items()
            }
            try:
                found = network(**given)
            except torch.cuda.OutOfMemoryError as error:
                torch.cuda.empty_cache()
                raise MemoryError(str(error)) from error
            except RuntimeError as error:
                if "allocate memory" in str(error):  # how torch says it on the CPU
                    raise MemoryError(str(error)) from error
                raise
            return {name: value.cpu().numpy() for name, value in found.items()}


def create(cache: Path | None = None, threads: int | None = None) -> TorchBackend:
    """A backend with nothing loaded. It compiles nothing that a `cache` could keep."""
    return TorchBackend(threads)


def count() -> int:
    """How many GPUs this process can use."""
    return torch.cuda.device_count()


def resolve_device(requested: str) -> str:
    """See `models.backends.resolve_device`."""
    if requested == "auto":
        return "cuda" if torch.cuda.is_available() else "cpu"
    if requested == "cpu":
        return requested
    kind, _, number = requested.partition(":")
    count = torch.cuda.device_count()
    if kind != "cuda" or (number and not number.isdigit()):
        raise ValueError(f"unknown device {requested!r}: auto, cpu, cuda or cuda:N")
    if int(number or 0) >= count:
        raise ValueError(f"device {requested!r} is not there: {count} CUDA device(s) found; use auto or cpu")
    return requested
