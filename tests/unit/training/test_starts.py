"""Starting weights: plain or packed, fp32 where they are floats, and told where they are missing."""

import lzma
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import save

from models import manifest
from models.networks import build
from tests import weights
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


def test_going_on_takes_every_layer_of_served_weights(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    of = weights.manifest("attributes")
    weights.write(tmp_path, of, weights.random_state(of))
    monkeypatch.setattr(manifest, "SHIPPED", tmp_path)
    served = manifest.find("attributes")
    network = build(served.manifest.architecture, served.manifest.labels).get_submodule("network")
    assert starts.go_on(network, "weights:attributes")
    for name, value in served.tensors().items():
        assert np.array_equal(network.state_dict()[name].numpy(), value), name


def test_going_on_from_weights_of_other_labels_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    of = weights.manifest("attributes")
    weights.write(tmp_path, of, weights.random_state(of))
    monkeypatch.setattr(manifest, "SHIPPED", tmp_path)
    network = build("resnet18", {"color": ["red"], "type": ["sedan"], "orientation": ["front"]}).get_submodule(
        "network"
    )
    with pytest.raises(ValueError, match="weights:attributes does not fit"):
        starts.go_on(network, "weights:attributes")
    with pytest.raises(manifest.WeightsError, match="no weights for 'other'"):
        starts.go_on(network, "weights:other")


def test_a_file_is_no_start_to_go_on_from() -> None:
    assert not starts.go_on(torch.nn.Identity(), "pretrained/resnet18.safetensors.xz")
