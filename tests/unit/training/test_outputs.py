"""Photos asked in batches: every one once and in order, in sizes the predictor knows, read no earlier than needed."""

from collections.abc import Iterator

import numpy as np
import pytest
from numpy.typing import NDArray

from models.predictor import Arrays
from tests.fakes import Brightness, Scores
from training.outputs import outputs


class Counting(Brightness):
    """Notes the size of each batch."""

    def __init__(self) -> None:
        super().__init__()
        self.sizes: list[int] = []

    def run(self, batch: Arrays) -> Arrays:
        self.sizes.append(len(batch["pixels"]))
        return super().run(batch)


def plain(count: int) -> Iterator[NDArray[np.uint8]]:
    """The n-th photo is of the brightness n, and a pixel wider than the one before."""
    for n in range(count):
        yield np.full((20, 30 + n, 3), n, np.uint8)


@pytest.mark.parametrize(
    ("count", "batch", "sizes"),
    [(0, 4, []), (1, 4, [1]), (3, 4, [4]), (6, 4, [4, 2]), (8, 4, [4, 4]), (7, 8, [7]), (9, 8, [8, 1])],
)
def test_every_photo_is_answered_once_and_in_order(count: int, batch: int, sizes: list[int]) -> None:
    predictor = Counting()  # which names 1, 2 and 4 as its sizes
    found = list(outputs(predictor, plain(count), batch))
    assert [(header.width, header.height) for header, _ in found] == [(30 + n, 20) for n in range(count)]
    assert [output["channels"].tolist() for _, output in found] == [[n, n, n] for n in range(count)]
    assert predictor.sizes == sizes


def test_photos_are_read_as_batches_need_them() -> None:
    read: list[int] = []

    def photos() -> Iterator[NDArray[np.uint8]]:
        for n, pixels in enumerate(plain(5)):
            read.append(n)
            yield pixels

    found = outputs(Counting(), photos(), 2)
    next(found)
    assert read == [0, 1]


def test_prepare_gets_the_options() -> None:
    predictor, options = Counting(), Scores(top_k=1)
    list(outputs(predictor, plain(1), options=options))
    assert predictor.options is options
    list(outputs(predictor, plain(1)))
    assert predictor.options == Scores()
