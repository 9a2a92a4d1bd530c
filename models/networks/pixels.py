"""uint8 photos to the normalised floats a network reads."""

import torch
from torch import Tensor, nn


class Normalise(nn.Module):
    """uint8 (batch, height, width, 3), 0-255, to float (batch, 3, height, width), channels last in memory."""

    mean: Tensor
    std: Tensor

    def __init__(self, mean: tuple[float, float, float], std: tuple[float, float, float]) -> None:
        super().__init__()
        self.register_buffer("mean", torch.tensor(mean).view(1, 3, 1, 1) * 255, persistent=False)
        self.register_buffer("std", torch.tensor(std).view(1, 3, 1, 1) * 255, persistent=False)

    def forward(self, image: Tensor) -> Tensor:
        floats = image.permute(0, 3, 1, 2).to(self.mean.dtype)
        return ((floats - self.mean) / self.std).contiguous(memory_format=torch.channels_last)


IMAGENET_MEAN = (0.485, 0.456, 0.406)
IMAGENET_STD = (0.229, 0.224, 0.225)
