"""Trunks of detectors: the strides they give, the key names of their starts, and deformable convolutions that start as
the common ones."""

from typing import cast

import pytest
import torch
from torch import nn
from torchvision.models import get_model
from torchvision.ops import FrozenBatchNorm2d

from models.networks.backbones import NAMES, Deformable, make_deformable, pyramid

SIDE = 64


def photo() -> torch.Tensor:
    return torch.rand(1, 3, SIDE, SIDE, generator=torch.Generator().manual_seed(0))


@pytest.mark.parametrize("finest", [4, 8])
@pytest.mark.parametrize("name", ["resnet18", "resnet50", "mobilenet_v2", "vovnet19"])
def test_levels_have_their_strides(name: str, finest: int) -> None:
    with torch.inference_mode():
        levels = pyramid(name, 8, finest).eval()(photo())
    strides = [SIDE // level.shape[-1] for level in levels.values()]
    assert strides == [finest * 2**n for n in range(len(strides))]
    assert strides[-1] == 64
    assert {level.shape[1] for level in levels.values()} == {8}
    assert [key for key in levels if key != "pool"] == [str(n) for n in range(len(strides) - 1)]


@pytest.mark.parametrize("name", ["resnet18", "mobilenet_v2"])
def test_the_trunk_takes_torchvisions_weights(name: str) -> None:
    theirs = get_model(name, weights=None).state_dict()
    body = pyramid(name, 8).get_submodule("body")
    ours = {f"features.{key}" if name == "mobilenet_v2" else key for key in body.state_dict()}
    assert ours <= set(theirs)


@pytest.mark.parametrize("name", ["resnet18", "vovnet19"])
def test_frozen_statistics_do_not_move_and_learnt_ones_do(name: str) -> None:
    for norm, moves in (("frozen", False), ("batch", True)):
        body = pyramid(name, 8, norm=norm).train().get_submodule("body")  # type: ignore[arg-type]
        before = {key: value.clone() for key, value in body.state_dict().items() if "running" in key}
        assert before
        body(photo().repeat(2, 1, 1, 1))
        moved = any(not torch.equal(value, before[key]) for key, value in body.state_dict().items() if key in before)
        assert moved is moves


@pytest.mark.parametrize("name", ["resnet18", "resnet50"])
def test_deformable_convolutions_start_as_what_they_replace(name: str) -> None:
    torch.manual_seed(0)
    trunk = get_model(name, weights=None, norm_layer=FrozenBatchNorm2d).eval()
    with torch.inference_mode():
        before = trunk(photo())
    state = trunk.state_dict()
    make_deformable(trunk, ["layer3", "layer4"])
    missing = trunk.load_state_dict(state, strict=False)
    assert not missing.unexpected_keys
    assert all(".field." in key for key in missing.missing_keys)
    with torch.inference_mode():
        after = trunk(photo())
    torch.testing.assert_close(after, before, rtol=1e-4, atol=1e-4)
    replaced = [key for key, module in trunk.named_modules() if isinstance(module, Deformable)]
    blocks = {"resnet18": 4, "resnet50": 9}[name]
    assert len(replaced) == blocks
    assert all(key.startswith(("layer3", "layer4")) for key in replaced)


def test_a_deformable_convolution_computes_under_autocast() -> None:
    """As training does on processors that have bf16."""
    torch.manual_seed(0)
    layer, photo = Deformable(nn.Conv2d(3, 4, 3, padding=1, bias=False)), torch.randn(1, 3, 8, 8)
    with torch.autocast("cpu", torch.bfloat16):
        found = layer(nn.Conv2d(3, 3, 1)(photo))
    torch.autograd.backward(found.float().sum())
    assert found.isfinite().all()
    assert cast(torch.Tensor, layer.weight.grad).any()


def test_where_a_deformable_convolution_looks_is_learnt() -> None:
    torch.manual_seed(0)
    layer = Deformable(nn.Conv2d(3, 4, 3, padding=1, bias=False))
    photos = photo()
    layer(photos).square().sum().backward()
    assert layer.field.weight.grad is not None
    assert bool(layer.field.weight.grad.abs().sum() > 0)
    with torch.no_grad():
        straight = layer(photos)
        assert layer.field.bias is not None
        layer.field.bias[1] = 1.0  # the first tap looks one pixel to the right
        assert not torch.allclose(layer(photos), straight)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ({"backbone": "vgg16"}, "unknown backbone 'vgg16': one of mobilenet_v2, resnet101"),
        ({"backbone": "resnet18", "finest": 16}, "finest: 16, expected a stride of 4 or 8"),
        ({"backbone": "resnet18", "norm": "none"}, "norm: 'none', expected frozen or batch"),
        ({"backbone": "resnet18", "deformable": ["c3"]}, "no residual stage 'c3'"),
        ({"backbone": "mobilenet_v2", "deformable": ["layer3"]}, "no residual stage 'layer3'"),
        ({"backbone": "vovnet19", "deformable": ["layer3"]}, "vovnet19 has no residual stages"),
    ],
)
def test_what_does_not_exist_is_refused(arguments: dict[str, object], words: str) -> None:
    with pytest.raises(ValueError, match=words):
        pyramid(channels=8, **arguments)  # type: ignore[arg-type]


def test_every_name_can_be_built() -> None:
    assert NAMES == (
        "mobilenet_v2", "resnet101", "resnet152", "resnet18", "resnet34", "resnet50", "vovnet19", "vovnet39",
    )  # fmt: skip
    for name in ("resnet101", "vovnet39"):
        assert pyramid(name, 8).out_channels == 8
