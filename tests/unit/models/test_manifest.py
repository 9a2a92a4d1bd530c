"""Weights on disk: what int8 keeps, which folder wins, and every way two files can be wrong, refused by name."""

import hashlib
import json
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from safetensors.numpy import save

from models import manifest as manifests
from models.manifest import SCALE, WeightsError, expand, find, shrink
from tests import weights


@pytest.fixture
def shipped(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder that stands for the shipped weights."""
    folder = tmp_path / "shipped"
    folder.mkdir()
    monkeypatch.setattr(manifests, "SHIPPED", folder)
    return folder


def kernel(seed: int = 0) -> NDArray[np.float32]:
    """Eight output channels of very different size."""
    rng = np.random.default_rng(seed)
    return (rng.normal(size=(8, 256, 3, 3)) * np.logspace(-4, 2, 8)[:, None, None, None]).astype(np.float32)


def test_int8_is_within_half_a_step_of_its_own_channel() -> None:
    value = kernel()
    stored = shrink({"conv.weight": value})
    assert stored["conv.weight"].dtype == np.int8
    scale = stored["conv.weight" + SCALE].astype(np.float32)
    assert scale.shape == (8,)
    np.testing.assert_allclose(scale, np.abs(value).max(axis=(1, 2, 3)) / 127, rtol=1e-6)
    assert expand(stored)["conv.weight"].dtype == np.float32
    back = expand(stored)["conv.weight"].astype(np.float32)
    error = np.abs(back - value).max(axis=(1, 2, 3))
    assert (error <= scale * 0.5001).all()
    assert (error > 0).all()
    # One scale for all would lose the smallest channel altogether.
    assert np.corrcoef(back[0].ravel(), value[0].ravel())[0, 1] > 0.999


def test_the_peak_of_a_channel_survives_and_zeros_stay_zero() -> None:
    value = kernel()
    value[3] = 0
    stored = shrink({"w": value})
    assert stored["w"].dtype == np.int8
    back = expand(stored)["w"]
    np.testing.assert_allclose(np.abs(back).max(axis=(1, 2, 3)), np.abs(value).max(axis=(1, 2, 3)), rtol=1e-5)
    assert not back[3].any()


def test_what_is_stored_twice_is_the_same() -> None:
    once = expand(shrink({"w": kernel()}))
    np.testing.assert_array_equal(shrink(once)["w"], shrink({"w": kernel()})["w"])


def test_biases_small_kernels_and_counters_are_kept_as_they_are() -> None:
    state: dict[str, NDArray[np.generic]] = {
        "bn.weight": np.linspace(0, 1, 5000, dtype=np.float32),
        "small.weight": np.ones((4, 4), np.float32) / 3,
        "half": np.array([0.1, 0.2], np.float16),
        "bn.num_batches_tracked": np.array(7, np.int64),
        "big.counter": np.arange(40_000, dtype=np.int64).reshape(2, -1),
    }
    stored = shrink(state)
    assert set(stored) == set(state)
    back = expand(stored)
    for name in ("bn.weight", "small.weight", "bn.num_batches_tracked", "big.counter"):
        np.testing.assert_array_equal(back[name], state[name])
        assert (back[name].dtype, back[name].shape) == (state[name].dtype, state[name].shape)
    assert back["half"].dtype == np.float32


def test_a_folder_of_ones_own_comes_before_the_shipped_one(tmp_path: Path, shipped: Path) -> None:
    weights.write(shipped, weights.manifest("damage", version="1.0.0"))
    own = tmp_path / "own"
    assert find("damage", own).manifest.version == "1.0.0"
    weights.write(own, weights.manifest("damage", version="2.0.0"))
    assert find("damage", own).manifest.version == "2.0.0"
    assert find("damage", own).path == own / "damage.safetensors"
    assert find("damage").manifest.version == "1.0.0"


def test_broken_weights_of_ones_own_are_refused_not_passed_over(tmp_path: Path, shipped: Path) -> None:
    weights.write(shipped, weights.manifest("damage"))
    (tmp_path / "damage.json").write_text("{")
    with pytest.raises(WeightsError, match=r"damage\.json: the file: .*JSON"):
        find("damage", tmp_path)


def test_no_weights_at_all_names_both_folders(tmp_path: Path, shipped: Path) -> None:
    with pytest.raises(WeightsError) as caught:
        find("damage", tmp_path)
    for part in ("damage.json", "damage.safetensors", str(tmp_path), str(shipped)):
        assert part in str(caught.value)


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"name": "parts"}, "the manifest is of 'parts', expected 'damage'"),
        ({"labels": None}, "labels: "),
        ({"kind": "magic"}, "kind: "),
        ({"format": 2}, "format: "),
        ({"input": {"width": 32}}, r"input\.height: Field required"),
        ({"unknown_key": 1}, "unknown_key: Extra inputs"),
    ],
)
def test_a_broken_or_foreign_manifest_is_refused(
    tmp_path: Path, shipped: Path, changes: dict[str, object], expected: str
) -> None:
    path = weights.write(tmp_path, weights.manifest("damage"))
    path.write_text(json.dumps({**json.loads(path.read_text()), **changes}))
    with pytest.raises(WeightsError, match=rf"damage\.json: {expected}"):
        find("damage", tmp_path)


def test_a_manifest_that_cannot_be_read_is_refused(tmp_path: Path, shipped: Path) -> None:
    (tmp_path / "damage.json").mkdir()
    with pytest.raises(WeightsError, match=r"damage\.json: cannot be read"):
        find("damage", tmp_path)


def test_a_manifest_without_its_tensors_is_refused(tmp_path: Path, shipped: Path) -> None:
    weights.write(tmp_path, weights.manifest("damage")).with_suffix(".safetensors").unlink()
    with pytest.raises(WeightsError, match=r"damage\.safetensors: missing"):
        find("damage", tmp_path)


def test_tensors_come_back_expanded(tmp_path: Path) -> None:
    weights.write(tmp_path, weights.manifest("damage"), {"w": kernel(), "b": np.ones(3, np.float16)})
    tensors = find("damage", tmp_path).tensors()
    assert set(tensors) == {"w", "b"}
    assert tensors["w"].shape == (8, 256, 3, 3)
    assert {value.dtype for value in tensors.values()} == {np.dtype(np.float32)}


@pytest.mark.parametrize("damage", ["truncated", "flipped", "empty", "another's"])
def test_tensors_that_are_not_the_manifests_are_refused(tmp_path: Path, damage: str) -> None:
    weights.write(tmp_path, weights.manifest("damage"), {"w": kernel()})
    path = tmp_path / "damage.safetensors"
    data = path.read_bytes()
    broken = {
        "truncated": data[:-1],
        "flipped": data[:-1] + bytes([data[-1] ^ 1]),
        "empty": b"",
        "another's": save(shrink({"w": kernel(1)})),
    }
    path.write_bytes(broken[damage])
    found = find("damage", tmp_path)
    with pytest.raises(WeightsError, match=r"damage\.safetensors: sha256 is .* the manifest expects"):
        found.tensors()


def test_tensors_lost_after_the_start_are_refused(tmp_path: Path) -> None:
    weights.write(tmp_path, weights.manifest("damage"))
    found = find("damage", tmp_path)
    found.path.unlink()
    with pytest.raises(WeightsError, match="cannot be read"):
        found.tensors()


def test_a_signed_file_of_another_kind_is_refused(tmp_path: Path) -> None:
    path = weights.write(tmp_path, weights.manifest("damage"))
    text = b"these are no tensors"
    path.with_suffix(".safetensors").write_bytes(text)
    path.write_text(json.dumps({**json.loads(path.read_text()), "sha256": hashlib.sha256(text).hexdigest()}))
    with pytest.raises(WeightsError, match="not a safetensors file"):
        find("damage", tmp_path).tensors()


def test_the_card_tells_what_the_manifest_knows(tmp_path: Path) -> None:
    weights.write(tmp_path, weights.manifest("attributes", figures={"color": 0.9}))
    manifest = find("attributes", tmp_path).manifest
    card = manifest.card("torch", "cuda:1")
    assert card.weights == f"sha256:{manifest.sha256[:12]}"
    assert (card.backend, card.device, card.version) == ("torch", "cuda:1", "0.0.1")
    assert card.labels["type"] == ["sedan", "bus"]
    assert card.figures == {"color": 0.9}
    assert (card.input.width, card.input.height) == (32, 32)
    assert card.licence.weights == "none needed"
