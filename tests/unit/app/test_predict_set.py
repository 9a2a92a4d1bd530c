"""`carlens predict --out`: every photo once, none missing, across a kill; what is bad is listed and stops nothing."""

import csv
import os
import re
import subprocess
import sys
from collections import Counter
from pathlib import Path
from typing import Any

import fsspec
import pyarrow.parquet as pq
import pytest

from app.schemas import AnyPredictor
from models.predictor import Arrays
from tests.contract.plugin import installed
from tests.fakes import Brightness, photo
from tests.unit.app.sets import killer
from tests.unit.app.sets.drawn import color, write
from tests.unit.app.test_cli import install, run

COMMAND = (sys.executable, "-c", "from app.cli import main; main()", "predict")
KILLED = -9


@pytest.fixture
def fake(monkeypatch: pytest.MonkeyPatch) -> Brightness:
    one = Brightness()
    install(monkeypatch, {"brightness": one, "plain": Brightness("plain", drawable=False)})
    return one


def rows(out: Path) -> list[dict[str, Any]]:
    parts = sorted((out / "answers").iterdir())
    return [row for part in parts for row in pq.read_table(part).to_pylist(maps_as_pydicts="strict")]


def bad(out: Path) -> list[dict[str, str]]:
    with (out / "bad.csv").open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def kept(out: Path) -> dict[str, bytes]:
    return {str(path.relative_to(out)): path.read_bytes() for path in out.rglob("*") if path.is_file()}


def brightness(row: dict[str, Any]) -> tuple[int, ...]:
    return tuple(round(value) for value in row["brightness"]["channels"])


def test_a_folder_becomes_parquet_in_the_order_of_names(fake: AnyPredictor, tmp_path: Path) -> None:
    files = write(tmp_path / "set", 5)
    code, out, err = run("predict", tmp_path / "set", "--out", tmp_path / "out", "--shard", "2")
    assert (code, out) == (0, "")
    assert err.startswith(f"5 photos are done in {tmp_path / 'out'}. 5 of them now")
    told = rows(tmp_path / "out")
    assert [row["file"] for row in told] == [str(path) for path in files]
    assert [brightness(row) for row in told] == [color(number) for number in range(5)]
    assert {(row["width"], row["height"]) for row in told} == {(16, 12)}
    assert sorted(kept(tmp_path / "out")) == [
        *(f"answers/part-00000{number}.parquet" for number in range(3)),
        "bad.csv",
        "manifest.json",
    ]


def test_what_is_bad_is_listed_and_the_rest_is_answered(fake: Brightness, tmp_path: Path) -> None:
    write(tmp_path / "set", 2)
    (tmp_path / "set" / "aa.jpg").write_bytes(b"no photo at all")
    (tmp_path / "set" / "white.png").write_bytes(photo(8, 8, "PNG", (255, 255, 255)))
    names = ("white.png", "photo-000.png", "aa.jpg", "absent.jpg", "photo-001.png")
    (tmp_path / "list.csv").write_text("\n".join(["file", *(f"set/{name}" for name in names)]))

    def sighted(mean: float) -> float:
        if mean > 250:
            raise ValueError("blinded")
        return mean

    fake.mean = sighted
    code, _, err = run("predict", tmp_path / "list.csv", "--out", tmp_path / "out", "--shard", "3")
    assert code == 0
    assert f"5 photos are done in {tmp_path / 'out'}; 3 of them with problems, listed in" in err
    assert [(Path(one["file"]).name, one["task"], one["code"]) for one in bad(tmp_path / "out")] == [
        ("aa.jpg", "", "unsupported_media_type"),
        ("absent.jpg", "", "unreadable"),
        ("white.png", "brightness", "prediction_failed"),
    ]
    told = rows(tmp_path / "out")
    assert [row["brightness"] is not None for row in told] == [False, False, True, True, False]
    assert [row["plain"] is not None for row in told] == [False, False, True, True, True]
    fake.mean = float
    assert run("predict", tmp_path / "out" / "bad.csv", "--out", tmp_path / "again")[0] == 0
    assert [Path(one["file"]).name for one in bad(tmp_path / "again")] == ["aa.jpg", "absent.jpg"]
    assert len(rows(tmp_path / "again")) == 3


def test_a_store_is_a_source(fake: AnyPredictor, tmp_path: Path) -> None:
    store = fsspec.filesystem("memory")
    store.pipe({f"/cars/{number}.png": photo(8, 8, "PNG", color(number)) for number in range(3)})
    try:
        assert run("predict", "memory://cars/*.png", "--out", tmp_path / "out", "--task", "brightness")[0] == 0
    finally:
        store.rm("/cars", recursive=True)
    told = rows(tmp_path / "out")
    assert [row["file"] for row in told] == [f"memory:///cars/{number}.png" for number in range(3)]
    assert [brightness(row) for row in told] == [color(number) for number in range(3)]


