"""One trunk, one row of logits per head."""

import pytest
import torch
from torchvision.models import resnet18

from models.networks.heads import MultiHead


def photos(count: int = 3) -> torch.Tensor:
    return torch.randint(0, 256, (count, 32, 32, 3), dtype=torch.uint8, generator=torch.Generator().manual_seed(1))


def test_every_head_answers_for_every_photo() -> None:
    torch.manual_seed(0)
    network = MultiHead("resnet18", {"color": 10, "type": 8}).eval()
    with torch.inference_mode():
        found = network(photos())
    assert {name: tuple(value.shape) for name, value in found.items()} == {"color": (3, 10), "type": (3, 8)}


def test_the_trunk_has_torchvisions_key_names() -> None:
    network = MultiHead("resnet18", {"color": 2})
    names = {name for name in resnet18().state_dict() if not name.startswith("fc.")}
    assert set(network.network.trunk.state_dict()) == names
    assert set(network.network.state_dict()) == {f"trunk.{name}" for name in names} | {
        "heads.fc_color.weight",
        "heads.fc_color.bias",
    }


def test_a_head_may_have_the_name_of_a_method() -> None:
    # `type` is a method of every nn.Module; ModuleDict refuses it as a key.
    assert set(MultiHead("resnet18", {"type": 2, "keys": 2}).eval()(photos(1))) == {"type", "keys"}


def test_heads_learn_apart() -> None:
    torch.manual_seed(0)
    network = MultiHead("resnet18", {"color": 3, "type": 2}).eval()
    network(photos())["color"].sum().backward()
    heads = network.network.heads
    assert next(heads["fc_color"].parameters()).grad is not None
    assert next(heads["fc_type"].parameters()).grad is None


def test_dropout_works_in_training_alone() -> None:
    torch.manual_seed(0)
    network = MultiHead("resnet18", {"color": 3}, dropout=0.5)
    network.network.trunk.eval()
    with torch.no_grad():
        assert not torch.equal(network(photos())["color"], network(photos())["color"])
        network.eval()
        assert torch.equal(network(photos())["color"], network(photos())["color"])


def test_a_mirrored_photo_is_the_mirrored_answer_of_one_that_looks_twice() -> None:
    torch.manual_seed(1)
    twice = MultiHead("resnet18", {"side": 3, "color": 2}, mirrored={"side": [1, 0, 2]}).eval()
    given = photos(2)
    with torch.inference_mode():
        there, back = twice(given), twice(given.flip(2))
        once = [twice.network(twice.normalise(image)) for image in (given, given.flip(2))]
    torch.testing.assert_close(there["color"], back["color"], rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(there["side"], back["side"][:, [1, 0, 2]], rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(there["side"], (once[0]["side"] + once[1]["side"][:, [1, 0, 2]]) / 2)
    assert not torch.allclose(there["side"], once[0]["side"], atol=1e-3)
    torch.manual_seed(0)
    learning = twice.train()(given)["color"]
    torch.manual_seed(0)
    torch.testing.assert_close(learning, twice.network(twice.normalise(given))["color"])  # one look


@pytest.mark.parametrize("order", [[0, 1], [0, 1, 1], [0, 1, 3], []])
def test_an_order_that_is_none_is_refused(order: list[int]) -> None:
    with pytest.raises(ValueError, match="mirrored: side needs each"):
        MultiHead("resnet18", {"side": 3}, mirrored={"side": order})
