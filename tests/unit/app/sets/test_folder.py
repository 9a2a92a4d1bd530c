"""The folder of results: whole files or none, one set for each, and what failed."""

from pathlib import Path

import pytest

from app.sets import folder as folders
from app.sets.columns import Row, parquet, schema
from app.sets.folder import Folder, ForeignFolder, replacing
from app.sets.order import Shard
from tests.fakes import BrightnessAnswer
from tests.unit.app.sets.test_order import manifest, order

BAD = {"task": None, "code": "unreadable", "reason": "It is not there, or, who knows"}
FAILED = {"task": "brightness", "code": "prediction_failed", "reason": "It failed."}


def part(*rows: Row) -> bytes:
    return parquet(rows, schema({"brightness": BrightnessAnswer}))


@pytest.fixture
def folder(tmp_path: Path) -> Folder:
    folder = Folder(tmp_path / "out")
    folder.begin(manifest(order()))
    return folder


def test_it_is_gone_on_with_by_the_same_set_only(folder: Folder) -> None:
    folder.begin(manifest(order()))
    with pytest.raises(ForeignFolder, match=r"was begun with another shard \(was 2, is 3\): name a new folder"):
        folder.begin(manifest(order(), size=3))


def test_a_folder_of_other_things_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "thesis.txt").write_text("years of work")
    with pytest.raises(ForeignFolder, match=r"is not empty and has no manifest\.json"):
        Folder(tmp_path).begin(manifest(order()))
    (tmp_path / "manifest.json").write_text("{}")
    with pytest.raises(ForeignFolder, match="is not one of carlens"):
        Folder(tmp_path).begin(manifest(order()))


def test_a_shard_is_done_once_its_part_is_whole(folder: Folder) -> None:
    shard = Shard(1, ["a", "b"])
    assert not folder.has(shard)
    whole = part({"file": "a", "problems": []}, {"file": "b", "problems": []})
    for broken in (whole[:-10], part({"file": "a", "problems": []})):
        folder.part(1).write_bytes(broken)
        assert not folder.has(shard)
    folder.write(1, whole)
    assert folder.has(shard)
    assert sorted(path.name for path in folder.part(1).parent.iterdir()) == ["part-000001.parquet"]


def test_a_file_that_is_not_finished_takes_no_place(tmp_path: Path) -> None:
    (tmp_path / "list").write_text("before")

    def half() -> None:
        with replacing(tmp_path / "list") as file:
            file.write("half")
            raise RuntimeError("the power is gone")

    with pytest.raises(RuntimeError):
        half()
    assert (tmp_path / "list").read_text() == "before"


def test_the_bad_are_listed_from_all_parts_in_order(folder: Folder) -> None:
    folder.write(0, part({"file": "a", "problems": [BAD]}, {"file": "b", "problems": []}))
    folder.write(1, part({"file": "c", "problems": [FAILED, FAILED]}))
    assert folder.list_bad(2) == 2
    assert (folder.path / folders.BAD).read_bytes().decode().splitlines() == [
        "file,task,code,reason",
        'a,,unreadable,"It is not there, or, who knows"',
        "c,brightness,prediction_failed,It failed.",
        "c,brightness,prediction_failed,It failed.",
    ]
