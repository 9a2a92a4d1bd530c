"""Losses by hand, and the focal loss in the heads of a detector."""

import math

import numpy as np
import pytest
import torch
from torch.nn import functional

from models.networks.detector import Detector
from training.losses import (
    LabelledRoIHeads,
    adjustment,
    binary_cross_entropy,
    focal_loss,
    label_loss,
    mixed,
    squared_emd,
)

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
        network.network.roi_heads = LabelledRoIHeads.taking_over(network.network.roi_heads, gamma)
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
    torch.autograd.backward(focal["loss_classifier"])


def test_silent_classes_count_as_background_where_they_are_not_outlined() -> None:
    """Shares 1/2, 1/4, 1/4 of the background, a label and a silent class."""
    logits = torch.tensor([[2.0, 1.0, 1.0]]).log().repeat(3, 1)
    labels, partial = torch.tensor([0, 0, 1]), torch.tensor([True, False, True])
    expected = (math.log(4 / 3) + math.log(2) + math.log(4)) / 3
    assert label_loss(logits, labels, 0.0, 1, partial).item() == pytest.approx(expected, rel=1e-5)


def test_a_photo_without_outlines_of_silent_classes_does_not_teach_that_there_are_none() -> None:
    """No gradient moves share between the background and a silent class on a partial photo."""
    found = {}
    for partial in (True, False):
        torch.manual_seed(0)
        network = Detector("faster_rcnn_resnet18_fpn", 3, channels=8, hidden=16).train()
        heads = LabelledRoIHeads.taking_over(network.network.roi_heads, 0.0, 1)
        network.network.roi_heads = heads
        photo = torch.randint(0, 256, (1, 64, 64, 3), dtype=torch.uint8)
        target = {"boxes": torch.tensor([[8.0, 8.0, 48.0, 40.0]]), "labels": torch.tensor([2])}
        loss = network.losses(photo, [{**target, "partial": torch.tensor(partial)}])["loss_classifier"]
        torch.autograd.backward(loss)
        found[partial] = heads.box_predictor.cls_score.bias.grad[[0, 3]]
    assert (found[True] < 0).all()  # both are wanted where nothing is outlined
    assert found[False][0] < 0 < found[False][1]


def test_an_evaluation_keeps_nothing() -> None:
    network = Detector("faster_rcnn_resnet18_fpn", 2, channels=8, hidden=16).eval()
    heads = LabelledRoIHeads.taking_over(network.network.roi_heads, 2.0)
    network.network.roi_heads = heads
    with torch.inference_mode():
        found = network(torch.zeros(1, 64, 64, 3, dtype=torch.uint8))
    assert found["scores"].shape == (1, 100)
    assert not hasattr(heads, "_logits")


def test_yes_or_no_for_each_class_by_hand() -> None:
    # shares 3/4 and 1/2 of yes; the first row is of class 0, the second row's label is not known
    expected = math.log(4 / 3) + math.log(2)
    found = binary_cross_entropy(LOGITS, torch.tensor([0, -1]))
    assert found.item() == pytest.approx(expected, rel=1e-5)
    smooth = binary_cross_entropy(LOGITS, torch.tensor([0, -1]), smoothing=0.2)
    first = -(0.9 * math.log(3 / 4) + 0.1 * math.log(1 / 4))
    assert smooth.item() == pytest.approx(first + math.log(2), rel=1e-5)


def test_without_a_label_there_is_no_loss_and_no_gradient() -> None:
    logits = LOGITS.clone().requires_grad_()
    loss = binary_cross_entropy(logits, torch.tensor([-1, -1]))
    torch.autograd.backward(loss)
    assert loss.item() == 0
    assert logits.grad is not None
    assert not logits.grad.any()


def test_rare_classes_are_favoured_by_the_logarithm_of_their_share() -> None:
    found = adjustment(np.array([0, 0, 0, 1]), 3, strength=2.0)
    total = 4.5
    expected = [2 * math.log(count / total) for count in (3, 1, 0.5)]
    assert found.tolist() == pytest.approx(expected, rel=1e-6)
    # an undecided network is then wrong at the rare ones above all
    undecided = torch.zeros(2, 3)
    each = functional.cross_entropy(undecided + found, torch.tensor([0, 1]), reduction="none")
    assert each[1] > each[0]


def test_photos_are_mixed_with_others_of_the_batch() -> None:
    torch.manual_seed(0)
    photos = torch.eye(4)
    blend, others, share = mixed(photos, 0.4)
    assert sorted(others.tolist()) == [0, 1, 2, 3]
    assert 0 < share < 1
    for row, other in enumerate(others.tolist()):
        torch.testing.assert_close(blend[row], share * photos[row] + (1 - share) * photos[other])
    torch.manual_seed(0)
    assert mixed(photos, 0.4)[2] == share


def test_a_mistake_costs_by_how_many_grades_it_is_off() -> None:
    sure = torch.eye(3) * 50
    costs = [[squared_emd(sure[given][None], torch.tensor([true])).item() for given in range(3)] for true in range(3)]
    assert costs == pytest.approx(np.array([[0, 1, 2], [1, 0, 1], [2, 1, 0]]))


def test_undecided_shares_cost_by_hand() -> None:
    """Shares 1/2, 1/4, 1/4 of the first grade: cumulated 1/2, 3/4, 1 against 1, 1, 1."""
    logits = torch.log(torch.tensor([[0.5, 0.25, 0.25]])).repeat(2, 1)
    assert squared_emd(logits, torch.tensor([0, 0])).item() == pytest.approx(0.25 + 0.0625)
    assert squared_emd(logits, torch.tensor([0, 2])).item() == pytest.approx((0.3125 + 0.25 + 0.5625) / 2)
