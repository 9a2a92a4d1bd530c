"""`carlens check-data`: a table and exit 0, or every problem and exit 2."""

from pathlib import Path

import pytest

from tests.unit.training.commands.running import run
from tests.unit.training.data import sets, test_formats
from training import recipe as recipes
from training.commands.check_data import check_data


@pytest.fixture
def recipe(tmp_path: Path) -> Path:
    """A recipe of two labels beside its set."""
    test_formats.draw_coco(tmp_path)
    (tmp_path / "val" / "a.png").write_bytes(sets.encoded(6))
    text = (recipes.FOLDER / "damage.toml").read_text()
    text = text.replace('"dent", "scratch", "crack"', '"scratch"').replace("damage/", "")
    text = "\n".join(line for line in text.splitlines() if not line.startswith(("negatives =", "quiet =")))
    path = tmp_path / "mine.toml"
    path.write_text(text)
    return path


def rows(out: str) -> dict[str, list[str]]:
    cells = [[cell.strip() for cell in line.strip("│┃").split("│")] for line in out.splitlines() if "│" in line]
    return {row[0]: row[1:] for row in cells}


def test_a_good_set_is_a_table_and_exit_0(recipe: Path) -> None:
    code, out, err = run(check_data, recipe, "--data", recipe.parent)
    assert (code, err) == (0, "")
    table = rows(out)
    assert table["photos"] == ["1", "1", ""]
    assert table["glass_shatter"] == ["1", "1", "rare, under 20"]
    assert table["scratch"] == ["0", "0", "missing in train and val"]
    assert "1 names of photos in both splits: a.png" in out


def test_the_same_picture_in_both_splits_is_told(recipe: Path) -> None:
    (recipe.parent / "val" / "a.png").write_bytes((recipe.parent / "train" / "a.png").read_bytes())
    code, out, _ = run(check_data, recipe, "--data", recipe.parent)
    assert code == 0
    assert "1 photos of val that train shows too: " in out
    assert "that train shows" not in run(check_data, recipe, "--data", recipe.parent, "--no-photos")[1]


def test_a_broken_photo_is_told_after_the_table(recipe: Path) -> None:
    (recipe.parent / "val" / "a.png").write_bytes(b"no photo")
    code, out, err = run(check_data, recipe, "--data", recipe.parent)
    assert code == 2
    assert rows(out)["photos"] == ["1", "1", ""]
    assert "a.png: the photo cannot be read" in err
    assert run(check_data, recipe, "--data", recipe.parent, "--no-photos")[0] == 0


def test_broken_labels_are_all_told_and_exit_2(recipe: Path) -> None:
    sets.write(recipe.parent / "train.json", test_formats.coco("b.png"))
    sets.write(recipe.parent / "val.json", test_formats.coco("a.png", "rust"))
    code, out, err = run(check_data, recipe, "--data", recipe.parent)
    assert (code, out) == (2, "")
    assert "carlens check-data: 2 problems:" in err
    assert "photo 'b.png' does not exist" in err
    assert "categories rust are not among the labels" in err


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (["nothing", "--data", "."], "no recipe 'nothing': known are"),
        (["damage", "--data", "nowhere"], "nowhere"),
        (["car_details", "--data", ".", "--set", "data={}"], "give either `task.labels` or `data.label_table`"),
        (["damage", "--data", ".", "--set", "batch=many"], "batch"),
    ],
)
def test_wrong_usage_is_a_sentence_and_exit_2(arguments: list[str], expected: str) -> None:
    code, _, err = run(check_data, *arguments)
    assert code == 2
    assert expected in err
    assert "Traceback" not in err
