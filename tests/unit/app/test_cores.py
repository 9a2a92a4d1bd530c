"""A container's limit of processor time is read, and holds where it is below the cores that there are."""

import os
from pathlib import Path

import pytest

from app.cores import cores, limited


@pytest.fixture(autouse=True)
def eight(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: set(range(8)), raising=False)


@pytest.mark.parametrize(
    ("told", "limit"),
    [("400000 100000", 4), ("150000 100000", 2), ("50000 100000", 1), ("800000 100000", None), ("max 100000", None)],
)
def test_the_limit_of_a_container(tmp_path: Path, told: str, limit: int | None) -> None:
    path = tmp_path / "cpu.max"
    path.write_text(f"{told}\n")
    assert limited(path) == limit
    assert cores(path) == (limit or 8)


def test_without_a_limit_all_cores_that_there_are(tmp_path: Path) -> None:
    assert limited(tmp_path / "none") is None
    assert cores(tmp_path / "none") == 8
