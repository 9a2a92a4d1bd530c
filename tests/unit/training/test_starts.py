"""Starting weights: plain or packed, fp32 where they are floats, and told where they are missing."""

import lzma
from pathlib import Path

import pytest
import torch
from safetensors.torch import save

from training import starts

STATE = {"conv.weight": torch.arange(6.0).view(2, 3).half(), "bn.num_batches_tracked": torch.tensor(5)}


@pytest.mark.parametrize("name", ["own.safetensors", "own.safetensors.xz"])
def test_tensors_plain_or_packed(tmp_path: Path, name: str) -> None:
    data = save(STATE)
    (tmp_path / name).write_bytes(lzma.compress(data) if name.endswith(".xz") else data)
    found = starts.read(tmp_path / name)
    assert found["conv.weight"].dtype == torch.float32
    assert torch.equal(found["conv.weight"], STATE["conv.weight"].float())
    assert found["bn.num_batches_tracked"].dtype == torch.int64


def test_a_missing_start_says_where_to_look(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match=r"no starting weights at .*own\.safetensors: training/README\.md"):
        starts.read(tmp_path / "own.safetensors")
