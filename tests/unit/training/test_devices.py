"""Devices and precisions: what is chosen by itself, and what is refused."""

from types import MappingProxyType

import pytest
import torch
from torch import nn

import models.backends.torch  # noqa: F401 - before there seems to be a GPU, which parts of torch look for on import
from models import backends
from training import devices
from training.devices import CPU, Place


@pytest.fixture(autouse=True)
def a_plain_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    """Neither GPU nor Apple's, and a processor without bf16."""
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 0)
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: False)
    capable(monkeypatch)


def capable(monkeypatch: pytest.MonkeyPatch, **capabilities: bool) -> None:
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: MappingProxyType(capabilities))


def gpus(monkeypatch: pytest.MonkeyPatch, count: int, bf16: bool) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(backends, "_driver", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: count)
    monkeypatch.setattr(torch.cuda, "is_bf16_supported", lambda including_emulation: bf16 or including_emulation)


def test_a_plain_processor_computes_in_fp32() -> None:
    assert devices.choose() == Place(torch.device("cpu"), "fp32")


@pytest.mark.parametrize("feature", ["avx512_bf16", "amx_bf16"])
def test_a_processor_with_bf16_uses_it(monkeypatch: pytest.MonkeyPatch, feature: str) -> None:
    capable(monkeypatch, avx2=True, **{feature: True})
    assert devices.choose().precision == "bf16"
    assert devices.choose(precision="fp32").precision == "fp32"


@pytest.mark.parametrize(("bf16", "expected"), [(True, "bf16"), (False, "fp16")])
def test_cuda_comes_first_with_what_it_has_in_hardware(
    monkeypatch: pytest.MonkeyPatch, bf16: bool, expected: str
) -> None:
    gpus(monkeypatch, 4, bf16)
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: True)
    assert devices.choose() == Place(torch.device("cuda:0"), expected)
    assert devices.choose(local_rank=3).device == torch.device("cuda:3")
    assert devices.choose("cuda", local_rank=2).device == torch.device("cuda:2")
    assert devices.choose("cuda:1", local_rank=2).device == torch.device("cuda:1")
    assert devices.choose("cpu").device == torch.device("cpu")


def test_apples_comes_before_the_processor_in_fp32(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: True)
    assert devices.choose() == devices.choose("mps") == Place(torch.device("mps"), "fp32")
    with pytest.raises(ValueError, match="precision 'bf16' is not used on mps: fp32 or auto"):
        devices.choose("mps", "bf16")


@pytest.mark.parametrize(
    ("device", "precision", "expected"),
    [
        ("tpu", "auto", "unknown device 'tpu'"),
        ("cuda", "auto", "0 CUDA device"),
        ("mps", "auto", "device 'mps' is not there; use auto or cpu"),
        ("cpu", "int8", "unknown precision 'int8': one of auto, fp32, bf16, fp16"),
    ],
)
def test_what_is_not_there_is_told(device: str, precision: str, expected: str) -> None:
    with pytest.raises(ValueError, match=expected):
        devices.choose(device, precision)


def test_more_processes_than_gpus_are_told(monkeypatch: pytest.MonkeyPatch) -> None:
    gpus(monkeypatch, 2, bf16=True)
    with pytest.raises(ValueError, match="'cuda:2' is not there: 2 CUDA"):
        devices.choose("auto", local_rank=2)


@pytest.mark.parametrize(
    ("precision", "expected"), [("fp32", torch.float32), ("bf16", torch.bfloat16), ("fp16", torch.float16)]
)
def test_the_forward_pass_is_in_that_precision(precision: str, expected: torch.dtype) -> None:
    place, layer = Place(CPU.device, precision), nn.Linear(2, 2)
    with place.autocast():
        assert layer(torch.ones(1, 2)).dtype == expected
    assert layer.weight.dtype == torch.float32
    assert place.scaler().is_enabled() == (precision == "fp16")


def test_a_batch_moves_whole() -> None:
    batch = {"image": torch.ones(2), "targets": [{"boxes": torch.ones(1), "name": "a"}], "pair": (torch.ones(1), 3)}
    there = devices.moved(batch, torch.device("meta"))
    assert there["image"].device.type == "meta"
    assert there["targets"][0]["boxes"].device.type == "meta"
    assert there["targets"][0]["name"] == "a"
    assert there["pair"][0].device.type == "meta"
    assert there["pair"][1] == 3


def test_where_a_network_lies() -> None:
    assert devices.of(nn.Linear(1, 1, device="meta")) == torch.device("meta")
    assert devices.of(nn.Identity()) == torch.device("cpu")


def test_a_place_is_described_without_names() -> None:
    assert CPU.describe().endswith("cores, no GPU used")
    assert CPU.workers == 2
