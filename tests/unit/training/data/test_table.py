"""Label tables: rows of one split, and what is wrong told with its line."""

from pathlib import Path

import pytest

from training.data import table
from training.data.annotated import Labels

LABELS = ["red", "blue"]


def write(folder: Path, text: str) -> Path:
    path = folder / "color.csv"
    path.write_text(text)
    return path


def test_rows_of_a_split_with_all_the_table_says(tmp_path: Path) -> None:
    path = write(
        tmp_path, "file,color,split,kind\na.webp,blue,train,photo\nb.webp,red,val,photo\n\nc.webp,red,train,\n"
    )
    rows = table.read(path, "color", LABELS, "val")
    assert [(row.file, row.label) for row in rows] == [("b.webp", 0)]
    assert rows[0].extra["kind"] == "photo"
    path = write(tmp_path, 'split,file,color\ntrain,"c, d.webp",red\ntrain,a.webp,blue\n')
    assert [(row.file, row.label) for row in table.read(path, "color", LABELS, "train")] == [
        ("c, d.webp", 0),
        ("a.webp", 1),
    ]


def test_an_unknown_label_is_told_with_its_line(tmp_path: Path) -> None:
    path = write(tmp_path, "file,color,split\na.webp,blue,train\nb.webp,pink,train\n")
    with pytest.raises(ValueError, match=r"color\.csv, line 3: color 'pink' is not one of red, blue"):
        table.read(path, "color", LABELS, "train")
    # The other split is not asked for.
    assert table.read(path, "color", LABELS, "val") == []


@pytest.mark.parametrize(
    ("header", "missing"), [("file,colour,split", "color"), ("color,split", "file"), ("name", "color, file, split")]
)
def test_a_missing_column_is_named(tmp_path: Path, header: str, missing: str) -> None:
    with pytest.raises(ValueError, match=rf"color\.csv: column {missing} is missing"):
        table.read(write(tmp_path, f"{header}\n"), "color", LABELS, "train")


def test_an_empty_file_misses_all_columns(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="column color, file, split is missing"):
        table.read(write(tmp_path, ""), "color", LABELS, "train")


def test_a_file_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match=r"color\.csv"):
        table.read(tmp_path / "color.csv", "color", LABELS, "train")


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("b.webp,red,trian", "split 'trian' is not one of train, val, test"),
        ("b.webp,red", "split None is not one of"),
        ("b.webp,red,train,more", "more cells than columns"),
        (",red,train", "the name of the file is empty"),
    ],
)
def test_a_broken_line_is_told(tmp_path: Path, line: str, expected: str) -> None:
    path = write(tmp_path, f"file,color,split\na.webp,blue,train\n{line}\n")
    with pytest.raises(ValueError, match=rf"color\.csv, line 3: {expected}"):
        table.read(path, "color", LABELS, "train")


def test_all_that_is_broken_is_told_at_once(tmp_path: Path) -> None:
    path = write(tmp_path, "file,color,split\na,pink,train\nb,grey,train\nc,red,train\n")
    with pytest.raises(ValueError, match="2 problems") as caught:
        table.read(path, "color", LABELS, "train")
    assert "line 2: color 'pink'" in str(caught.value)
    assert "line 3: color 'grey'" in str(caught.value)


def test_labels_may_be_renamed(tmp_path: Path) -> None:
    path = write(tmp_path, "file,color,split\na,navy,train\n")
    assert table.read(path, "color", Labels(LABELS, {"navy": "blue"}), "train")[0].label == 1
