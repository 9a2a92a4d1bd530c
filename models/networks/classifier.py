"""One label of many: a torchvision ResNet (He et al. 2015, arXiv:1512.03385) with a new last layer."""

from typing import cast

import torch
from torch import Tensor, nn
from torchvision.models import get_model
from torchvision.models.resnet import ResNet

from models.networks.pixels import IMAGENET_MEAN, IMAGENET_STD, Normalise

STAGES = ("layer1", "layer2", "layer3", "layer4")


class Classifier(nn.Module):
    """uint8 `image` (batch, height, width, 3) to `{"label": logits (batch, classes)}`.

    With `beside` numbers that are known of what the image shows, `known` (batch, beside) float32 goes beside the pooled
    activations into the last layer. `mirrored`: in evaluation the image is looked at twice, once mirrored, and the
    logits are averaged. `state` is that of `network`, under torchvision's key names.
    """

    def __init__(self, architecture: str, classes: int, beside: int = 0, mirrored: bool = False) -> None:
        super().__init__()
        self.mirrored = mirrored
        self.normalise = Normalise(IMAGENET_MEAN, IMAGENET_STD)
        self.network = cast(ResNet, get_model(architecture, weights=None, num_classes=classes))
        if beside:
            self.network.fc = nn.Linear(self.network.fc.in_features + beside, classes)

    def forward(self, image: Tensor, known: Tensor | None = None) -> dict[str, Tensor]:
        logits = self.classify(self.features(image, len(STAGES)), len(STAGES), known)
        if self.mirrored and not self.training:
            other = self.classify(self.features(image.flip(2), len(STAGES)), len(STAGES), known)
            logits = (logits + other) / 2
        return {"label": logits}

    def features(self, image: Tensor, stages: int = 3) -> Tensor:
        """Activations after the first `stages` of the four stages: (batch, channels, height, width)."""
        net = self.network
        x = net.maxpool(net.relu(net.bn1(net.conv1(self.normalise(image)))))
        for stage in STAGES[:stages]:
            x = getattr(net, stage)(x)
        return cast(Tensor, x)

    def classify(self, features: Tensor, stages: int = 3, known: Tensor | None = None) -> Tensor:
        """Logits (batch, classes) from what `features` gave for the same `stages`."""
        net = self.network
        for stage in STAGES[stages:]:
            features = getattr(net, stage)(features)
        pooled = net.avgpool(features).flatten(1)
        return cast(Tensor, net.fc(pooled if known is None else torch.cat([pooled, known], 1)))
