"""`carlens sample`: the list of photos, labels for CVAT, copies where asked for."""

import csv
import json
import zipfile
from pathlib import Path

import pytest

from tests.unit.training.commands.running import run
from tests.unit.training.data import sets
from training.commands.sample import sample


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    root = sets.photos(tmp_path / "photos", [f"{place}/{n}.png" for place in "ab" for n in range(4)])
    (root / "a" / "broken.png").write_bytes(b"no photo")
    return root


def listed(output: Path) -> list[dict[str, str]]:
    with (output / "photos.csv").open(newline="") as file:
        return list(csv.DictReader(file))


def test_a_list_of_photos_and_labels(folder: Path, tmp_path: Path) -> None:
    output = tmp_path / "out"
    code, out, err = run(sample, folder, "--count", "20", "--output", output, "--labels", "damage")
    assert code == 0
    assert err.startswith("a/broken.png: left out, the photo cannot be read: ")
    assert "8 photos chosen, left out 0 near-duplicates and 1 broken ones" in out
    rows = listed(output)
    assert sorted(row["file"] for row in rows) == [f"{place}/{n}.png" for place in "ab" for n in range(4)]
    assert all(len(row["hash"]) == 16 and int(row["hash"], 16) for row in rows)
    assert "dent" in [label["name"] for label in json.loads((output / "labels.json").read_text())]
    assert not (output / "photos").exists()


def test_the_seed_and_the_count_are_kept(folder: Path, tmp_path: Path) -> None:
    chosen = []
    for n, seed in enumerate(["3", "3", "4"]):
        run(sample, folder, "--count", "4", "--seed", seed, "--output", tmp_path / str(n))
        chosen.append([row["file"] for row in listed(tmp_path / str(n))])
    assert chosen[0] == chosen[1] != chosen[2]
    assert [len(names) for names in chosen] == [4, 4, 4]
    assert not (tmp_path / "0" / "labels.json").exists()


def test_copies_keep_their_folders(folder: Path, tmp_path: Path) -> None:
    output = tmp_path / "out"
    assert run(sample, folder, "--count", "3", "--output", output, "--copy")[0] == 0
    for row in listed(output):
        assert (output / "photos" / row["file"]).read_bytes() == (folder / row["file"]).read_bytes()
    assert len(list((output / "photos").rglob("*.png"))) == 3


def test_a_zip_whose_names_lead_out_is_refused(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "photos.zip", "w") as file:
        file.writestr("../evil.png", sets.encoded())
    code, _, err = run(sample, tmp_path / "photos.zip", "--output", tmp_path / "out", "--copy")
    assert code == 2
    assert "the name '../evil.png' leads out of the folder" in err
    assert not (tmp_path / "out" / "evil.png").exists()


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (["nowhere"], "neither nowhere.zip nor the folder nowhere exists"),
        (["{folder}/a", "--labels", "nothing"], "'nothing' is neither weights nor a recipe"),
        (["{folder}/empty"], "empty: no photo in it that can be read"),
    ],
)
def test_wrong_usage_is_a_sentence_and_exit_2(
    folder: Path, tmp_path: Path, arguments: list[str], expected: str
) -> None:
    (folder / "empty").mkdir()
    given = [argument.format(folder=folder) for argument in arguments]
    code, _, err = run(sample, *given, "--output", tmp_path / "out")
    assert code == 2
    assert expected in err
    assert not (tmp_path / "out").exists()
