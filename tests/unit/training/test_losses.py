"""The focal loss: by hand, and in the heads of a detector."""

import math

import pytest
import torch
from torch.nn import functional

from models.networks.detector import Detector
from training.losses import FocalRoIHeads, focal_loss

LOGITS = torch.tensor([[math.log(3.0), 0.0], [0.0, 0.0]])  # shares 3/4, 1/4 and 1/2, 1/2
LABELS = torch.tensor([0, 1])


def test_by_hand() -> None:
    expected = (0.25**2 * math.log(4 / 3) + 0.5**2 * math.log(2)) / 2
    assert focal_loss(LOGITS, LABELS, 2.0).item() == pytest.approx(expected, rel=1e-5)


def test_without_gamma_it_is_cross_entropy() -> None:
    torch.testing.assert_close(focal_loss(LOGITS, LABELS, 0.0), functional.cross_entropy(LOGITS, LABELS))


def losses(gamma: float | None) -> dict[str, torch.Tensor]:
    torch.manual_seed(0)
    network = Detector("faster_rcnn_resnet18_fpn", 2, channels=8, hidden=16).train()
    if gamma is not None:
        network.network.roi_heads = FocalRoIHeads.taking_over(network.network.roi_heads, gamma)  # type: ignore[arg-type]
    photos = torch.randint(0, 256, (2, 64, 64, 3), dtype=torch.uint8, generator=torch.Generator().manual_seed(1))
    target = {"boxes": torch.tensor([[8.0, 8.0, 48.0, 40.0]]), "labels": torch.tensor([2])}
    torch.manual_seed(2)  # of the regions that are sampled
    return network.losses(photos, [target, target])


def test_in_a_detector_it_changes_the_loss_of_labels_alone() -> None:
    plain, same, focal = losses(None), losses(0.0), losses(2.0)
    for name, value in plain.items():
        torch.testing.assert_close(same[name], value)
        if name != "loss_classifier":
            torch.testing.assert_close(focal[name], value)
    assert focal["loss_classifier"] < plain["loss_classifier"]
    focal["loss_classifier"].backward()


def test_an_evaluation_keeps_nothing() -> None:
    network = Detector("faster_rcnn_resnet18_fpn", 2, channels=8, hidden=16).eval()
    heads = FocalRoIHeads.taking_over(network.network.roi_heads, 2.0)  # type: ignore[arg-type]
    network.network.roi_heads = heads
    with torch.inference_mode():
        found = network(torch.zeros(1, 64, 64, 3, dtype=torch.uint8))
    assert found["scores"].shape == (1, 100)
    assert not hasattr(heads, "_logits")
