"""A detector in parts says what it says whole."""

from typing import Any

import numpy as np
import pytest
import torch

from models.networks.detector import Detector
from models.networks.stages import parts
from models.rcnn import Limits, Numbers, Rcnn

SIDE, CLASSES = 128, 3


def whole(architecture: str, finest: int) -> Detector:
    torch.manual_seed(1)
    network = Detector(architecture, CLASSES, channels=8, hidden=16, detections=30, finest=finest).eval()
    for name, value in network.named_parameters():  # as they begin, all regions are told the same
        if "bbox_pred" in name or "cls_score" in name or "mask_fcn_logits" in name:
            value.data.normal_(0, 0.2)
    return network


def run(module: torch.nn.Module) -> Any:
    def part(given: Numbers) -> Numbers:
        with torch.inference_mode():
            found = module(**{name: torch.from_numpy(np.ascontiguousarray(value)) for name, value in given.items()})
        return {name: value.numpy() for name, value in found.items()}

    return part


def photos() -> np.ndarray[Any, Any]:
    rng = np.random.default_rng(3)
    made = rng.integers(0, 80, (3, SIDE, SIDE, 3))
    for one in made:
        for _ in range(5):
            y, x = rng.integers(0, SIDE - 40, 2)
            one[y : y + 40, x : x + 25] += rng.integers(0, 170, 3)
    return made.astype(np.uint8)


@pytest.mark.parametrize(
    ("architecture", "finest"),
    [("mask_rcnn_resnet18_fpn", 8), ("mask_rcnn_resnet18_fpn", 4), ("faster_rcnn_resnet18_fpn", 8)],
)
def test_together_they_give_what_the_whole_gives(architecture: str, finest: int) -> None:
    network = whole(architecture, finest)
    made = {name: run(module) for name, module in parts(network, SIDE).items()}
    assert ("masks" in made) == architecture.startswith("mask")
    limits = Limits(detections=network.detections)
    found = Rcnn(made["dense"], made["boxes"], made.get("masks"), limits)({"image": photos()})
    with torch.inference_mode():
        expected = {name: value.numpy() for name, value in network(torch.from_numpy(photos())).items()}
    assert (expected["scores"] > 0).sum(axis=1).min() >= 5
    np.testing.assert_array_equal(found["labels"], expected["labels"])
    np.testing.assert_allclose(found["boxes"], expected["boxes"], atol=1e-2)
    np.testing.assert_allclose(found["scores"], expected["scores"], atol=1e-4)
    np.testing.assert_allclose(found["masks"], expected["masks"], atol=1e-3)


def test_the_limits_are_those_of_the_whole() -> None:
    network: Any = whole("mask_rcnn_resnet18_fpn", 8).network
    limits = Limits(detections=30)
    assert limits.proposals == network.rpn.post_nms_top_n()
    assert limits.proposal_overlap == network.rpn.nms_thresh
    assert limits.detections == network.roi_heads.detections_per_img
    assert limits.overlap == network.roi_heads.nms_thresh
    assert limits.min_score == network.roi_heads.score_thresh


def test_outlines_that_nobody_asks_for_are_zero_and_the_rest_unchanged() -> None:
    network = whole("mask_rcnn_resnet18_fpn", 8)
    image = torch.from_numpy(photos())
    with torch.inference_mode():
        every = network(image)
        middle = float(every["scores"][every["scores"] > 0].median())
        least = torch.tensor([[middle] * CLASSES, [2.0] * CLASSES, [0.0] * CLASSES])
        some = network(image, least)
    for name in ("boxes", "scores", "labels"):
        torch.testing.assert_close(some[name], every[name])
    asked = every["scores"] >= torch.tensor([[middle], [2.0], [1e-9]])
    assert asked[0].any()
    assert not asked[0].all()
    torch.testing.assert_close(some["masks"][asked], every["masks"][asked])
    assert not some["masks"][~asked].any()
