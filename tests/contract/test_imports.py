"""The import laws of pyproject.toml hold."""

from pathlib import Path

import pytest
from importlinter.cli import lint_imports


def test_import_laws(root: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.chdir(root)
    code = lint_imports(no_cache=True, no_logo=True)
    assert code == 0, capsys.readouterr().out
