"""What holds for every test: no settings from outside, and asyncio for the tests that are coroutines."""

import os

import pytest


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture(autouse=True)
def no_settings_from_outside(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in list(os.environ):
        if name.startswith("CARLENS_"):
            monkeypatch.delenv(name)
