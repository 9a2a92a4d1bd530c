"""What the contract tests share: the repository's root, and one real service with the shipped weights."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.contract.process import Service, serving


@pytest.fixture(scope="session")
def root() -> Path:
    return Path(__file__).resolve().parents[2]


@pytest.fixture(scope="session")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    """`carlens serve` with the predictors and weights of this repository, as `make serve` starts it."""
    with serving(tmp_path_factory.mktemp("service") / "log", {"CARLENS_DEVICE": "cpu"}) as running:
        yield running
