"""`carlens find-rate` from end to end on the tiny task."""

from pathlib import Path
from typing import Any

import pytest
import typer

from tests.unit.training.tiny import Tiny
from training import tasks
from training.commands.find_rate import find_rate
from training.recipe import FOLDER, Recipe


@pytest.fixture
def recipe(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """A recipe on disk, for which the tiny task is made."""

    def create(recipe: Recipe, data: Path, work: Path) -> Tiny:
        return Tiny(recipe)

    monkeypatch.setattr(tasks, "create", create)
    path = tmp_path / "own.toml"
    changes = {"sizes = [[0.0, 320]]": "sizes = [[0.0, 8]]", "batch = 8": "batch = 4"}
    text = (FOLDER / "damage.toml").read_text()
    for old, new in changes.items():
        assert old in text
        text = text.replace(old, new)
    path.write_text(text)
    return str(path)


def test_it_suggests_rates_and_writes_two_files(
    recipe: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "run"
    find_rate(recipe, data=tmp_path, out=out, steps=60, low=1e-4, high=1e3, device="cpu", precision="fp32")
    assert {path.name for path in out.iterdir()} == {"rates.csv", "rates.png"}
    told = " ".join(capsys.readouterr().out.split())
    assert "the loss burst at a rate of" in told
    assert "one cycle: --set rate=" in told
    assert "--set schedule.name=triangular --set schedule.base=" in told
    assert "half of the rate at which the smoothed loss was lowest" in told


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"low": 0.0}, "do not rise from above 0"),
        ({"steps": 3}, "3 steps are too few"),
        ({"device": "tpu"}, "unknown device 'tpu'"),
        ({"set_": ["epochs"]}, "write key=value"),
        ({"low": 1e-9, "high": 1e-8, "steps": 20}, "the loss did not fall at any rate"),
    ],
)
def test_a_users_mistake_is_one_line_and_status_2(
    recipe: str, tmp_path: Path, capsys: pytest.CaptureFixture[str], changes: dict[str, Any], expected: str
) -> None:
    with pytest.raises(typer.Exit) as caught:
        find_rate(recipe, data=tmp_path, out=tmp_path / "run", **changes)
    assert caught.value.exit_code == 2
    told = capsys.readouterr().err
    assert told.startswith("carlens find-rate: ")
    assert expected in told