def test_a_kill_midway_costs_no_photo_and_doubles_none(tmp_path: Path) -> None:
    photos = write(tmp_path / "set", 20)
    photos[13].write_bytes(photo(16, 12, "PNG", killer.DEADLY))
    photos[5].write_bytes(b"broken")
    environment = installed(tmp_path, "brightness = tests.unit.app.sets.killer:Killer")
    environment = {**os.environ, **environment, killer.FOLDER: str(tmp_path)}

    def go(out: str) -> int:
        given = ("set", "--out", out, "--shard", "4")
        with (tmp_path / "told").open("w") as told:
            return subprocess.run(
                (*COMMAND, *given), env=environment, cwd=tmp_path, stderr=told, check=False
            ).returncode

    assert go("unbroken") == 0
    (tmp_path / killer.SEEN).unlink()
    (tmp_path / killer.ARMED).touch()
    assert go("out") == KILLED
    before = kept(tmp_path / "out")
    done = {name for name in before if name.endswith(".parquet") and not Path(name).name.startswith(".")}
    assert {f"answers/part-00000{number}.parquet" for number in (0, 1)} <= done
    assert len(done) < 4
    assert go("out") == 0
    after = kept(tmp_path / "out")
    assert after == kept(tmp_path / "unbroken")
    assert {name: after[name] for name in done} == {name: before[name] for name in done}
    files = [row["file"] for row in rows(tmp_path / "out")]
    assert files == [str(path) for path in photos]
    assert [one["file"] for one in bad(tmp_path / "out")] == [str(photos[5])]
    seen = Counter((tmp_path / killer.SEEN).read_text().splitlines())
    of_done = [" ".join(map(str, color(number))) for number in range(4 * len(done)) if number != 5]
    assert [seen[one] for one in of_done] == [1] * len(of_done)


def test_a_finished_set_is_not_answered_again(fake: Brightness, tmp_path: Path) -> None:
    write(tmp_path / "set", 3)
    asked = ("predict", tmp_path / "set", "--out", tmp_path / "out", "--task", "brightness")
    assert run(*asked)[0] == 0
    fake.rows = 0
    code, _, err = run(*asked)
    assert (code, fake.rows) == (0, 0)
    assert err == f"3 photos are done in {tmp_path / 'out'}.\n"


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["set", "--shard", "2"], "shard (was 500, is 2)"),
        (["set", "--min-score", "0.9"], "options (was {}, is {'min_score': 0.9})"),
        (["set", "--task", "plain"], "tasks"),
        (["set/photo-000.png"], "photos (was 3, is 1)"),
    ],
)
def test_another_set_is_not_mixed_in(
    fake: Brightness, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, arguments: list[str], message: str
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "1000")
    write(Path("set"), 3)
    assert run("predict", "set", "--out", "out")[0] == 0
    before = kept(Path("out"))
    code, _, err = run("predict", *arguments, "--out", "out")
    assert code == 2
    assert message in err
    assert kept(Path("out")) == before


class Dying(Brightness):
    """Its device dies of a white photo, as long as `mortal`."""

    mortal = True

    def run(self, batch: Arrays) -> Arrays:
        if self.mortal and (batch["pixels"] == 255).all(axis=(1, 2, 3)).any():
            raise SystemExit("the driver is gone")
        return super().run(batch)


def test_a_device_that_dies_ends_the_run_and_blames_no_photo(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    dying = Dying()
    install(monkeypatch, {"brightness": dying})
    write(tmp_path / "set", 6)[4].write_bytes(photo(8, 8, "PNG", (255, 255, 255)))
    asked = ("predict", tmp_path / "set", "--out", tmp_path / "out", "--shard", "2")
    code, _, err = run(*asked)
    assert code == 1
    assert "the same command goes on from there" in err
    assert {path.name for path in (tmp_path / "out" / "answers").iterdir()} >= {"part-000000.parquet"}
    assert not (tmp_path / "out" / "answers" / "part-000002.parquet").exists()
    dying.mortal = False
    assert run(*asked)[0] == 0
    assert bad(tmp_path / "out") == []
    assert len(rows(tmp_path / "out")) == 6


def test_a_predictor_that_does_not_load_ends_the_run(fake: Brightness, tmp_path: Path) -> None:
    write(tmp_path / "set", 1)
    fake.fail_load = FileNotFoundError("the weights are gone")
    code, _, err = run("predict", tmp_path / "set", "--out", tmp_path / "out")
    assert code == 1
    assert "the weights are gone" in err
    assert not list((tmp_path / "out" / "answers").iterdir())


@pytest.mark.parametrize("missing", ["fsspec", "pyarrow"])
def test_what_is_not_installed_is_one_line(
    fake: Brightness, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, missing: str
) -> None:
    write(tmp_path / "set", 1)
    for name in [name for name in sys.modules if name.startswith(("app.sets", "app.commands.predict_set", missing))]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, missing, None)
    code, _, err = run("predict", tmp_path / "set", "--out", tmp_path / "out")
    assert code == 1
    assert re.fullmatch(rf'carlens: --out needs {missing}\S*: pip install "carlens\[sets\]"\n', err)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["set", "--out", "out", "--json"], "goes without --save-annotated and --json"),
        (["set", "--format", "coco"], "--engine and --format go with it"),
        (["set", "--engine", "ray"], "--engine and --format go with it"),
        (["set", "--out", "out", "--format", "coco"], "none of these predictors finds things with a box"),
        (["absent", "--out", "out"], "absent does not exist"),
        (["empty", "--out", "out"], "there is no photo in these sources"),
    ],
)
def test_wrong_usage_is_exit_2_and_writes_nothing(
    fake: Brightness, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, arguments: list[str], message: str
) -> None:
    monkeypatch.chdir(tmp_path)
    write(Path("set"), 1)
    Path("empty").mkdir()
    code, _, err = run("predict", *arguments)
    assert code == 2
    assert message in err
    assert not Path("out").exists()
