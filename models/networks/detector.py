"""Instances with boxes and masks: torchvision's R-CNN family over an exchangeable backbone with FPN.

Faster R-CNN (Ren et al. 2015, arXiv:1506.01497), Mask R-CNN (He et al. 2017, arXiv:1703.06870). The input is already
scaled to a square; there is no resizing inside, and every output has a fixed shape.
"""

from collections.abc import Sequence
from typing import Any, cast

import torch
from torch import Tensor, nn
from torchvision.models.detection import FasterRCNN, MaskRCNN
from torchvision.models.detection.anchor_utils import AnchorGenerator
from torchvision.models.detection.faster_rcnn import FastRCNNPredictor, TwoMLPHead
from torchvision.models.detection.image_list import ImageList
from torchvision.models.detection.mask_rcnn import MaskRCNNHeads, MaskRCNNPredictor
from torchvision.models.detection.roi_heads import maskrcnn_inference
from torchvision.ops import MultiScaleRoIAlign

from models.networks.backbones import Norm, pyramid
from models.networks.pixels import IMAGENET_MEAN, IMAGENET_STD, Normalise
from models.rcnn import MASK_SIDE

ANCHORS = [[12, 18], [24, 40], [56, 88], [128, 184], [256, 352]]
"""Sizes in pixels by level, of strides 4 to 64."""

Targets = list[dict[str, Tensor]]


class FixedSize(nn.Module):
    """Stands where torchvision rescales: photos come in the network's size, masks stay small squares."""

    def forward(self, images: Tensor, targets: Targets | None = None) -> tuple[ImageList, Targets | None]:
        size = (int(images.shape[-2]), int(images.shape[-1]))
        return ImageList(images, [size] * len(images)), targets

    def postprocess(self, result: Targets, *_: Any) -> Targets:
        return result


