"""Boxes from one look at the photo: YOLOX (Ge et al. 2021, arXiv:2107.08430), its smallest form with depthwise kernels.

BatchNorm is not here: it was folded into the convolutions at the source of the weights. In every module the parts are
named in the order in which they run, which is how another format's nameless kernels are told apart.
"""

from typing import cast

import torch
from torch import Tensor, nn
from torch.nn import functional as F

STRIDES = (8, 16, 32)
"""Pixels of the input between the cells of each level, finest first."""


class Convolution(nn.Sequential):
    """A convolution with bias, then SiLU; the size is kept but for `stride`."""

    def __init__(self, given: int, made: int, kernel: int, stride: int = 1, groups: int = 1) -> None:
        super().__init__(nn.Conv2d(given, made, kernel, stride, kernel // 2, groups=groups), nn.SiLU())


class Depthwise(nn.Sequential):
    """3x3 in each channel for itself, then 1x1 across them."""

    def __init__(self, given: int, made: int, stride: int = 1) -> None:
        super().__init__(Convolution(given, given, 3, stride, groups=given), Convolution(given, made, 1))


class Bottleneck(nn.Module):
    """1x1, then 3x3; `residual` adds what came in."""

    def __init__(self, channels: int, residual: bool) -> None:
        super().__init__()
        self.narrow = Convolution(channels, channels, 1)
        self.wide = Depthwise(channels, channels)
        self.residual = residual

    def forward(self, x: Tensor) -> Tensor:
        found: Tensor = self.wide(self.narrow(x))
        return x + found if self.residual else found


class CrossStage(nn.Module):
    """Half of the channels go through bottlenecks, half go by (CSPNet, Wang et al. 2019, arXiv:1911.11929)."""

    def __init__(self, given: int, made: int, depth: int = 1, residual: bool = False) -> None:
        super().__init__()
        half = made // 2
        self.through = Convolution(given, half, 1)
        self.past = Convolution(given, half, 1)
        self.blocks = nn.Sequential(*[Bottleneck(half, residual) for _ in range(depth)])
        self.joined = Convolution(2 * half, made, 1)

    def forward(self, x: Tensor) -> Tensor:
        through, past = self.through(x), self.past(x)
        return cast(Tensor, self.joined(torch.cat([self.blocks(through), past], dim=1)))


class Focus(nn.Module):
    """Every second pixel in each direction becomes a channel, so that no pixel is lost at half the size."""

    def __init__(self, made: int) -> None:
        super().__init__()
        self.stem = Convolution(12, made, 3)

    def forward(self, x: Tensor) -> Tensor:
        upper, lower = x[..., ::2, :], x[..., 1::2, :]
        parts = [upper[..., ::2], lower[..., ::2], upper[..., 1::2], lower[..., 1::2]]
        return cast(Tensor, self.stem(torch.cat(parts, dim=1)))


class PyramidPooling(nn.Module):
    """The largest values of windows of 5, 9 and 13 cells beside the cell's own (He et al. 2014, arXiv:1406.4729)."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.narrow = Convolution(channels, channels // 2, 1)
        self.joined = Convolution(2 * channels, channels, 1)

    def forward(self, x: Tensor) -> Tensor:
        x = self.narrow(x)
        pooled = [F.max_pool2d(x, size, stride=1, padding=size // 2) for size in (5, 9, 13)]
        return cast(Tensor, self.joined(torch.cat([x, *pooled], dim=1)))


class Darknet(nn.Module):
    """The trunk: a photo (batch, 3, height, width) to three levels of `channels` times 4, 8 and 16."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        c = channels
        self.focus = Focus(c)
        self.stage2 = nn.Sequential(Depthwise(c, 2 * c, 2), CrossStage(2 * c, 2 * c, 1, residual=True))
        self.stage3 = nn.Sequential(Depthwise(2 * c, 4 * c, 2), CrossStage(4 * c, 4 * c, 3, residual=True))
        self.stage4 = nn.Sequential(Depthwise(4 * c, 8 * c, 2), CrossStage(8 * c, 8 * c, 3, residual=True))
        self.stage5 = nn.Sequential(
            Depthwise(8 * c, 16 * c, 2), PyramidPooling(16 * c), CrossStage(16 * c, 16 * c, residual=False)
        )

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        fine = self.stage3(self.stage2(self.focus(x)))
        middle = self.stage4(fine)
        return fine, middle, self.stage5(middle)


class PathAggregation(nn.Module):
    """What the coarse levels know goes down to the fine ones and back up (PANet, Liu et al. 2018, arXiv:1803.01534)."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        c = channels
        self.lateral = Convolution(16 * c, 8 * c, 1)
        self.down_middle = CrossStage(16 * c, 8 * c)
        self.reduce = Convolution(8 * c, 4 * c, 1)
        self.down_fine = CrossStage(8 * c, 4 * c)
        self.to_middle = Depthwise(4 * c, 4 * c, 2)
        self.up_middle = CrossStage(8 * c, 8 * c)
        self.to_coarse = Depthwise(8 * c, 8 * c, 2)
        self.up_coarse = CrossStage(16 * c, 16 * c)

    def forward(self, fine: Tensor, middle: Tensor, coarse: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        lateral = self.lateral(coarse)
        reduced = self.reduce(self.down_middle(torch.cat([_doubled(lateral), middle], dim=1)))
        fine = self.down_fine(torch.cat([_doubled(reduced), fine], dim=1))
        middle = self.up_middle(torch.cat([self.to_middle(fine), reduced], dim=1))
        coarse = self.up_coarse(torch.cat([self.to_coarse(middle), lateral], dim=1))
        return fine, middle, coarse


class Head(nn.Module):
    """One level's cells: (batch, 4 + 1 + classes, height, width) as x, y, log width, log height, objectness, classes;
    box and class are read by branches of their own."""

    def __init__(self, given: int, width: int, classes: int) -> None:
        super().__init__()
        self.stem = Convolution(given, width, 1)
        self.class_branch = nn.Sequential(Depthwise(width, width), Depthwise(width, width))
        self.classes = nn.Conv2d(width, classes, 1)
        self.box_branch = nn.Sequential(Depthwise(width, width), Depthwise(width, width))
        self.box = nn.Conv2d(width, 4, 1)
        self.objectness = nn.Conv2d(width, 1, 1)

    def forward(self, x: Tensor) -> Tensor:
        x = self.stem(x)
        classes = self.classes(self.class_branch(x))
        found = self.box_branch(x)
        return torch.cat([self.box(found), self.objectness(found).sigmoid(), classes.sigmoid()], dim=1)


class Network(nn.Module):
    """BGR floats 0-255 (batch, 3, height, width), sides in multiples of 32, to (batch, cells, 4 + 1 + classes): the
    cells of strides 8, 16, 32 row by row, boxes not decoded, objectness and classes through the sigmoid."""

    def __init__(self, channels: int, classes: int) -> None:
        super().__init__()
        self.trunk = Darknet(channels)
        self.neck = PathAggregation(channels)
        self.heads = nn.ModuleList([Head(channels * wide, 4 * channels, classes) for wide in (4, 8, 16)])

    def forward(self, x: Tensor) -> Tensor:
        levels = self.neck(*self.trunk(x))
        cells = [head(level).flatten(2) for head, level in zip(self.heads, levels, strict=True)]
        return torch.cat(cells, dim=2).transpose(1, 2)


class Yolox(nn.Module):
    """uint8 RGB `image` (batch, height, width, 3), sides in multiples of 32, to every cell's box and scores:

    `boxes` (batch, cells, 4) as x1, y1, x2, y2 in input pixels, `scores` (batch, cells, classes), objectness times
    class. Nothing is left out or merged: that is the caller's, so that shapes stay fixed.
    """

    def __init__(self, architecture: str, classes: int, channels: int = 16) -> None:
        """`channels` of the first layer; the others are multiples of it. Raises `ValueError` for an unknown name."""
        super().__init__()
        if architecture != "yolox_nano":
            raise ValueError(f"unknown architecture {architecture!r}: yolox_nano")
        self.network = Network(channels, classes)

    def forward(self, image: Tensor) -> dict[str, Tensor]:
        weight = next(self.network.parameters())
        pixels = image.flip(-1).permute(0, 3, 1, 2).to(weight.dtype)
        cells = self.network(pixels.contiguous(memory_format=torch.channels_last))
        height, width = image.shape[1:3]
        places, strides = grid(height, width)
        places, strides = places.to(cells), strides.to(cells)
        centre = (cells[..., :2] + places) * strides
        half = cells[..., 2:4].exp() * strides / 2
        return {
            "boxes": torch.cat([centre - half, centre + half], dim=-1),
            "scores": cells[..., 4:5] * cells[..., 5:],
        }


def grid(height: int, width: int) -> tuple[Tensor, Tensor]:
    """Column and row (cells, 2) and stride (cells, 1) of every cell of an input of that size."""
    places, strides = [], []
    for stride in STRIDES:
        rows, columns = torch.meshgrid(torch.arange(height // stride), torch.arange(width // stride), indexing="ij")
        places.append(torch.stack([columns.flatten(), rows.flatten()], dim=1))
        strides.append(torch.full_like(places[-1][:, :1], stride))
    return torch.cat(places), torch.cat(strides)


def _doubled(x: Tensor) -> Tensor:
    return F.interpolate(x, scale_factor=2.0, mode="nearest")
