"""A grown ResNet computes what the one it came from computes."""

import pytest
import torch
from torch import nn
from torchvision.models import get_model

from training.growth import BLOCKS, awakened, grow, inserted_blocks, undo


@pytest.fixture(scope="module")
def small() -> nn.Module:
    """A ResNet-50 of random weights whose BatchNorms do something."""
    torch.manual_seed(0)
    network = get_model("resnet50", weights=None, num_classes=7).eval()
    for module in network.modules():
        if isinstance(module, nn.BatchNorm2d):
            nn.init.uniform_(module.weight, 0.5, 1.5)
            nn.init.normal_(module.bias, std=0.1)
            nn.init.normal_(module.get_buffer("running_mean"), std=0.1)
            nn.init.uniform_(module.get_buffer("running_var"), 0.5, 1.5)
    result: nn.Module = network
    return result


@pytest.fixture(scope="module")
def photos() -> torch.Tensor:
    return torch.randn(2, 3, 64, 64, generator=torch.Generator().manual_seed(0))


@pytest.mark.parametrize("target", ["resnet101", "resnet152"])
def test_outputs_are_equal_to_the_last_bit(small: nn.Module, photos: torch.Tensor, target: str) -> None:
    deep = get_model(target, weights=None, num_classes=7).eval()
    deep.load_state_dict(grow(small.state_dict(), "resnet50", target))
    with torch.inference_mode():
        expected, found = small(photos), deep(photos)
    assert expected.abs().max() > 0.1
    assert not torch.allclose(expected[0], expected[1])
    assert (found - expected).abs().max() == 0.0


def test_a_resnet_18_grows_into_a_34(photos: torch.Tensor) -> None:
    torch.manual_seed(0)
    shallow, deep = (get_model(name, weights=None, num_classes=7).eval() for name in ("resnet18", "resnet34"))
    deep.load_state_dict(grow(shallow.state_dict(), "resnet18", "resnet34"))
    with torch.inference_mode():
        assert (deep(photos) - shallow(photos)).abs().max() == 0.0


def test_how_far_the_inserted_blocks_have_moved(small: nn.Module) -> None:
    state = grow(small.state_dict(), "resnet50", "resnet101")
    assert awakened(state, "resnet50", "resnet101") == 0
    own = [value for name, value in small.state_dict().items() if name.endswith("bn3.weight")]
    mean = sum(float(value.mean()) for value in own) / len(own)
    for block in inserted_blocks("resnet50", "resnet101"):
        state[f"{block}.bn3.weight"].fill_(-mean / 4)
    assert awakened(state, "resnet50", "resnet101") == pytest.approx(0.25)
    assert awakened(small.state_dict(), "resnet50", "resnet50") == 1


def test_an_inserted_block_wakes_up_when_trained(small: nn.Module, photos: torch.Tensor) -> None:
    """Zero is the scale of one BatchNorm alone: a gradient reaches it, and the kernels before it are useful ones."""
    state = grow(small.state_dict(), "resnet50", "resnet101")
    deep = get_model("resnet101", weights=None, num_classes=7).eval()
    deep.load_state_dict(state)
    deep(photos[:1])[0, 0].backward()
    block = deep.get_submodule("layer3.22")
    gradient = block.get_parameter("bn3.weight").grad
    assert gradient is not None
    assert gradient.abs().max() > 0
    assert torch.equal(state["layer3.22.conv2.weight"], state["layer3.5.conv2.weight"])
    assert not state["layer3.22.bn3.weight"].any()
    assert not state["layer3.22.bn3.bias"].any()


def test_the_given_state_is_left_alone(small: nn.Module) -> None:
    before = {name: value.clone() for name, value in small.state_dict().items()}
    grown = grow(small.state_dict(), "resnet50", "resnet101")
    grown["layer3.6.conv1.weight"].zero_()
    assert all(torch.equal(value, before[name]) for name, value in small.state_dict().items())


def test_growing_to_the_same_depth_changes_nothing(small: nn.Module) -> None:
    state = small.state_dict()
    same = grow(state, "resnet50", "resnet50")
    assert list(same) == list(state)
    assert inserted_blocks("resnet50", "resnet50") == []


def test_inserted_blocks_are_named() -> None:
    names = inserted_blocks("resnet50", "resnet152")
    assert names[0] == "layer2.4"
    assert names[-1] == "layer3.35"
    assert len(names) == sum(BLOCKS["resnet152"]) - sum(BLOCKS["resnet50"]) == 34


@pytest.mark.parametrize(
    ("start", "target"), [("resnet152", "resnet50"), ("resnet18", "resnet50"), ("resnet50", "resnet34")]
)
def test_what_does_not_grow_is_refused(start: str, target: str) -> None:
    with pytest.raises(ValueError, match=f"{start} does not grow into {target}"):
        grow({}, start, target)


def test_growing_is_undone_while_the_inserted_blocks_are_identities(small: nn.Module) -> None:
    state = grow(small.state_dict(), "resnet50", "resnet101")
    back = undo(state, "resnet50", "resnet101")
    assert back.keys() == small.state_dict().keys()
    assert all(torch.equal(value, back[name]) for name, value in small.state_dict().items())


@pytest.mark.parametrize("name", ["layer3.6.bn3.weight", "layer3.22.bn3.bias"])
def test_trained_blocks_are_not_thrown_away(small: nn.Module, name: str) -> None:
    state = grow(small.state_dict(), "resnet50", "resnet101")
    state[name][3] = 0.5
    with pytest.raises(ValueError, match=rf"{name} is not zero"):
        undo(state, "resnet50", "resnet101")