def rcnn(kind: str, trunk: nn.Module, classes: int, hidden: int, anchors: list[list[int]], **limits: Any) -> nn.Module:
    """The torchvision detector. `classes` without the background; `anchors`: a list of sizes in pixels per level of
    the pyramid `trunk`, the coarsest of which is for proposals alone."""
    ratios = ((0.4, 1.0, 2.5),) * len(anchors)
    channels = cast(int, trunk.out_channels)
    levels = [str(level) for level in range(len(anchors) - 1)]
    common: dict[str, Any] = {
        "rpn_anchor_generator": AnchorGenerator(tuple(tuple(sizes) for sizes in anchors), ratios),
        "box_roi_pool": MultiScaleRoIAlign(levels, output_size=7, sampling_ratio=2),
        "box_head": TwoMLPHead(channels * 49, hidden),
        "box_predictor": FastRCNNPredictor(hidden, classes + 1),
        **limits,
    }
    if kind == "faster":
        return cast(nn.Module, FasterRCNN(trunk, **common))
    masked = MaskRCNN(
        trunk,
        mask_roi_pool=MultiScaleRoIAlign(levels, output_size=MASK_SIDE // 2, sampling_ratio=2),
        mask_head=MaskRCNNHeads(channels, (channels, channels), 1),
        mask_predictor=MaskRCNNPredictor(channels, channels, classes + 1),
        **common,
    )
    return cast(nn.Module, masked)


class Detector(nn.Module):
    """uint8 `image` (batch, side, side, 3) to fixed-shape detections, best first, `detections` rows a photo:

    `boxes` (batch, rows, 4) as x1, y1, x2, y2 in input pixels, `scores` (batch, rows), `labels` (batch, rows) int64
    from 0, `masks` (batch, rows, 28, 28) probabilities within the box. Unused rows have score 0; all rows NaN where
    what the network gives for a photo are no numbers. With `least` (batch, classes), detections of a lower score than
    their class's have masks of zeros.
    """

    def __init__(
        self,
        architecture: str,
        classes: int,
        channels: int = 128,
        hidden: int = 512,
        anchors: list[list[int]] | None = None,
        detections: int = 100,
        min_score: float = 0.03,
        overlap: float = 0.5,
        finest: int = 8,
        norm: Norm = "frozen",
        deformable: Sequence[str] = (),
    ) -> None:
        """Detections of less than `min_score` go, and those that overlap a surer one of their label by more than
        `overlap` (intersection over union). `finest`, `norm` and `deformable` are `pyramid`'s."""
        super().__init__()
        kind, _, rest = architecture.partition("_rcnn_")
        sizes = anchors or ANCHORS[finest == 8 :]
        if len(sizes) != (4 if finest == 8 else 5):
            raise ValueError(f"anchors: {len(sizes)} lists of sizes, expected one per level of strides {finest} to 64")
        self.detections = detections
        self.normalise = Normalise(IMAGENET_MEAN, IMAGENET_STD)
        self.network = rcnn(
            kind,
            pyramid(rest.removesuffix("_fpn"), channels, finest, norm, deformable),
            classes,
            hidden,
            sizes,
            box_detections_per_img=detections,
            box_score_thresh=min_score,
            box_nms_thresh=overlap,
            box_batch_size_per_image=128,
            rpn_pre_nms_top_n_train=1000,
            rpn_post_nms_top_n_train=400,
            rpn_pre_nms_top_n_test=500,
            rpn_post_nms_top_n_test=250,
        )
        self.network.transform = FixedSize()

    def losses(self, image: Tensor, targets: Targets) -> dict[str, Tensor]:
        """Training losses by name. `targets` a photo: `boxes` (n, 4), `labels` (n,) from 1, `masks` (n, side, side)."""
        return cast(dict[str, Tensor], self.network(self.normalise(image), targets))

    def forward(self, image: Tensor, least: Tensor | None = None) -> dict[str, Tensor]:
        found, sound = self._found(self.normalise(image), least)
        for one in found:
            one["labels"] = one["labels"] - 1
            if "masks" not in one:
                one["masks"] = one["boxes"].new_zeros((self.detections, 1, MASK_SIDE, MASK_SIDE))
            one["masks"] = one["masks"][:, 0]
        filled = {
            name: torch.stack([self._filled(one[name]) for one in found])
            for name in ("boxes", "scores", "labels", "masks")
        }
        sound = sound & filled["masks"].isfinite().flatten(1).all(1)
        return {**filled, "scores": filled["scores"].masked_fill(~sound[:, None], torch.nan)}

    def _found(self, image: Tensor, least: Tensor | None) -> tuple[Targets, Tensor]:
        """torchvision's evaluation step by step, so that the outlines that nobody asks for, which cost most of the time
        where much is faint, are left zero; and (batch,) whether what is seen of a photo are numbers: torchvision leaves
        out what is none, and nothing would seem to be there."""
        network = cast(Any, self.network)
        heads = network.roi_heads
        sizes = [(int(image.shape[-2]), int(image.shape[-1]))] * len(image)
        features = network.backbone(image)
        proposals, _ = network.rpn(ImageList(image, sizes), features)
        logits, shifts = heads.box_predictor(heads.box_head(heads.box_roi_pool(features, proposals, sizes)))
        told = heads.postprocess_detections(logits, shifts, proposals, sizes)
        kept = [
            {"boxes": boxes, "scores": scores, "labels": labels} for boxes, scores, labels in zip(*told, strict=True)
        ]
        if heads.has_mask():
            self._outline(kept, features, sizes, least)
        photo = torch.cat([torch.full_like(one[:, 0], number) for number, one in enumerate(proposals)])
        finite = logits.isfinite().all(1) & shifts.isfinite().all(1)
        # never without a region, but where no candidate is a number
        sound = [(photo == n).any() & (finite | (photo != n)).all() for n in range(len(image))]
        return kept, torch.stack(sound)

    def _outline(
        self, kept: Targets, features: dict[str, Tensor], sizes: list[tuple[int, int]], least: Tensor | None
    ) -> None:
        """Adds `masks` (detections, 1, 28, 28) to what was found in each photo."""
        heads = cast(Any, self.network).roi_heads
        asked = [one["scores"] >= (0 if least is None else least[n][one["labels"] - 1]) for n, one in enumerate(kept)]
        regions = heads.mask_roi_pool(
            features, [one["boxes"][which] for one, which in zip(kept, asked, strict=True)], sizes
        )
        labels = [one["labels"][which] for one, which in zip(kept, asked, strict=True)]
        outlines = maskrcnn_inference(heads.mask_predictor(heads.mask_head(regions)), labels)
        for one, which, shapes in zip(kept, asked, outlines, strict=True):
            one["masks"] = shapes.new_zeros((len(one["boxes"]), *shapes.shape[1:]))
            one["masks"][which] = shapes

    def _filled(self, rows: Tensor) -> Tensor:
        """As many rows as are promised, zeros last; no length is asked for, so that the network can be traced."""
        return torch.cat([rows, rows.new_zeros((self.detections, *rows.shape[1:]))])[: self.detections]
