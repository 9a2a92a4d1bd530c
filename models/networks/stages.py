"""A detector cut into three parts of fixed shape, so that runtimes without torch can run it, on batches too.

What lies between them, non-maximum suppression of proposals and of detections, is `models.rcnn`'s, in numpy; together
they give what `Detector` gives.
"""

import math
from collections.abc import Sequence
from typing import Any, cast

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torchvision.ops import roi_align

from models.networks.detector import Detector

_CANONICAL_SIDE, _CANONICAL_LEVEL = 224.0, 4
"""A region of this side is read at the level of stride 2^4 (Lin et al. 2016, arXiv:1612.03144, equation 1)."""


class Dense(nn.Module):
    """The whole photo, once.

    uint8 `image` (batch, side, side, 3) to `features` (batch, levels, channels, height, width), the pyramid's levels
    that regions are read from, each at the top left of a square as large as the finest, its last row and column
    repeated; and the surest boxes of every level, `boxes` (batch, candidates, 4) as x1, y1, x2, y2 in input pixels
    with `scores` (batch, candidates) as logits, best first within a level, of which each level has `counts` (levels,).
    """

    def __init__(self, detector: Detector, side: int) -> None:
        super().__init__()
        self.normalise, self.network, self.side = detector.normalise, detector.network, side
        rpn, read = cast(Any, self.network).rpn, cast(Any, self.network).roi_heads.box_roi_pool.featmap_names
        self.levels = len(read)
        with torch.inference_mode():
            grids = [level.shape[-2:] for level in self._pyramid(torch.zeros(1, side, side, 3, dtype=torch.uint8))]
        self.grids = [(int(height), int(width)) for height, width in grids]
        self.anchors = [f"anchors_{level}" for level in range(len(self.grids))]
        for name, anchors in zip(self.anchors, rpn.anchor_generator.cell_anchors, strict=True):
            self.register_buffer(name, anchors.clone(), persistent=False)
        cells = zip(self.grids, rpn.anchor_generator.num_anchors_per_location(), strict=True)
        self.counts = [min(rpn.pre_nms_top_n(), height * width * each) for (height, width), each in cells]
        self.register_buffer("candidates", torch.tensor(self.counts), persistent=False)

    def _pyramid(self, image: Tensor) -> list[Tensor]:
        return list(cast(Any, self.network).backbone(self.normalise(image)).values())

    def forward(self, image: Tensor) -> dict[str, Tensor]:
        pyramid = self._pyramid(image)
        found = [self._candidates(*level) for level in zip(range(len(pyramid)), *self._proposed(pyramid), strict=True)]
        boxes, scores = (torch.cat(parts, 1) for parts in zip(*found, strict=True))
        features = self._stacked(pyramid[: self.levels])
        return {"features": features, "boxes": boxes, "scores": scores, "counts": cast(Tensor, self.candidates).clone()}

    def _proposed(self, pyramid: list[Tensor]) -> tuple[list[Tensor], list[Tensor]]:
        return cast(tuple[list[Tensor], list[Tensor]], cast(Any, self.network).rpn.head(pyramid))

    def _candidates(self, level: int, logits: Tensor, deltas: Tensor) -> tuple[Tensor, Tensor]:
        """The surest boxes of a level; rows of the grid follow each other, each cell has its anchors together."""
        cells: Tensor = getattr(self, self.anchors[level])
        height, width = self.grids[level]
        scores, which = logits.permute(0, 2, 3, 1).flatten(1).topk(self.counts[level], dim=1)
        shifts = deltas.reshape(len(deltas), len(cells), 4, height, width).permute(0, 3, 4, 1, 2).flatten(1, 3)
        shifts = shifts.gather(1, which[..., None].expand(-1, -1, 4))
        cell = which // len(cells)
        x, y = cell % width * (self.side // width), cell // width * (self.side // height)
        anchors = cells[which % len(cells)] + torch.stack([x, y, x, y], -1).to(cells.dtype)
        return _moved(anchors, shifts, (1.0, 1.0, 1.0, 1.0), self.side), scores

    def _stacked(self, pyramid: list[Tensor]) -> Tensor:
        height, width = self.grids[0]
        sized = [
            F.pad(level, (0, width - level.shape[-1], 0, height - level.shape[-2]), mode="replicate")
            for level in pyramid
        ]
        return torch.stack(sized, 1)


class Regions(nn.Module):
    """What the parts that read regions share: `features` of `Dense` at `boxes` (regions, 4) of `photo` (regions,), the
    number of each region's photo in the batch."""

    def __init__(self, detector: Detector, side: int, finest: int) -> None:
        """`finest`: two to this power is the stride of the finest level."""
        super().__init__()
        self.network, self.side = detector.network, side
        self.finest = finest

    def read(self, features: Tensor, boxes: Tensor, photo: Tensor, size: int) -> Tensor:
        """(regions, channels, size, size): RoIAlign (He et al. 2017) at the level that fits each region's side."""
        levels = features.shape[1]
        sides = boxes[:, 2:] - boxes[:, :2]
        wanted = torch.log2(torch.sqrt(sides[:, 0] * sides[:, 1]) / _CANONICAL_SIDE) + _CANONICAL_LEVEL + 1e-6
        level = torch.floor(wanted).clamp(self.finest, self.finest + levels - 1) - self.finest
        scaled = boxes * torch.exp2(-level - self.finest)[:, None]
        rows = photo.to(boxes.dtype) * levels + level
        regions = torch.cat([rows[:, None], scaled], 1)
        return cast(Tensor, roi_align(features.flatten(0, 1), regions, size, 1.0, 2, False))


class BoxHead(Regions):
    """Each region's classes: `scores` (regions, classes) 0 to 1 without the background's, and its box as each class
    has it, `moved` (regions, classes, 4) in input pixels, cut to the photo."""

    def forward(self, features: Tensor, boxes: Tensor, photo: Tensor) -> dict[str, Tensor]:
        heads = cast(Any, self.network).roi_heads
        logits, shifts = heads.box_predictor(heads.box_head(self.read(features, boxes, photo, 7)))
        shifts = shifts.reshape(len(shifts), -1, 4)
        moved = _moved(boxes[:, None], shifts, heads.box_coder.weights, self.side)
        return {"scores": logits.softmax(-1)[:, 1:], "moved": moved[:, 1:]}


class MaskHead(Regions):
    """Each region's outline as its `label` (regions,) has it: `masks` (regions, 28, 28) shares within the box."""

    def forward(self, features: Tensor, boxes: Tensor, photo: Tensor, label: Tensor) -> dict[str, Tensor]:
        heads = cast(Any, self.network).roi_heads
        logits = heads.mask_predictor(heads.mask_head(self.read(features, boxes, photo, 14)))
        chosen = (label + 1)[:, None, None, None].expand(-1, 1, *logits.shape[2:])
        return {"masks": logits.gather(1, chosen)[:, 0].sigmoid()}


def parts(detector: Detector, side: int) -> dict[str, nn.Module]:
    """The parts of a detector that reads photos of `side` pixels by `side`, in evaluation mode: `dense`, `boxes`, and
    `masks` where it tells outlines."""
    dense = Dense(detector, side)
    finest = round(math.log2(side / dense.grids[0][0]))
    made: dict[str, nn.Module] = {"dense": dense, "boxes": BoxHead(detector, side, finest)}
    if cast(Any, detector.network).roi_heads.has_mask():
        made["masks"] = MaskHead(detector, side, finest)
    return {name: part.eval() for name, part in made.items()}


_LARGEST_GROWTH = 4.135166556742356  # log(1000 / 16): no box grows further in one step


def _moved(boxes: Tensor, shifts: Tensor, weights: Sequence[float], side: int) -> Tensor:
    """`boxes` (…, 4) moved and grown by `shifts` (…, 4) (Girshick et al. 2014, arXiv:1311.2524), cut to the photo."""
    sizes = boxes[..., 2:] - boxes[..., :2]
    centres = boxes[..., :2] + sizes / 2 + shifts[..., :2] / torch.tensor(weights[:2]) * sizes
    half = torch.exp((shifts[..., 2:] / torch.tensor(weights[2:])).clamp(max=_LARGEST_GROWTH)) * sizes / 2
    return torch.cat([centres - half, centres + half], -1).clamp(0, side)
