"""Which photos a source has: folders, patterns, tables and single files, here and in a store."""

from pathlib import Path

import fsspec
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from app.sets.sources import SourceError, listed, read
from tests.unit.app.sets.drawn import write


@pytest.fixture
def photos(tmp_path: Path) -> list[str]:
    """Two in a folder, one a level down, and a file that is none."""
    (tmp_path / "set").mkdir()
    (tmp_path / "set" / "notes.txt").write_text("no photo")
    return [str(path) for path in [*write(tmp_path / "set", 2), *write(tmp_path / "set" / "zz", 1)]]


def test_a_folder_gives_the_photos_in_it_and_below(tmp_path: Path, photos: list[str]) -> None:
    assert listed([str(tmp_path / "set")]) == photos
    assert listed([f"file://{tmp_path}/set"]) == photos


def test_a_pattern_gives_what_it_matches(tmp_path: Path, photos: list[str]) -> None:
    assert listed([f"{tmp_path}/set/*.png"]) == photos[:2]
    assert listed([f"{tmp_path}/set/**/*.png"]) == photos
    assert listed([f"{tmp_path}/set/z*"]) == photos[2:]


def test_a_name_that_looks_like_a_pattern_is_a_name(tmp_path: Path) -> None:
    odd = tmp_path / "car[1].png"
    write(tmp_path, 1)[0].rename(odd)
    assert listed([str(odd)]) == [str(odd)]


def test_each_photo_is_there_once_in_the_order_of_names(tmp_path: Path, photos: list[str]) -> None:
    assert listed([photos[2], f"{tmp_path}/set/*.png", photos[0], str(tmp_path / "set")]) == photos


def test_a_relative_source_is_told_in_full(photos: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert listed(["set"]) == photos


def test_a_csv_names_photos_beside_it_anywhere_and_elsewhere(tmp_path: Path, photos: list[str]) -> None:
    table = tmp_path / "set" / "list.csv"
    lines = ["label,path", "a,photo-000.png", f"b,{photos[1]}", "c,zz/../zz/photo-000.png", "d,memory://far/car.jpg"]
    table.write_text("\ufeff" + "\n".join([*lines, "e,"]) + "\n", encoding="utf-8")
    assert listed([str(table)]) == [*photos, "memory:///far/car.jpg"]


def test_a_parquet_names_photos(tmp_path: Path, photos: list[str]) -> None:
    pq.write_table(pa.table({"id": [1, 2], "file": ["photo-001.png", None]}), tmp_path / "set" / "list.parquet")
    assert listed([str(tmp_path / "set" / "list.parquet")]) == photos[1:2]


def test_the_only_column_may_be_called_anything(tmp_path: Path, photos: list[str]) -> None:
    (tmp_path / "list.csv").write_text("whatever\nset/photo-000.png\n")
    assert listed([str(tmp_path / "list.csv")]) == photos[:1]


def test_photos_in_a_store(photos: list[str]) -> None:
    store = fsspec.filesystem("memory")
    store.pipe({"/store/b.jpg": b"bb", "/store/a/a.JPG": b"a", "/store/list.csv": b"file\nb.jpg\na/a.JPG\n"})
    try:
        both = ["memory:///store/a/a.JPG", "memory:///store/b.jpg"]
        assert listed(["memory://store"]) == both
        assert listed(["memory://store/*.jpg"]) == both[1:]
        assert listed(["memory://store/list.csv"]) == both
        assert [read(name, 10) for name in both] == [b"a", b"bb"]
    finally:
        store.rm("/store", recursive=True)


def test_no_more_is_read_than_tells_that_it_is_too_much(tmp_path: Path) -> None:
    (tmp_path / "large.jpg").write_bytes(bytes(100))
    assert len(read(str(tmp_path / "large.jpg"), 10)) == 11


@pytest.mark.parametrize(
    ("source", "message"),
    [
        ("absent", "absent does not exist"),
        ("*.jpg", "nothing is called"),
        ("nosuch://bucket/a.jpg", "Protocol not known: nosuch"),
        ("two.csv", "has a, b: call the column of paths file or path or url"),
        ("broken.parquet", "broken.parquet cannot be listed"),
    ],
)
def test_what_cannot_be_listed_is_told(
    source: str, message: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "two.csv").write_text("a,b\n1,2\n")
    (tmp_path / "broken.parquet").write_bytes(b"not parquet")
    monkeypatch.chdir(tmp_path)
    with pytest.raises(SourceError, match=message.replace("*", r"\*")):
        listed([source])
