"""A ResNet in two halves gives what the whole gives, under torchvision's key names."""

import pytest
import torch
from torchvision.models import resnet18

from models.networks import build
from models.networks.classifier import Classifier
from models.networks.heads import MultiHead


@pytest.fixture(scope="module")
def network() -> Classifier:
    torch.manual_seed(0)
    return Classifier("resnet18", 5).eval()


@pytest.fixture(scope="module")
def photos() -> torch.Tensor:
    return torch.randint(0, 256, (2, 32, 48, 3), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))


def test_logits_of_a_batch(network: Classifier, photos: torch.Tensor) -> None:
    with torch.inference_mode():
        logits = network(photos)["label"]
        alone = network(photos[1:])["label"]
    assert logits.shape == (2, 5)
    assert logits.dtype == torch.float32
    torch.testing.assert_close(logits[1:], alone, rtol=1e-4, atol=1e-5)
    assert not torch.allclose(logits[0], logits[1])


@pytest.mark.parametrize("stages", [1, 3, 4])
def test_features_then_classify_is_the_whole(network: Classifier, photos: torch.Tensor, stages: int) -> None:
    with torch.inference_mode():
        features = network.features(photos, stages)
        assert features.shape[:2] == (2, {1: 64, 3: 256, 4: 512}[stages])
        torch.testing.assert_close(network.classify(features, stages), network(photos)["label"])


def test_the_state_has_torchvisions_key_names(network: Classifier) -> None:
    assert set(network.network.state_dict()) == set(resnet18().state_dict())
    # Normalisation stands in the manifest, not in the weights.
    assert all(name.startswith("network.") for name in network.state_dict())


def test_photos_are_normalised_as_imagenet_was(network: Classifier) -> None:
    black = network.normalise(torch.zeros(1, 2, 2, 3, dtype=torch.uint8))
    white = network.normalise(torch.full((1, 2, 2, 3), 255, dtype=torch.uint8))
    assert black.shape == (1, 3, 2, 2)
    torch.testing.assert_close(black[0, :, 0, 0], torch.tensor([-0.485 / 0.229, -0.456 / 0.224, -0.406 / 0.225]))
    torch.testing.assert_close(white[0, :, 1, 1], torch.tensor([0.515 / 0.229, 0.544 / 0.224, 0.594 / 0.225]))


def test_numbers_beside_the_image_reach_the_last_layer(photos: torch.Tensor) -> None:
    torch.manual_seed(1)
    network = Classifier("resnet18", 3, beside=2).eval()
    assert network.network.fc.weight.shape == (3, 514)
    known = torch.tensor([[1.0, 0.0], [0.0, 2.0]])
    with torch.inference_mode():
        told, untold = network(photos, known)["label"], network(photos, torch.zeros(2, 2))["label"]
    moved = known @ network.network.fc.weight[:, 512:].T
    torch.testing.assert_close(told - untold, moved, rtol=1e-4, atol=1e-5)


def test_a_mirrored_photo_is_the_same_to_one_that_looks_twice(photos: torch.Tensor) -> None:
    torch.manual_seed(1)
    twice = Classifier("resnet18", 3, mirrored=True).eval()
    with torch.inference_mode():
        there, back = twice(photos)["label"], twice(photos.flip(2))["label"]
        torch.testing.assert_close(there, back, rtol=1e-4, atol=1e-5)
        once = [twice.classify(twice.features(image, 4), 4) for image in (photos, photos.flip(2))]
        assert not torch.allclose(once[0], once[1], atol=1e-3)
        torch.testing.assert_close(there, (once[0] + once[1]) / 2, rtol=1e-4, atol=1e-5)
    twice.train()
    twice.network.bn1.eval()
    assert twice.training  # where the photos are mirrored at random already, one look is enough


def test_build_chooses_by_architecture_and_labels() -> None:
    assert isinstance(build("resnet18", {"label": ["a", "b"]}), Classifier)
    assert isinstance(build("resnet18", {"color": ["a", "b"], "type": ["c"]}, {"dropout": 0.2}), MultiHead)


@pytest.mark.parametrize("architecture", ["vgg16", "", "mask_rcnn", "resnet7"])
def test_an_unknown_architecture_is_refused(architecture: str) -> None:
    with pytest.raises(ValueError, match=r"(?i)unknown"):
        build(architecture, {"label": ["a"]})


@pytest.mark.parametrize("architecture", ["mask_rcnn_vgg_fpn", "faster_rcnn_resnext50_fpn"])
def test_an_unknown_backbone_is_refused_with_those_there_are(architecture: str) -> None:
    with pytest.raises(ValueError, match=r"unknown backbone .*mobilenet_v2, .*resnet18"):
        build(architecture, {"label": ["a"]})


def test_an_unknown_option_is_refused() -> None:
    with pytest.raises(TypeError, match="depth"):
        build("resnet18", {"label": ["a"]}, {"depth": 3})
