"""Which source of a setting wins, and that none of them takes a name that is no setting."""

from pathlib import Path

import pytest
from pydantic import ValidationError

from app import sources
from app.settings import Settings


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Where `.env` and `carlens.toml` are looked for; tests/conftest.py sees to that."""
    return tmp_path


def test_the_environment_wins_over_dotenv_and_that_over_the_file(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (folder / "carlens.toml").write_text("port = 1\nqueue_limit = 1\ngrace_s = 1.5\npredictors = ['damage']\n")
    (folder / ".env").write_text("CARLENS_PORT=2\nCARLENS_QUEUE_LIMIT=2\nDATABASE_URL=another's\n")
    monkeypatch.setenv("CARLENS_PORT", "3")
    settings = Settings()
    assert (settings.port, settings.queue_limit, settings.grace_s, settings.predictors) == (3, 2, 1.5, ["damage"])
    assert Settings(port=4).port == 4


@pytest.mark.parametrize("where", ["environment", "dotenv"])
def test_another_file_is_named_by_config(folder: Path, monkeypatch: pytest.MonkeyPatch, where: str) -> None:
    (folder / "carlens.toml").write_text("port = 1\n")
    (folder / "other.toml").write_text("port = 2\n")
    if where == "environment":
        monkeypatch.setenv("CARLENS_CONFIG", str(folder / "other.toml"))
    else:
        (folder / ".env").write_text(f"CARLENS_CONFIG={folder / 'other.toml'}\n")
    assert Settings().port == 2


@pytest.mark.parametrize("place", ["environment", ".env", "carlens.toml"])
def test_a_name_that_is_no_setting_is_refused_wherever_it_stands(
    folder: Path, monkeypatch: pytest.MonkeyPatch, place: str
) -> None:
    if place == "environment":
        monkeypatch.setenv("CARLENS_PRT", "1")
    else:
        (folder / place).write_text("CARLENS_PRT=1\n" if place == ".env" else "prt = 1\n")
    with pytest.raises(ValidationError) as caught:
        Settings()
    assert [(one["loc"], one["type"]) for one in caught.value.errors()] == [(("prt",), "extra_forbidden")]


def test_an_empty_variable_is_none(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CARLENS_PORT", "")
    monkeypatch.setenv("CARLENS_PRT", "")
    assert Settings().port == 8000


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (None, "cannot be read: No such file"),
        (b"port = = 1", "is not TOML"),
        (b"port = \xff", "is not TOML"),
        (b"config = 'other.toml'", "names another one"),
    ],
)
def test_a_file_that_cannot_be_read_is_told_by_its_name(
    folder: Path, monkeypatch: pytest.MonkeyPatch, text: bytes | None, message: str
) -> None:
    path = folder / "mine.toml"
    if text is not None:
        path.write_bytes(text)
    monkeypatch.setenv("CARLENS_CONFIG", str(path))
    with pytest.raises(sources.SourceError, match=message) as caught:
        Settings()
    assert str(path) in str(caught.value)
