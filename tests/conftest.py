"""What holds for every test: no settings from outside, and asyncio for the tests that are coroutines."""

import os
from pathlib import Path

import pytest

from app import sources
from app.settings import Settings


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture(autouse=True)
def no_settings_from_outside(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name in list(os.environ):
        if name.startswith("CARLENS_"):
            monkeypatch.delenv(name)
    monkeypatch.setitem(Settings.model_config, "env_file", str(tmp_path / sources.DOTENV))
    monkeypatch.setattr(sources, "CONFIG", str(tmp_path / sources.CONFIG))
