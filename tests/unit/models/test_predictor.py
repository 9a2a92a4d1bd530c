"""The contract's own rules."""

import pytest

from tests.fakes import Brightness


@pytest.mark.parametrize(
    ("cpu_batch", "device", "sizes"),
    [(None, "cpu", (1, 2, 4, 8)), (2, "cpu", (1, 2)), (3, "cpu", (1, 2)), (2, "cuda", (1, 2, 4, 8))],
)
def test_large_batches_may_be_left_to_gpus(cpu_batch: int | None, device: str, sizes: tuple[int, ...]) -> None:
    predictor = Brightness(batch_sizes=(1, 2, 4, 8), cpu_batch=cpu_batch)
    assert predictor.specification.sizes_on(device) == sizes
