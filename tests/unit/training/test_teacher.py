"""A teacher's answers: those of its network to the photos as they are, computed once, shares by head."""

from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from training.teacher import Teacher

LABELS = {"shade": ["dark", "light"], "tint": ["red", "green", "blue"]}


class Seen(nn.Module):
    """Answers by the photos' mean values, and counts the photos it was asked about."""

    def __init__(self, factor: float = 1.0) -> None:
        super().__init__()
        self.factor = nn.Parameter(torch.tensor(factor))
        self.photos = 0

    def forward(self, image: Tensor) -> dict[str, Tensor]:
        assert image.dtype == torch.uint8
        assert image.shape[1:] == (8, 8, 3)
        self.photos += len(image)
        means = image.float().mean((1, 2)) / 255 * self.factor
        return {"shade": torch.stack([1 - means.mean(1), means.mean(1)], 1), "tint": means}


def photo(n: int) -> np.ndarray:
    pixels = np.zeros((10 + n, 20, 3), np.uint8)
    pixels[..., n % 3] = 255
    return pixels


NAMES = [f"{n}.png" for n in range(70)]


def test_answers_are_the_networks_own_for_each_photo(tmp_path: Path) -> None:
    teacher = Teacher(Seen(3.0), LABELS, 8)
    logits = teacher.answers(tmp_path / "t.f16", NAMES, photo)
    assert logits.shape == (70, 5)
    np.testing.assert_allclose(logits[69], [0, 1, 3, 0, 0], atol=2e-3)
    np.testing.assert_allclose(logits[1], [0, 1, 0, 3, 0], atol=2e-3)
    shares = teacher.shares(logits[69])
    e = np.exp([0, 1]), np.exp([3, 0, 0])
    np.testing.assert_allclose(shares["shade"], e[0] / e[0].sum(), atol=1e-3)
    np.testing.assert_allclose(shares["tint"], e[1] / e[1].sum(), atol=1e-3)


def test_each_photo_is_asked_about_once(tmp_path: Path) -> None:
    network = Seen()
    first = np.array(Teacher(network, LABELS, 8).answers(tmp_path / "t.f16", NAMES, photo))
    asked = network.photos
    again = Teacher(network, LABELS, 8).answers(tmp_path / "t.f16", NAMES, photo)
    assert network.photos == asked
    np.testing.assert_array_equal(first, again)


@pytest.mark.parametrize("other", ["weights", "photos"])
def test_answers_of_another_network_or_to_other_photos_are_refused(tmp_path: Path, other: str) -> None:
    Teacher(Seen(), LABELS, 8).answers(tmp_path / "t.f16", NAMES, photo)
    teacher = Teacher(Seen(2.0 if other == "weights" else 1.0), LABELS, 8)
    names = NAMES if other == "weights" else NAMES[::-1]
    with pytest.raises(ValueError, match="use another --out"):
        teacher.answers(tmp_path / "t.f16", names, photo)
