"""`carlens prelabel`: a predictor's answers on a folder, as files that CVAT and the readers take."""

from collections.abc import Callable
from functools import partial
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from tests.fakes import Brightness
from tests.unit.training.commands.running import run
from tests.unit.training.test_prelabel import LABELS, Bright, plain
from training.commands.prelabel import prelabel
from training.data import coco, datumaro
from training.data.annotated import Labels
from training.data.archive import Archive


def giving(predictor: Any) -> Callable[[], Any]:
    return lambda: predictor


@pytest.fixture(autouse=True)
def installed(monkeypatch: pytest.MonkeyPatch) -> None:
    """Two predictors and no torch."""
    given = {"bright": Bright(), "brightness": Brightness()}
    points = [SimpleNamespace(name=name, value="tests", load=partial(giving, one)) for name, one in given.items()]
    monkeypatch.setattr("models.registry.entry_points", lambda group: points)
    monkeypatch.setattr("training.commands.prelabel.resolve_device", lambda device: "cpu")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A bright photo, a dark one a level down, a broken one."""
    (tmp_path / "photos" / "deep").mkdir(parents=True)
    (tmp_path / "photos" / "a.png").write_bytes(plain(255))
    (tmp_path / "photos" / "deep" / "b.png").write_bytes(plain(51))
    (tmp_path / "photos" / "c.png").write_bytes(b"no photo")
    return tmp_path / "photos"


def test_datumaro_is_read_back(folder: Path, tmp_path: Path) -> None:
    path = tmp_path / "out.json"
    code, out, err = run(prelabel, folder, "--task", "bright", "--output", path)
    assert code == 0
    assert f"2 photos, 1 annotations: {path}" in out
    assert err.startswith("c.png: left out, the photo cannot be read")
    first, second = datumaro.read(path, Labels(LABELS), Archive(folder))
    assert (first.file, second.file) == ("a.png", "deep/b.png")
    assert [(one.label, one.box(), one.attributes) for one in first.instances] == [(1, (0, 0, 30, 40), {"score": 1.0})]
    assert second.instances == []


def test_coco_is_read_back_with_its_results(folder: Path, tmp_path: Path) -> None:
    path = tmp_path / "out.json"
    arguments = ("--task", "bright", "--format", "coco", "--min-score", "0.1", "--output", path)
    assert run(prelabel, folder, *arguments)[0] == 0
    found = coco.read(path, LABELS)
    assert [one.attributes["score"] for photo in found for one in photo.instances] == [1.0, 0.2]
    assert (tmp_path / "out_results.json").exists()


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (["--task", "nothing"], "no predictor nothing: installed are bright, brightness"),
        (["--task", "brightness"], "brightness: its answers hold nothing that can be annotated"),
        (["--task", "bright", "--output", "{folder}"], "cannot be written"),
    ],
)
def test_wrong_usage_is_a_sentence_and_exit_2(
    folder: Path, tmp_path: Path, arguments: list[str], expected: str
) -> None:
    given = [argument.format(folder=folder) for argument in arguments]
    code, _, err = run(prelabel, folder, "--output", tmp_path / "out.json", *given)
    assert code == 2
    assert expected in err
    assert "Traceback" not in err


def test_a_folder_without_photos(tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    code, _, err = run(prelabel, tmp_path / "empty", "--task", "bright", "--output", tmp_path / "out.json")
    assert code == 2
    assert "empty: there is no photo in it" in err
