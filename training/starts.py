"""Starting weights: those of another's training, safetensors under torchvision's key names, or those served here."""

import lzma
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from safetensors.torch import load
from torch import Tensor, nn

from models.manifest import find


def read(path: Path) -> dict[str, Tensor]:
    """The tensors of `path` as fp32 where they are floating point. Raises `FileNotFoundError` with what to obtain."""
    if not path.exists():
        raise FileNotFoundError(f"no starting weights at {path}: training/README.md says what to obtain")
    data = lzma.decompress(path.read_bytes()) if path.suffix == ".xz" else path.read_bytes()
    return {name: value.float() if value.is_floating_point() else value for name, value in load(data).items()}


SHIPPED = "weights:"
"""A recipe's `start` with this before a name goes on from the weights that are served under it."""


def labels(start: str) -> list[str]:
    """All labels of the served weights that `start` names."""
    return [label for names in find(start.removeprefix(SHIPPED)).manifest.labels.values() for label in names]


def go_on(
    network: nn.Module, start: str, fit: Callable[[dict[str, Tensor]], dict[str, Tensor]] = lambda state: state
) -> bool:
    """Loads all of the served weights that `start` (`weights:NAME`) names, as `fit` makes them, into `network`; False
    for any other start.

    Raises `WeightsError` where there are none, `ValueError` where they do not fit.
    """
    if not start.startswith(SHIPPED):
        return False
    tensors = find(start.removeprefix(SHIPPED)).tensors()
    state = fit({name: torch.from_numpy(np.ascontiguousarray(v)) for name, v in tensors.items()})
    try:
        network.load_state_dict(state)
    except RuntimeError as error:
        raise ValueError(f"{start} does not fit this recipe's network: {str(error).splitlines()[1].strip()}") from error
    return True
