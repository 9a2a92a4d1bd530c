"""Devices go round, cores are divided and none is lost."""

import pytest

from app.shares import shares


@pytest.mark.parametrize(
    ("count", "cores", "threads"),
    [(1, 8, [8]), (2, 8, [4, 4]), (3, 8, [3, 3, 2]), (2, 1, [1, 1]), (4, 6, [2, 2, 1, 1])],
)
def test_the_cores_are_divided(count: int, cores: int, threads: list[int]) -> None:
    assert [one.threads for one in shares(count, ["cpu"], cores)] == threads


def test_the_devices_go_round() -> None:
    given = shares(5, ["cuda:0", "cuda:1"], 10)
    assert [one.device for one in given] == ["cuda:0", "cuda:1", "cuda:0", "cuda:1", "cuda:0"]
    assert [one.number for one in given] == [0, 1, 2, 3, 4]
