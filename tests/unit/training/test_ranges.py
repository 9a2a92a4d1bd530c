"""Ranges are taken from the same training photos for the same seed, as the service prepares them."""

from pathlib import Path

import numpy as np
import pytest

from tests import weights
from tests.unit.training import drawn
from training import ranges, tasks
from training import recipe as recipes
from training.evaluate import open_predictor


def test_a_seed_draws_the_same_photos_and_none_twice() -> None:
    assert ranges.drawn(1000, 300, 0) == ranges.drawn(1000, 300, 0) != ranges.drawn(1000, 300, 1)
    assert len(set(ranges.drawn(1000, 300, 0))) == 300
    assert ranges.drawn(3, 300, 0) == [0, 1, 2]


@pytest.mark.parametrize(
    ("name", "changes", "there"),
    [("attributes", drawn.HEADS, 8), ("car_details", drawn.CLASSIFIER, 6), ("damage", drawn.INSTANCES, 6)],
)
def test_photos_of_train_are_prepared_for_every_kind_of_task(
    data: Path, tmp_path: Path, name: str, changes: list[str], there: int
) -> None:
    weights.write(tmp_path, weights.manifest(name))
    predictor = open_predictor(name, tmp_path, "torch")
    task = tasks.create(recipes.read(name, changes), data, tmp_path / "work")
    found, again = ranges.items(predictor, task, 3, 0), ranges.items(predictor, task, 3, 0)
    assert len(found) == 3
    for item, other in zip(found, again, strict=True):
        assert item["image"].shape == (32, 32, 3)
        np.testing.assert_array_equal(item["image"], other["image"])
    assert len(ranges.items(predictor, task, 100, 0)) == there


def test_a_task_of_no_known_kind_is_refused(tmp_path: Path) -> None:
    weights.write(tmp_path, weights.manifest("damage"))
    with pytest.raises(ValueError, match="str: no photos to take ranges from"):
        ranges.items(open_predictor("damage", tmp_path, "torch"), "task", 3, 0)
