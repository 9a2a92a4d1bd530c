"""The cache of features: computed once, taken up where it broke off, refused for anything else."""

import json
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
import torch

from training.features import FeatureCache

ROWS = 70


class Trunk:
    """Gives each row its own number; `asked` is what was computed, `fails_at` where it breaks off."""

    def __init__(self, fails_at: int | None = None) -> None:
        self.asked: list[int] = []
        self.fails_at = fails_at

    def __call__(self, rows: Sequence[int]) -> torch.Tensor:
        if self.fails_at is not None and self.fails_at in rows:
            raise InterruptedError
        self.asked += rows
        values = torch.tensor(list(rows), dtype=torch.float32)
        return values[:, None, None, None] + torch.arange(3).view(1, 3, 1, 1) / 4 + torch.zeros(1, 3, 2, 5)


def silent(done: int, of: int) -> None:
    pass


def test_features_are_rows_of_height_width_channels(tmp_path: Path) -> None:
    found = FeatureCache(tmp_path / "f.f16", "key").open(ROWS, Trunk(), silent)
    assert found.shape == (ROWS, 2, 5, 3)
    assert found.dtype == np.float16
    np.testing.assert_array_equal(found[:, 1, 4, 2], np.arange(ROWS) + 0.5)
    assert not found.flags.writeable


def test_what_is_there_is_not_computed_again(tmp_path: Path) -> None:
    FeatureCache(tmp_path / "f.f16", ["key", 1]).open(ROWS, Trunk(), silent)
    again = Trunk()
    found = FeatureCache(tmp_path / "f.f16", ("key", 1)).open(ROWS, again, silent)
    assert again.asked == []
    np.testing.assert_array_equal(found[:, 0, 0, 0], np.arange(ROWS))


def test_a_broken_off_one_goes_on_where_it_was_last_kept(tmp_path: Path) -> None:
    with pytest.raises(InterruptedError):
        FeatureCache(tmp_path / "f.f16", "key").open(ROWS, Trunk(fails_at=50), silent, batch=1)
    kept = json.loads((tmp_path / "f.json").read_text())["done"]
    assert 0 < kept <= 50
    again = Trunk()
    found = FeatureCache(tmp_path / "f.f16", "key").open(ROWS, again, silent, batch=1)
    assert again.asked == list(range(kept, ROWS))
    np.testing.assert_array_equal(found[:, 0, 0, 0], np.arange(ROWS))


def test_features_of_something_else_are_refused(tmp_path: Path) -> None:
    FeatureCache(tmp_path / "f.f16", "key").open(ROWS, Trunk(), silent)
    with pytest.raises(ValueError, match=r"f\.f16 holds features of other photos or of another network"):
        FeatureCache(tmp_path / "f.f16", "another")


def test_progress_is_told_and_the_last_batch_may_be_short(tmp_path: Path) -> None:
    told: list[tuple[int, int]] = []
    FeatureCache(tmp_path / "new" / "f.f16", "key").open(10, Trunk(), lambda *pair: told.append(pair), batch=4)
    assert told == [(4, 10), (8, 10), (10, 10)]
