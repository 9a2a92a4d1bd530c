"""Several labels from one trunk: a ResNet with one linear head per label list."""

from collections.abc import Mapping, Sequence
from typing import cast

from torch import Tensor, nn
from torchvision.models import get_model
from torchvision.models.resnet import ResNet

from models.networks.pixels import IMAGENET_MEAN, IMAGENET_STD, Normalise


class HeadedResNet(nn.Module):
    """A ResNet trunk and its heads; key names are torchvision's, with `heads.fc_NAME` in place of `fc`."""

    def __init__(self, architecture: str, heads: Mapping[str, int], dropout: float) -> None:
        super().__init__()
        self.trunk = cast(ResNet, get_model(architecture, weights=None))
        width = self.trunk.fc.in_features
        self.trunk.fc = nn.Identity()
        self.dropout = nn.Dropout(dropout)
        self.heads = nn.ModuleDict({f"fc_{name}": nn.Linear(width, classes) for name, classes in heads.items()})

    def forward(self, x: Tensor) -> dict[str, Tensor]:
        features = self.dropout(self.trunk(x))
        return {name.removeprefix("fc_"): head(features) for name, head in self.heads.items()}


class MultiHead(nn.Module):
    """uint8 `image` (batch, height, width, 3) to `{HEAD: logits (batch, classes of that head)}`.

    With `mirrored` the image is looked at twice in evaluation, once mirrored, and the logits are averaged; it has, for
    the heads whose labels are of a side, the number of each label's mirror image, in the order of the labels.
    """

    def __init__(
        self,
        architecture: str,
        heads: Mapping[str, int],
        dropout: float = 0.0,
        mirrored: Mapping[str, Sequence[int]] | None = None,
    ) -> None:
        super().__init__()
        for name, order in (mirrored or {}).items():
            if sorted(order) != list(range(heads.get(name, 0))):
                raise ValueError(f"mirrored: {name} needs each of its labels' numbers once, not {list(order)}")
        self.mirrored = None if mirrored is None else {name: list(order) for name, order in mirrored.items()}
        self.normalise = Normalise(IMAGENET_MEAN, IMAGENET_STD)
        self.network = HeadedResNet(architecture, heads, dropout)

    def forward(self, image: Tensor) -> dict[str, Tensor]:
        logits = cast(dict[str, Tensor], self.network(self.normalise(image)))
        if self.mirrored is None or self.training:
            return logits
        other = cast(dict[str, Tensor], self.network(self.normalise(image.flip(2))))
        for name, order in self.mirrored.items():
            other[name] = other[name][:, order]
        return {name: (values + other[name]) / 2 for name, values in logits.items()}
