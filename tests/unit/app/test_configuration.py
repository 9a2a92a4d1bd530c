"""Wrong settings are told all at once and by name; what is shown of right ones holds no secret."""

from pathlib import Path

import pytest
from pydantic import SecretStr

from app import configuration
from app.configuration import HIDDEN, Origin, WrongSettings
from app.settings import Settings

BEGIN, END = (f"<!-- written by `carlens settings --write`: {which} -->\n" for which in ("begin", "end"))


def lines(**given: object) -> list[str]:
    with pytest.raises(WrongSettings) as caught:
        configuration.read(given)
    assert str(caught.value) == "\n".join(caught.value.lines)
    return caught.value.lines


def test_every_wrong_setting_is_told_with_where_it_was_set_to_what_and_what_it_is(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CARLENS_PORT", "ht\ntp")
    (tmp_path / ".env").write_text("CARLENS_QUEUE_LIMIT=0\n")
    (tmp_path / "carlens.toml").write_text("max_deadline_ms = 5000\nlog_level = 'loud'\n")
    found = lines(workers=-1)
    assert len(found) == 5
    starts = [
        "CARLENS_PORT='ht\\ntp' (environment): input should be a valid integer",
        "CARLENS_WORKERS='-1' (command line): input should be greater than or equal to 0",
        "CARLENS_QUEUE_LIMIT='0' (.env): input should be greater than or equal to 1. Items waiting per predictor",
        "CARLENS_DEFAULT_DEADLINE_MS='10000' (default): default_deadline_ms (10000) is over max_deadline_ms (5000)",
        f"log_level='loud' ({tmp_path / 'carlens.toml'}): input should be 'critical', 'error', 'warning', 'info' or",
    ]
    for start, line in zip(starts, found, strict=True):
        assert line.replace(str(tmp_path / ".env"), ".env").startswith(start)
        assert "\n" not in line


@pytest.mark.parametrize(
    ("variable", "remedy"),
    [
        ("CARLENS_PRT", "Did you mean CARLENS_PORT?"),
        ("CARLENS_LOGLEVEL", "Did you mean CARLENS_LOG_LEVEL?"),
        ("CARLENS_XYZ", "`carlens settings` lists them all."),
        ("CARLENS_SERVICE_HOST", "enableServiceLinks: false"),
        ("CARLENS_PORT_8000_TCP_ADDR", "enableServiceLinks: false"),
    ],
)
def test_an_unknown_variable_is_told_with_the_nearest_and_without_its_value(
    monkeypatch: pytest.MonkeyPatch, variable: str, remedy: str
) -> None:
    monkeypatch.setenv(variable, "pa55word")
    (line,) = lines()
    assert line.startswith(f"{variable} (environment): there is no such setting.")
    assert remedy in line
    assert "pa55word" not in line


def test_an_unknown_name_in_the_file_is_told_in_the_files_words(tmp_path: Path) -> None:
    (tmp_path / "carlens.toml").write_text("prt = 1\n")
    assert lines() == [f"prt ({tmp_path / 'carlens.toml'}): there is no such setting. Did you mean port?"]


def test_a_file_that_is_not_there_is_a_line_too(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CARLENS_CONFIG", "/nowhere/carlens.toml")
    (line,) = lines()
    assert "/nowhere/carlens.toml cannot be read" in line


def test_where_each_setting_comes_from(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CARLENS_PORT", "1")
    file = tmp_path / "carlens.toml"
    file.write_text("port = 2\ngrace_s = 3\n")
    assert configuration.origins({"host": "::1"}) == {
        "host": Origin("CARLENS_HOST", "command line"),
        "port": Origin("CARLENS_PORT", "environment"),
        "grace_s": Origin("grace_s", str(file)),
    }


def test_no_secret_is_shown(monkeypatch: pytest.MonkeyPatch) -> None:
    field = Settings.model_fields["host"]
    assert configuration.shown("host", "redis://user:pa55word@box:1/0") == f"redis://{HIDDEN}@box:1/0"
    monkeypatch.setattr(field, "annotation", SecretStr | None)
    assert configuration.shown("host", "pa55word") == HIDDEN
    assert configuration.shown("no_setting", "pa55word") == HIDDEN
    assert configuration.shown("predictors", ["damage", "parts"]) == "damage,parts"


def test_the_table_is_written_between_its_marks_and_nowhere_else() -> None:
    page = f"before\n{BEGIN}stale\n{END}after\n"
    written = configuration.written(page)
    assert written.startswith("before\n")
    assert written.endswith("after\n")
    assert "stale" not in written
    assert configuration.written(written) == written
    rows = [line.split(" | ")[0] for line in written.splitlines() if line.startswith("| `")]
    assert rows == [f"| `CARLENS_{name.upper()}`" for name in Settings.model_fields]


@pytest.mark.parametrize("page", ["", BEGIN, END])
def test_a_page_without_marks_is_not_written(page: str) -> None:
    with pytest.raises(ValueError, match="lacks the lines"):
        configuration.written(page)
