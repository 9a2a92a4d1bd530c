"""The label table of Stanford Cars: 196 labels, each split once into make, model and year."""

import re
from pathlib import Path

import pytest

from training import recipe as recipes
from training.data import label_table

PATH = label_table.PROVIDED / "stanford_cars.csv"


@pytest.fixture(scope="module")
def rows() -> list[dict[str, str | int | None]]:
    return label_table.read(PATH)


def test_there_are_196_different_labels(rows: list[dict[str, str | int | None]]) -> None:
    assert len(rows) == 196
    assert len({row["label"] for row in rows}) == 196
    assert PATH.read_text().startswith("label,make,model,year\n")


def test_make_model_and_year_recompose_the_label(rows: list[dict[str, str | int | None]]) -> None:
    broken = [row for row in rows if f"{row['make']} {row['model']} {row['year']}" != row["label"]]
    assert not broken


def test_years_are_those_of_the_set(rows: list[dict[str, str | int | None]]) -> None:
    years = [row["year"] for row in rows]
    assert all(isinstance(year, int) and 1990 <= year <= 2012 for year in years)


def test_makes_of_two_words_are_whole(rows: list[dict[str, str | int | None]]) -> None:
    makes = {row["make"] for row in rows}
    assert len(makes) == 49
    assert {"AM General", "Aston Martin", "Land Rover", "Rolls-Royce", "smart"} <= makes
    assert not makes & {"AM", "Aston", "Land", None, ""}


def test_the_first_and_the_last_stand_in_the_sets_order(rows: list[dict[str, str | int | None]]) -> None:
    assert rows[0]["label"] == "AM General Hummer SUV 2000"
    assert rows[195]["label"] == "smart fortwo Convertible 2012"


def test_cells_that_are_empty_are_null(tmp_path: Path) -> None:
    path = tmp_path / "own.csv"
    path.write_text("label,make,model,year\nmy truck,,,\nVW Golf,VW,Golf,1999\n")
    assert label_table.read(path) == [
        {"label": "my truck", "make": None, "model": None, "year": None},
        {"label": "VW Golf", "make": "VW", "model": "Golf", "year": 1999},
    ]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("label,make\nGolf,VW\n", "own.csv: column model, year is missing"),
        ("label,make,model,year\nGolf,,,199x\n", "own.csv, line 2: year '199x' is not a number"),
        ("label,make,model,year\nGolf,,,\nGolf,VW,,\n", "own.csv, line 3: the label 'Golf' is there twice"),
        ("label,make,model,year\n,VW,,\n", "own.csv, line 2: the label is empty"),
    ],
)
def test_what_is_broken_is_told_with_its_line(tmp_path: Path, text: str, expected: str) -> None:
    path = tmp_path / "own.csv"
    path.write_text(text)
    with pytest.raises(ValueError, match=re.escape(expected)):
        label_table.read(path)


def test_a_table_of_the_data_folder_goes_before_the_one_provided(tmp_path: Path) -> None:
    assert label_table.find(tmp_path, "stanford_cars.csv") == PATH
    (tmp_path / "stanford_cars.csv").write_text("label,make,model,year\n")
    assert label_table.find(tmp_path, "stanford_cars.csv").parent == tmp_path


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        (["task.labels=['a', 'b']"], "give either `task.labels` or `data.label_table`"),
        (["data={}"], "give either `task.labels` or `data.label_table`"),
        (["data={}", "task.labels=['a']"], "expected two labels or more, each once"),
        (["data={}", "task.labels=['a', 'b', 'a']"], "expected two labels or more, each once"),
    ],
)
def test_labels_are_given_once(tmp_path: Path, changes: list[str], message: str) -> None:
    with pytest.raises(ValueError, match=re.escape(message)):
        label_table.of_recipe(recipes.read("car_details", changes), tmp_path)


def test_a_plain_list_says_no_more_than_its_labels(tmp_path: Path) -> None:
    recipe = recipes.read("severity")
    assert label_table.of_recipe(recipe, tmp_path) == [{"label": one} for one in ("minor", "moderate", "severe")]
