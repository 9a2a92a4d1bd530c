"""YOLOX: cells of three strides in fixed shapes, boxes decoded, RGB turned to what the network was trained on."""

import pytest
import torch
from torch import nn

from models.networks import build
from models.networks.yolox import Yolox, grid

SIZE = 904_463  # counted in the released file, its graph's constants left out
LABELS = {"label": ["car", "bus", "truck", "motorcycle"]}


@pytest.fixture(scope="module")
def network() -> Yolox:
    torch.manual_seed(0)
    found = build("yolox_nano", LABELS, {"channels": 4})
    assert isinstance(found, Yolox)
    return found.eval()


@pytest.fixture(scope="module")
def photos() -> torch.Tensor:
    return torch.randint(0, 256, (2, 64, 96, 3), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))


def test_every_cell_has_a_box_and_scores(network: Yolox, photos: torch.Tensor) -> None:
    cells = 8 * 12 + 4 * 6 + 2 * 3
    with torch.inference_mode():
        found, alone = network(photos), network(photos[1:])
    assert (found["boxes"].shape, found["scores"].shape) == ((2, cells, 4), (2, cells, 4))
    assert (found["boxes"][..., 2:] > found["boxes"][..., :2]).all()
    assert ((found["scores"] > 0) & (found["scores"] < 1)).all()
    torch.testing.assert_close(found["boxes"][1:], alone["boxes"], rtol=1e-4, atol=1e-3)


def test_cells_go_row_by_row_through_the_strides() -> None:
    places, strides = grid(64, 96)
    assert places[[0, 1, 12, 96, 97, 120, 125]].tolist() == [[0, 0], [1, 0], [0, 1], [0, 0], [1, 0], [0, 0], [2, 1]]
    assert strides[[0, 95, 96, 119, 120]].flatten().tolist() == [8, 8, 16, 16, 32]


def test_boxes_are_decoded_from_cell_and_stride(network: Yolox, photos: torch.Tensor) -> None:
    class Fixed(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.heads = network.network.heads

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            cells = torch.zeros(len(x), 126, 9)
            cells[:, 97] = torch.tensor([0.5, 0.25, 0.0, 0.6931472, 0.5, 0.2, 0.4, 0.6, 0.8])
            return cells

    of = Yolox("yolox_nano", 4, 4)
    of.network = Fixed()  # type: ignore[assignment]
    found = of(photos)
    # Cell 97 is the second of stride 16: its centre (1.5, 0.25) cells, one cell wide, two high.
    torch.testing.assert_close(found["boxes"][0, 97], torch.tensor([16.0, -12.0, 32.0, 20.0]))
    torch.testing.assert_close(found["scores"][0, 97], torch.tensor([0.1, 0.2, 0.3, 0.4]))


def test_the_network_gets_blue_first_and_unscaled(network: Yolox) -> None:
    seen: list[torch.Tensor] = []
    hook = network.network.register_forward_pre_hook(lambda _, given: seen.append(given[0]))
    red = torch.zeros(1, 32, 32, 3, dtype=torch.uint8)
    red[..., 0] = 200
    network(red)
    hook.remove()
    assert seen[0][0, :, 0, 0].tolist() == [0, 0, 200]


def test_focus_keeps_every_pixel_in_the_released_order() -> None:
    from models.networks.yolox import Focus

    focus = Focus(4)
    focus.stem = nn.Identity()  # type: ignore[assignment]
    image = torch.arange(4.0).reshape(1, 1, 2, 2)  # 0 1 over 2 3
    assert focus(image).flatten().tolist() == [0, 2, 1, 3]


def test_the_size_is_that_of_the_released_network() -> None:
    found = build("yolox_nano", {"label": [str(n) for n in range(80)]})
    assert sum(value.numel() for value in found.parameters()) == SIZE


def test_another_yolox_is_refused() -> None:
    with pytest.raises(ValueError, match="unknown architecture 'yolox_tiny': yolox_nano"):
        Yolox("yolox_tiny", 4)
