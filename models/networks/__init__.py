"""The `nn.Module`s behind the weights, built by architecture name; training and the torch backend both come here."""

from collections.abc import Mapping, Sequence
from typing import Any

from torch import nn

from models.networks.classifier import Classifier
from models.networks.detector import Detector
from models.networks.heads import MultiHead
from models.networks.yolox import Yolox


def build(
    architecture: str, labels: Mapping[str, Sequence[str]], options: Mapping[str, Any] | None = None
) -> nn.Module:
    """A network with random weights.

    `architecture`: `resnet18` to `resnet152` (with one label list named `label`: a classifier; else one head per
    list), `mask_rcnn_BACKBONE_fpn` / `faster_rcnn_BACKBONE_fpn`, or `yolox_nano`. Raises `ValueError` for any other.
    """
    options = dict(options or {})
    if architecture.startswith(("mask_rcnn_", "faster_rcnn_")):
        return Detector(architecture, len(labels["label"]), **options)
    if architecture == "yolox_nano":
        return Yolox(architecture, len(labels["label"]), **options)
    if not architecture.startswith("resnet"):
        raise ValueError(
            f"unknown architecture {architecture!r}: resnetN, mask_rcnn_BACKBONE_fpn, faster_rcnn_BACKBONE_fpn or "
            "yolox_nano"
        )
    if set(labels) == {"label"}:
        return Classifier(architecture, len(labels["label"]), **options)
    return MultiHead(architecture, {name: len(names) for name, names in labels.items()}, **options)
