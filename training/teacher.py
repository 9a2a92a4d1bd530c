"""What another network answers to photos that nobody labelled, kept on disk: soft labels to learn from."""

import hashlib
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional

from models.photo import Header, Photo, whole
from training.features import FeatureCache, tell

Shares = dict[str, NDArray[np.float32]]


class Teacher:
    """A network's shares of every label of every head, for photos as they are (Hinton et al. 2015, arXiv:1503.02531);
    on photos outside the labelled sets this is noisy student training (Xie et al. 2020, arXiv:1911.04252)."""

    def __init__(self, network: nn.Module, labels: dict[str, list[str]], side: int) -> None:
        """`network` takes uint8 (batch, side, side, 3) and gives logits by head."""
        self.network, self.labels, self.side = network.eval(), labels, side

    def answers(
        self, path: Path, names: Sequence[str], photo: Callable[[int], NDArray[np.uint8]]
    ) -> NDArray[np.float16]:
        """Logits (photos, labels of all heads in their order), computed once and kept at `path`; `photo(n)` is RGB."""

        def compute(rows: Sequence[int]) -> Tensor:
            photos = []
            for row in rows:
                pixels = photo(row)
                header = Header(pixels.shape[1], pixels.shape[0], "")
                photos.append(Photo(header, pixels).resized(whole(header), self.side, self.side))
            logits = self.network(torch.from_numpy(np.stack(photos)))
            return torch.cat([logits[name] for name in self.labels], 1)[:, :, None, None]

        weights = hashlib.sha256()
        for value in self.network.state_dict().values():
            weights.update(value.numpy().tobytes())
        files = hashlib.sha256("\n".join(names).encode()).hexdigest()
        cache = FeatureCache(path, [self.labels, self.side, weights.hexdigest(), files])
        return cache.open(len(names), compute, tell, batch=64)[:, 0, 0]

    def shares(self, logits: NDArray[np.float16]) -> Shares:
        """One photo's logits as shares that sum to 1, by head."""
        found, first = {}, 0
        for name, labels in self.labels.items():
            part = torch.from_numpy(logits[first : first + len(labels)].astype(np.float32))
            found[name], first = functional.softmax(part, 0).numpy(), first + len(labels)
        return found
