"""Recipes: the shipped ones parse and can be served, and every mistake in a change is told by its key."""

from pathlib import Path

import pytest

from training import recipe as recipes
from training.commands.train import served
from training.recipe import FOLDER, read

SHIPPED = sorted(path.stem for path in FOLDER.glob("*.toml"))


def test_there_is_one_for_each_predictor() -> None:
    assert SHIPPED == ["attributes", "car_details", "damage"]


@pytest.mark.parametrize("name", SHIPPED)
def test_a_shipped_recipe_parses_and_isserved(name: str) -> None:
    recipe = read(name)
    assert served(recipe).name == name
    assert recipe.sizes[0][0] == 0
    assert recipe.side(0.0) <= recipe.side(1.0)
    assert "research and non-commercial" in recipe.terms["weights"]
    assert recipe.terms["why"]
    assert 0 <= recipe.average < 1
    assert read(str(FOLDER / f"{name}.toml")) == recipe


def test_the_shares_of_the_heads_make_a_batch() -> None:
    recipe = read("attributes")
    counts = [head["share"] * recipe.batch for head in recipe.task["heads"].values()]
    assert counts == [round(count) for count in counts]
    assert sum(counts) == recipe.batch


def test_the_side_grows_with_progress() -> None:
    recipe = read("damage", ["sizes=[[0.0, 96], [0.5, 128]]"])
    assert [recipe.side(p) for p in (0, 0.49, 0.5, 1)] == [96, 96, 128, 128]


@pytest.mark.parametrize(
    ("change", "key", "value"),
    [
        ("epochs=0.5", "epochs", 0.5),
        ("rate = 1e-3", "rate", 1e-3),
        ("summary=My cars", "summary", "My cars"),
        ('summary="3"', "summary", "3"),
        ("start=pretrained/own.safetensors", "start", "pretrained/own.safetensors"),
        ("network={channels = 64}", "network", {"channels": 64}),
    ],
)
def test_a_change_is_toml_or_else_text(change: str, key: str, value: object) -> None:
    assert getattr(read("damage", [change]), key) == value


def test_changes_reach_into_tables_and_the_last_one_holds() -> None:
    recipe = read("attributes", ["task.heads.color.share=0.5", "task.new.key=[1, 2]", "batch=8", "batch=16"])
    assert recipe.task["heads"]["color"]["share"] == 0.5
    assert recipe.task["heads"]["type"] == read("attributes").task["heads"]["type"]
    assert recipe.task["new"] == {"key": [1, 2]}
    assert recipe.batch == 16


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        ("epochs", "--set 'epochs': write key=value"),
        ("epoch=3", r"(?s)epoch\b.*Extra inputs are not permitted"),
        ("=3", "Extra inputs are not permitted"),
        ("epochs=many", r"(?s)epochs\b.*valid number"),
        ("kind=magic", r"(?s)kind\b.*'classifier', 'heads' or 'instances'"),
        ("batch=2.5", r"(?s)batch\b.*valid integer"),
        ("rate.peak=3", "--set 'rate.peak=3': rate is a value, it has no keys"),
        ("task.zoom.most=1", "zoom is a value"),
    ],
)
def test_a_wrong_change_is_told_by_its_key(change: str, expected: str) -> None:
    with pytest.raises(ValueError, match=expected):
        read("damage", [change])


@pytest.mark.parametrize("name", ["damages", "no/such/file.toml"])
def test_an_unknown_recipe_tells_those_there_are(name: str) -> None:
    with pytest.raises(ValueError, match="known are attributes, car_details, damage"):
        read(name)


def test_a_recipe_of_ones_own_is_read_by_its_path(tmp_path: Path) -> None:
    path = tmp_path / "own.toml"
    path.write_text((FOLDER / "damage.toml").read_text().replace("batch = 8", "batch = 3"))
    assert read(str(path)).batch == 3
    path.write_text("name = ")
    with pytest.raises(ValueError, match=r"(?i)invalid value"):
        read(str(path))
    path.write_text('name = "own"')
    with pytest.raises(ValueError, match=r"(?s)summary.*Field required"):
        read(str(path))


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        ("name=boats", "recipe 'boats' of kind 'heads': no predictor serves it"),
        ("kind=classifier", "attributes \\(heads\\)"),
        ("task.heads={}", "the heads color, orientation, type are missing"),
    ],
)
def test_what_nobody_would_serve_is_refused_before_training(change: str, expected: str) -> None:
    with pytest.raises(ValueError, match=expected):
        served(recipes.read("attributes", [change]))
