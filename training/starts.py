"""Starting weights: safetensors under torchvision's key names, plain or xz-packed."""

import lzma
from pathlib import Path

from safetensors.torch import load
from torch import Tensor


def read(path: Path) -> dict[str, Tensor]:
    """The tensors of `path` as fp32 where they are floating point. Raises `FileNotFoundError` with what to obtain."""
    if not path.exists():
        raise FileNotFoundError(f"no starting weights at {path}: training/README.md says what to obtain")
    data = lzma.decompress(path.read_bytes()) if path.suffix == ".xz" else path.read_bytes()
    return {name: value.float() if value.is_floating_point() else value for name, value in load(data).items()}
