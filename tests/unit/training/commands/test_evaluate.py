"""`carlens evaluate`, as a user calls it, on tiny weights of random numbers."""

import json
from pathlib import Path
from typing import Any

import pytest
import typer

from tests import weights
from tests.unit.training import drawn
from training import doubtful
from training import recipe as recipes
from training.commands.evaluate import evaluate


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Weights called `paint`, of a kind with heads."""
    path = tmp_path_factory.mktemp("weights")
    heads = recipes.read("attributes").task["heads"]
    labels = {name: head["labels"] for name, head in heads.items()}
    training = weights.manifest("attributes").training.model_copy(update={"recipe": "attributes"})
    manifest = weights.manifest("attributes", labels=labels, training=training).model_copy(update={"name": "paint"})
    weights.write(path, manifest, weights.random_state(manifest))
    return path


@pytest.fixture
def shown(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("COLUMNS", "120")
    monkeypatch.chdir(tmp_path)


def call(folder: Path, data: Path, **given: Any) -> None:
    evaluate("paint", data=data, weights=folder, device="cpu", **given)


@pytest.mark.usefixtures("shown")
def test_a_report_is_written_and_figures_are_shown(
    folder: Path, data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    table = tmp_path / "doubted.csv"
    table.write_text("file,given,why\nval/red.png,red,orange\nval/none.png,red,x\n")
    call(folder, data, report=tmp_path / "report", doubtful=table)
    out, err = capsys.readouterr()
    told = json.loads((tmp_path / "report" / "figures.json").read_text())
    for name, value in told["figures"].items():
        assert name in out
        assert str(value) in out
    assert "precision" in out
    assert "front_left" in out
    assert f"written: {tmp_path / 'report' / 'report.html'}" in out
    assert told["command"] == "carlens evaluate paint --data DATA"
    assert told["doubtful"]["photos"] == 1
    assert told["doubtful"]["figures"].keys() == told["figures"].keys()
    assert told["heads"]["color"]["photos"] == 2
    assert f"1 of 2 rows name no validation photo with that label, the first is {table}, line 3: val/none.png" in err
    assert sorted(path.name for path in tmp_path.iterdir()) == ["doubted.csv", "report"]


@pytest.mark.usefixtures("shown")
def test_the_provided_table_of_doubts_is_read(
    folder: Path, data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(doubtful, "FOLDER", tmp_path)
    (tmp_path / "paint.csv").write_text("file,given,why\nval/blue.png,blue,violet\n")
    call(folder, data)
    assert "without 1 photos whose label is doubted in training/data/doubtful/paint.csv:" in capsys.readouterr().out


@pytest.mark.usefixtures("shown")
def test_the_provided_table_is_read_for_instances_too(
    data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(doubtful, "FOLDER", tmp_path)
    (tmp_path / "damage.csv").write_text("file,given,why\n1.png,,the dent is unlabelled\n")
    labels = {"label": recipes.read("damage").task["labels"]}
    manifest = weights.manifest("damage", labels=labels)
    manifest = manifest.model_copy(update={"training": manifest.training.model_copy(update={"recipe": "damage"})})
    weights.write(tmp_path / "weights", manifest, weights.random_state(manifest))
    evaluate("damage", data=data, weights=tmp_path / "weights", device="cpu", report=tmp_path / "report")
    out, err = capsys.readouterr()
    assert "without 1 photos whose label is doubted in training/data/doubtful/damage.csv:" in out
    assert "name no validation photo" not in err
    told = json.loads((tmp_path / "report" / "figures.json").read_text())
    assert told["doubtful"]["photos"] == 1
    assert told["doubtful"]["figures"].keys() == told["figures"].keys()


@pytest.mark.usefixtures("shown")
def test_a_users_mistake_is_one_line_and_status_2(
    folder: Path, data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "file").write_text("")
    every = tmp_path / "every.csv"
    rows = [f"val/{name}.png,," for name in drawn.COLORS]
    every.write_text("\n".join(["file,given,why", *rows]))
    for given, expected in (
        ({"doubtful": tmp_path / "none.csv"}, "none.csv: no such file"),
        ({"doubtful": tmp_path / "file"}, "column file, given, why is missing"),
        ({"doubtful": every}, "every photo of color is doubted"),
        ({"report": tmp_path / "file"}, "File exists"),
        ({"recipe": "damage"}, "the recipe is of kind 'instances', the weights are of kind 'heads'"),
        ({"recipe": "paint"}, "no recipe 'paint'"),
    ):
        with pytest.raises(typer.Exit) as caught:
            call(folder, data, **given)
        assert caught.value.exit_code == 2
        told = capsys.readouterr().err
        assert told.startswith("carlens evaluate: ")
        assert expected in told
