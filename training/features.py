"""Activations of a frozen trunk, computed once and kept on disk: how a machine without a GPU trains a deep network."""

import json
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor


def tell(done: int, of: int) -> None:
    """How far it is, in one line that is written over."""
    print(f"features {done}/{of}", end="\n" if done == of else "\r", file=sys.stderr, flush=True)  # noqa: T201


class FeatureCache:
    """`rows` feature arrays as fp16 (rows, height, width, channels) in one memory-mapped file that resumes."""

    def __init__(self, path: Path, key: Any) -> None:
        """`key` names what the features are of; a file made for another key is refused, not used."""
        self.path, self.note = path, path.with_suffix(".json")
        self.key = json.loads(json.dumps(key))
        if self.note.exists() and json.loads(self.note.read_text())["key"] != self.key:
            raise ValueError(
                f"{path} holds features of other photos or of another network: remove it, or use another --out"
            )

    def open(
        self, rows: int, compute: Callable[[Sequence[int]], Tensor], report: Callable[[int, int], None], batch: int = 16
    ) -> NDArray[np.float16]:
        """The whole array; what is missing is computed, `batch` rows at a time, as (n, channels, height, width)."""
        self.path.parent.mkdir(parents=True, exist_ok=True)
        note = json.loads(self.note.read_text()) if self.note.exists() else {"key": self.key, "done": 0, "shape": None}
        with torch.inference_mode():
            if note["shape"] is None:
                note["shape"] = list(compute([0]).permute(0, 2, 3, 1).shape[1:])
            array = np.memmap(self.path, np.float16, "r+" if note["done"] else "w+", shape=(rows, *note["shape"]))
            for start in range(note["done"], rows, batch):
                chosen = range(start, min(start + batch, rows))
                array[chosen.start : chosen.stop] = compute(chosen).permute(0, 2, 3, 1).half().numpy()
                if chosen.stop == rows or start % (batch * 32) == 0:
                    array.flush()
                    note["done"] = chosen.stop
                    self.note.write_text(json.dumps(note))
                report(chosen.stop, rows)
        return np.memmap(self.path, np.float16, "r", shape=(rows, *note["shape"]))
