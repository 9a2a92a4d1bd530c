"""`carlens card`, as a user calls it."""

import json
from pathlib import Path

import pytest
import typer

from models.manifest import find
from tests import weights
from tests.unit.training import found
from training import report
from training.commands.card import card


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Weights of one's own, of a name that no predictor has."""
    manifest = weights.manifest("attributes", labels={"color": found.COLORS})
    weights.write(tmp_path, manifest.model_copy(update={"name": "paint"}))
    return tmp_path


def test_the_card_is_printed(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    card("paint", weights=folder)
    shown = capsys.readouterr().out
    assert shown.startswith("# paint\n")
    assert shown.endswith("```\n")


def test_the_card_is_written_with_the_figures_of_a_report(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    manifest = find("paint", folder).manifest
    told = report.document(manifest, [found.head()], {"color": 0.5}, "carlens evaluate paint", None)
    (folder / "figures.json").write_text(json.dumps(told))
    card("paint", weights=folder, report=folder, output=folder / "paint.md")
    text = (folder / "paint.md").read_text()
    assert "| red | 2 | 0.500 | 0.500 | 0.500 |" in text
    assert capsys.readouterr().out == f"written: {folder / 'paint.md'}\n"


def test_a_users_mistake_is_one_line_and_status_2(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for name, given, expected in (
        ("rust", {}, "no weights for 'rust'"),
        ("paint", {"report": folder}, "figures.json: no such file"),
        ("paint", {"output": folder / "none" / "paint.md"}, "No such file"),
    ):
        with pytest.raises(typer.Exit) as caught:
            card(name, weights=folder, **given)
        assert caught.value.exit_code == 2
        told = capsys.readouterr().err
        assert told.startswith("carlens card: ")
        assert expected in told
