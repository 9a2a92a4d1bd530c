"""Tables of doubted labels."""

from pathlib import Path

import pytest

from training import doubtful


def table(folder: Path, text: str) -> Path:
    path = folder / "doubted.csv"
    path.write_text(text)
    return path


def test_a_row_holds_for_its_photo_and_its_label(tmp_path: Path) -> None:
    doubts = doubtful.read(table(tmp_path, "file,given,why\na.png,red,it is orange\nb.png,,blurred\n"))
    assert doubts.holds("a.png", "red")
    assert not doubts.holds("a.png", "sedan")  # another head's label of the same photo
    assert doubts.holds("a.png", "")  # whatever label
    assert doubts.holds("b.png", "blue")  # no label named: any
    assert not doubts.holds("c.png", "red")


def test_rows_that_name_no_photo_are_known(tmp_path: Path) -> None:
    path = table(tmp_path, "file,given,why\na.png,red,x\nb.png,blue,x\n")
    doubts = doubtful.read(path)
    assert doubts.holds("a.png", "red")
    assert not doubts.holds("b.png", "green")
    assert [row.where for row in doubts.unmet()] == [f"{path}, line 3"]


@pytest.mark.parametrize(
    ("text", "expected"),
    [("file,why\na.png,x\n", "column given is missing"), ("file,given,why\na.png,red,x\n,red,x\n", "line 3: no file")],
)
def test_a_broken_table_is_told_by_file_and_line(tmp_path: Path, text: str, expected: str) -> None:
    with pytest.raises(ValueError, match=expected) as caught:
        doubtful.read(table(tmp_path, text))
    assert "doubted.csv" in str(caught.value)


def test_a_missing_table_is_told(tmp_path: Path) -> None:
    with pytest.raises(
        FileNotFoundError, match=r"none\.csv: no such file; expected a CSV with the columns file, given"
    ):
        doubtful.read(tmp_path / "none.csv")


def test_the_provided_table_is_found_by_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(doubtful, "FOLDER", tmp_path)
    assert doubtful.provided("doubted") is None
    table(tmp_path, "file,given,why\na.png,red,x\n")
    found = doubtful.provided("doubted")
    assert found
    assert found.rows[0].why == "x"


@pytest.mark.parametrize("name", ["attributes", "car_details", "damage"])
def test_a_table_that_comes_with_the_data_is_whole(name: str) -> None:
    doubts = doubtful.provided(name)
    assert doubts
    pairs = [(row.file, row.given) for row in doubts.rows]
    assert pairs == sorted(set(pairs))  # none twice
    assert all(row.why for row in doubts.rows)
    assert {bool(row.given) for row in doubts.rows} == {name != "damage"}  # outlines have no one label
