"""Batches: their order is that of seed and step, whoever asks and however they are parted."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from tests.unit.training.tiny import BATCH, EPOCHS, PHOTOS, Tiny, varied
from training.batches import Batches
from training.processes import Processes

STEPS = PHOTOS // BATCH * EPOCHS


def test_the_order_is_the_same_every_time_and_no_batch_comes_twice() -> None:
    one, other = Batches(Tiny()), Batches(Tiny())
    found = [one.at(step)[0] for step in range(STEPS)]
    for step, batch in enumerate(found):
        again = other.at(step)[0]
        assert torch.equal(batch["rows"], again["rows"])
        assert torch.equal(batch["labels"], again["labels"])
    assert not any(torch.equal(found[0]["rows"], batch["rows"]) for batch in found[1:])


def test_an_epoch_sees_each_photo_at_most_once_and_the_size_grows() -> None:
    task = Tiny()
    batches = Batches(task)
    for step in range(STEPS):
        batches.at(step)
    per_epoch = PHOTOS // BATCH * BATCH
    for epoch in range(EPOCHS):
        chosen = [index for index, _ in task.seen[epoch * per_epoch : (epoch + 1) * per_epoch]]
        assert len(set(chosen)) == per_epoch
    sides = [side for _, side in task.seen[::BATCH]]
    assert sides == [6] * 8 + [8] * 7  # from half of the fifteen steps on


@pytest.mark.parametrize(("world", "accumulate"), [(1, 2), (2, 1), (2, 2), (4, 1)])
def test_shares_and_parts_make_the_whole_batch(world: int, accumulate: int) -> None:
    whole = Batches(Tiny()).at(3)[0]["rows"]
    task = Tiny(varied(accumulate=accumulate))
    parts: dict[int, Any] = {}
    for rank in range(world):
        for number, part in enumerate(Batches(task, Processes(rank, rank, world)).at(3)):
            parts[number * world + rank] = part["rows"]
    count = world * accumulate
    assert sorted(parts) == list(range(count))
    for number, rows in parts.items():
        assert torch.equal(rows, whole[number::count])


def test_each_step_part_and_process_draws_its_own_numbers() -> None:
    batches = [Batches(Tiny(), Processes(rank, rank, 2)) for rank in range(2)]
    seeds = [one.seed(step, part) for one in batches for step in range(5) for part in range(3)]
    assert len(set(seeds)) == len(seeds)
    assert all(0 <= seed < 2**63 for seed in seeds)
    assert Batches(Tiny()).seed(4, 1) == batches[0].seed(4, 1)


@pytest.mark.parametrize("workers", [1, 2, 5])
def test_a_stream_is_the_batches_in_order(workers: int) -> None:
    batches = Batches(Tiny())
    streamed = list(batches.stream(3, 9, workers))
    assert len(streamed) == 6
    for step, parts in enumerate(streamed, 3):
        assert torch.equal(parts[0]["rows"], batches.at(step)[0]["rows"])


def test_an_error_in_a_sample_reaches_the_caller(tmp_path: Path) -> None:
    class Unreadable(Tiny):
        def sample(self, index: int, side: int, rng: np.random.Generator) -> Any:
            raise FileNotFoundError("photo 7 is gone")

    with pytest.raises(FileNotFoundError, match="photo 7 is gone"):
        list(Batches(Unreadable()).stream(0, STEPS))


def test_part_of_an_epoch_is_a_run() -> None:
    assert Batches(Tiny(varied(epochs=0.4))).steps == 2
    assert Batches(Tiny(varied(epochs=0.01))).steps == 1


def test_fewer_photos_than_a_batch_are_refused() -> None:
    with pytest.raises(ValueError, match="an epoch has 22 photos, fewer than a batch of 64"):
        Batches(Tiny(varied(batch=64)))


def test_a_batch_that_cannot_be_parted_is_refused() -> None:
    expected = "a batch of 4 cannot be parted evenly among 3 processes with `accumulate` 1: make it a multiple of 3"
    with pytest.raises(ValueError, match=expected):
        Batches(Tiny(), Processes(0, 0, 3))
