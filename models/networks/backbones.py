"""Trunks with a feature pyramid for detectors, exchangeable by name, their 3x3 convolutions deformable where asked.

FPN: Lin et al. 2016, arXiv:1612.03144. Trunks: ResNet (He et al. 2015, arXiv:1512.03385), MobileNetV2 (Sandler et al.
2018, arXiv:1801.04381), VoVNet (Lee & Park 2019, arXiv:1911.06667).
"""

from collections import OrderedDict
from collections.abc import Sequence
from typing import Any, Literal, cast

import torch
from torch import Tensor, nn
from torchvision.models import get_model
from torchvision.models.detection.backbone_utils import BackboneWithFPN
from torchvision.ops import DeformConv2d, FeaturePyramidNetwork, FrozenBatchNorm2d
from torchvision.ops.feature_pyramid_network import LastLevelMaxPool

Norm = Literal["frozen", "batch"]
"""`frozen`: the start's statistics are kept, as batches are too small to estimate them. `batch`: learnt, which a trunk
that starts from nothing needs."""

# Where strides 4 to 32 come out of each torchvision trunk, and how wide they are.
_STAGES = ("layer1", "layer2", "layer3", "layer4")
_TORCHVISION: dict[str, tuple[tuple[str, ...], tuple[int, ...]]] = {
    "resnet18": (_STAGES, (64, 128, 256, 512)),
    "resnet34": (_STAGES, (64, 128, 256, 512)),
    "resnet50": (_STAGES, (256, 512, 1024, 2048)),
    "resnet101": (_STAGES, (256, 512, 1024, 2048)),
    "resnet152": (_STAGES, (256, 512, 1024, 2048)),
    "mobilenet_v2": (("3", "6", "13", "17"), (24, 32, 96, 320)),
}
_TIMM = {"vovnet19": "ese_vovnet19b_dw", "vovnet39": "ese_vovnet39b"}
NAMES = tuple(sorted((*_TORCHVISION, *_TIMM)))


class Deformable(DeformConv2d):  # type: ignore[misc]
    """A modulated deformable convolution (Zhu et al. 2018, arXiv:1811.11168) in the place of a common one.

    Its kernel keeps the common one's key, so that pretrained weights load; `field` tells where each tap looks and how
    much it counts. It starts at zero shift and full weight: as the convolution that it replaces.
    """

    def __init__(self, of: nn.Conv2d) -> None:
        size, stride, padding, dilation = of.kernel_size[0], of.stride[0], int(of.padding[0]), of.dilation[0]
        super().__init__(
            of.in_channels, of.out_channels, size, stride, padding, dilation, of.groups, bias=of.bias is not None
        )
        self.field = nn.Conv2d(of.in_channels, 3 * size * size, size, stride, padding, dilation)
        nn.init.zeros_(self.field.weight)
        nn.init.zeros_(cast(Tensor, self.field.bias))

    def forward(self, input: Tensor) -> Tensor:
        taps = self.weight.shape[-1] * self.weight.shape[-2]
        shift, weight = self.field(input).split((2 * taps, taps), dim=1)
        with torch.autocast(input.device.type, enabled=False):  # its kernel for the CPU knows no bf16
            return cast(Tensor, super().forward(input.float(), shift.float(), 2 * torch.sigmoid(weight.float())))


def make_deformable(trunk: nn.Module, stages: Sequence[str]) -> None:
    """Replaces the 3x3 convolutions of a ResNet's `stages` (`layer2` is c3); the last of a basic block, the middle one
    of a bottleneck. Raises `ValueError` where the trunk has no such stage or no such convolution."""
    for stage in stages:
        blocks = list(getattr(trunk, stage, ()))
        if not blocks or not hasattr(blocks[0], "conv2"):
            raise ValueError(
                f"deformable: this trunk has no residual stage {stage!r}, expected some of layer1 to layer4"
            )
        for block in blocks:
            block.conv2 = Deformable(block.conv2)


class TimmTrunk(nn.Module):
    """A timm network with the outputs of strides 4 to 32 by name, those from `finest` on."""

    def __init__(self, name: str, finest: int, norm: Norm) -> None:
        import timm  # a second of start-up that no other trunk needs
        from timm.layers.norm_act import freeze_batch_norm_2d

        super().__init__()
        network: Any = timm.create_model(_TIMM[name], pretrained=False, features_only=True)
        strides = network.feature_info.reduction()
        self.kept = [n for n, stride in enumerate(strides) if finest <= stride <= 32]
        self.widths = [network.feature_info.channels()[n] for n in self.kept]
        if norm == "frozen":
            network = freeze_batch_norm_2d(network)  # type: ignore[no-untyped-call]
        self.network = network

    def forward(self, x: Tensor) -> dict[str, Tensor]:
        found = self.network(x)
        return OrderedDict((str(level), found[n]) for level, n in enumerate(self.kept))


class TimmPyramid(nn.Module):
    """What torchvision's `BackboneWithFPN` is, over a timm trunk."""

    def __init__(self, body: TimmTrunk, channels: int) -> None:
        super().__init__()
        self.body = body
        self.fpn = FeaturePyramidNetwork(body.widths, channels, extra_blocks=LastLevelMaxPool())
        self.out_channels = channels

    def forward(self, x: Tensor) -> dict[str, Tensor]:
        return cast(dict[str, Tensor], self.fpn(self.body(x)))


def pyramid(
    backbone: str,
    channels: int,
    finest: int = 8,
    norm: Norm = "frozen",
    deformable: Sequence[str] = (),
) -> nn.Module:
    """Trunk `body` and `fpn`: a photo (batch, 3, height, width) to `{level: (batch, channels, …)}` of the strides from
    `finest` (4 or 8; the stride-4 level costs half of a training step on a CPU) to 64.

    Raises `ValueError` for what is unknown.
    """
    if backbone not in NAMES:
        raise ValueError(f"unknown backbone {backbone!r}: one of {', '.join(NAMES)}")
    if finest not in (4, 8):
        raise ValueError(f"finest: {finest}, expected a stride of 4 or 8")
    if norm not in ("frozen", "batch"):
        raise ValueError(f"norm: {norm!r}, expected frozen or batch")
    if backbone in _TIMM:
        if deformable:
            raise ValueError(f"deformable: {backbone} has no residual stages, expected a ResNet")
        return TimmPyramid(TimmTrunk(backbone, finest, norm), channels)
    trunk = get_model(backbone, weights=None, norm_layer=FrozenBatchNorm2d if norm == "frozen" else nn.BatchNorm2d)
    body = cast(nn.Module, trunk.features if backbone == "mobilenet_v2" else trunk)
    make_deformable(body, deformable)
    layers, widths = (values[finest == 8 :] for values in _TORCHVISION[backbone])
    outputs = {layer: str(level) for level, layer in enumerate(layers)}
    found = BackboneWithFPN(body, outputs, list(widths), channels, extra_blocks=LastLevelMaxPool())
    return cast(nn.Module, found)
