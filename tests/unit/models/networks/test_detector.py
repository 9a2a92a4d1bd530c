"""Detections of fixed shape: best first, unused rows empty, the same whatever else is in the batch."""

import pytest
import torch
from torchvision.models import mobilenet_v2

from models.networks.detector import Detector
from models.rcnn import MASK_SIDE

SIDE, ROWS, CLASSES = 64, 12, 3


def detector(kind: str = "mask", min_score: float = 0.03) -> Detector:
    torch.manual_seed(0)
    architecture = f"{kind}_rcnn_mobilenet_v2_fpn"
    return Detector(architecture, CLASSES, channels=8, hidden=16, detections=ROWS, min_score=min_score).eval()


@pytest.fixture(scope="module")
def network() -> Detector:
    return detector()


@pytest.fixture(scope="module")
def photos() -> torch.Tensor:
    return torch.randint(0, 256, (2, SIDE, SIDE, 3), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))


@pytest.fixture(scope="module")
def found(network: Detector, photos: torch.Tensor) -> dict[str, torch.Tensor]:
    with torch.inference_mode():
        result: dict[str, torch.Tensor] = network(photos)
    return result


def test_every_output_has_its_shape(found: dict[str, torch.Tensor]) -> None:
    assert {name: tuple(value.shape) for name, value in found.items()} == {
        "boxes": (2, ROWS, 4),
        "scores": (2, ROWS),
        "labels": (2, ROWS),
        "masks": (2, ROWS, MASK_SIDE, MASK_SIDE),
    }
    assert found["labels"].dtype == torch.int64
    assert found["masks"].dtype == torch.float32


def test_detections_are_best_first_and_inside(found: dict[str, torch.Tensor]) -> None:
    scores, boxes = found["scores"], found["boxes"]
    assert (scores[:, 0] > 0).all()
    assert (scores[:, :-1] >= scores[:, 1:]).all()
    assert (boxes >= 0).all()
    assert (boxes <= SIDE).all()
    used = scores > 0
    assert (boxes[..., 2] > boxes[..., 0])[used].all()
    assert found["labels"][used].min() >= 0
    assert found["labels"].max() < CLASSES
    masks = found["masks"]
    assert ((masks >= 0) & (masks <= 1)).all()
    assert masks[used].amax(dim=(1, 2)).min() > 0


def test_rows_of_a_batch_are_independent(
    network: Detector, photos: torch.Tensor, found: dict[str, torch.Tensor]
) -> None:
    with torch.inference_mode():
        alone = network(photos[1:])
    for name in ("boxes", "scores", "masks"):
        torch.testing.assert_close(alone[name][0], found[name][1], rtol=1e-3, atol=1e-3)


def test_unused_rows_have_score_zero(photos: torch.Tensor) -> None:
    with torch.inference_mode():
        found = detector(min_score=1.0)(photos)
    assert found["scores"].shape == (2, ROWS)
    assert not any(value.any() for value in found.values())


def test_faster_rcnn_has_empty_masks(photos: torch.Tensor) -> None:
    with torch.inference_mode():
        found = detector("faster")(photos)
    assert (found["scores"][:, 0] > 0).all()
    assert not found["masks"].any()


def test_losses_are_finite_with_and_without_objects(photos: torch.Tensor) -> None:
    network = detector().train()
    mask = torch.zeros(1, SIDE, SIDE, dtype=torch.uint8)
    mask[0, 8:40, 8:48] = 1
    targets = [
        {"boxes": torch.tensor([[8.0, 8.0, 48.0, 40.0]]), "labels": torch.tensor([2]), "masks": mask},
        {
            "boxes": torch.zeros(0, 4),
            "labels": torch.zeros(0, dtype=torch.int64),
            "masks": torch.zeros(0, SIDE, SIDE, dtype=torch.uint8),
        },
    ]
    losses = network.losses(photos, targets)
    assert {"loss_classifier", "loss_box_reg", "loss_mask", "loss_objectness", "loss_rpn_box_reg"} == set(losses)
    assert all(torch.isfinite(value) and value > 0 for value in losses.values())
    total = torch.stack(list(losses.values())).sum()
    parameters = list(network.get_submodule("network.backbone").parameters())
    gradients = torch.autograd.grad(total, parameters, allow_unused=True)
    assert any(gradient is not None and bool(gradient.any()) for gradient in gradients)


def test_the_trunk_has_torchvisions_key_names(network: Detector) -> None:
    """So that ImageNet weights load into it; its BatchNorm is frozen and counts no batches."""
    ours = {f"features.{name}" for name in network.get_submodule("network.backbone.body").state_dict()}
    assert ours <= set(mobilenet_v2().state_dict())
    assert not any(name.endswith("num_batches_tracked") for name in ours)
    assert all(p.requires_grad for p in network.get_submodule("network.backbone").parameters())


@pytest.mark.parametrize(
    "broken",
    [
        "backbone.body.0.0.weight",
        "rpn.head.cls_logits.bias",
        "rpn.head.bbox_pred.bias",
        "roi_heads.box_predictor.cls_score.bias",
        "roi_heads.mask_predictor.mask_fcn_logits.bias",
    ],
)
@pytest.mark.parametrize("given", [True, False])
def test_what_is_no_number_is_told_and_not_left_out(photos: torch.Tensor, broken: str, given: bool) -> None:
    network = detector()
    with torch.inference_mode():
        network.get_parameter(f"network.{broken}").fill_(torch.nan)
        found = network(photos, torch.zeros(2, CLASSES)) if given else network(photos)
    assert found["scores"].isnan().all()


def test_one_photo_that_gives_no_numbers_leaves_the_other_alone(
    photos: torch.Tensor, found: dict[str, torch.Tensor]
) -> None:
    network = detector()
    whole = network.normalise.forward

    def half(image: torch.Tensor) -> torch.Tensor:
        return torch.cat([whole(image[:1]), torch.full_like(whole(image[1:]), torch.nan)])

    network.normalise.forward = half  # type: ignore[method-assign]
    with torch.inference_mode():
        seen = network(photos)
    assert seen["scores"][1].isnan().all()
    torch.testing.assert_close(seen["scores"][0], found["scores"][0], rtol=1e-3, atol=1e-3)
