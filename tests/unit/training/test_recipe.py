"""Recipes: the shipped ones parse and can be served, and every mistake in a change is told by its key."""

from pathlib import Path

import pytest

from models.registry import RegistryError
from training import recipe as recipes
from training.commands.train import served
from training.recipe import FOLDER, read

SHIPPED = sorted(path.stem for path in FOLDER.glob("*.toml"))


def test_there_is_one_for_each_predictor() -> None:
    assert {"attributes", "car_details", "damage"} <= set(SHIPPED)


def test_a_recipe_may_stand_on_another(tmp_path: Path) -> None:
    (tmp_path / "mine.toml").write_text('base = "damage"\nepochs = 7\n[task]\nzoom = 0.1\n')
    mine, damage = read(str(tmp_path / "mine.toml")), read("damage")
    assert (mine.epochs, mine.task["zoom"]) == (7, 0.1)
    assert mine.task["labels"] == damage.task["labels"]
    assert mine.data == damage.data
    assert damage.task["zoom"] != 0.1


def test_bases_stand_on_bases() -> None:
    recipe = read("damage_dcn_plus")
    assert recipe.network["deformable"] == ["layer2", "layer3", "layer4"]
    assert recipe.network["finest"] == 4
    assert (recipe.schedule.name, recipe.task["focal"]) == ("multi_step", 2.0)
    assert recipe.data == read("damage").data


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ('base = "damages"', "no recipe 'damages': known are attributes"),
        ("base = ", "not TOML"),
    ],
)
def test_a_base_that_is_not_there_is_told(tmp_path: Path, text: str, words: str) -> None:
    (tmp_path / "mine.toml").write_text(text)
    with pytest.raises(ValueError, match=words):
        read(str(tmp_path / "mine.toml"))


def test_a_recipe_is_not_its_own_base(tmp_path: Path) -> None:
    path = tmp_path / "mine.toml"
    path.write_text(f'base = "{path}"')
    with pytest.raises(ValueError, match="base is the recipe itself"):
        read(str(path))


def test_a_size_is_drawn_for_each_step() -> None:
    recipe = read("damage", ["scales=[0.5, 1.0, 1.5]", "sizes=[[0.0, 320]]"])
    sides = [recipe.drawn_side(step, 100) for step in range(100)]
    assert set(sides) == {160, 320, 480}
    assert sides == [recipe.drawn_side(step, 100) for step in range(100)]
    assert read("damage", ["sizes=[[0.0, 96], [0.5, 128]]"]).drawn_side(50, 100) == 128


@pytest.mark.parametrize("name", SHIPPED)
def test_a_shipped_recipe_parses_and_is_served(name: str) -> None:
    recipe = read(name)
    assert served(recipe).name == name.removesuffix("_second").removesuffix("_third").removesuffix("_fourth")
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
    with pytest.raises(
        ValueError, match="known are attributes, attributes_binary, attributes_fourth, attributes_second, "
    ):
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
        ("name=models", "a name is lower-case letters"),
        ("kind=classifier", "recipe 'attributes' is of kind 'classifier', the predictor of that name is not"),
        ("task.heads={}", "the heads color, orientation, type are missing"),
    ],
)
def test_what_nobody_would_serve_is_refused_before_training(change: str, expected: str) -> None:
    with pytest.raises((ValueError, RegistryError), match=expected):
        served(recipes.read("attributes", [change]))


def test_a_recipe_knows_its_file_whatever_it_names_the_weights() -> None:
    second = read("attributes_second")
    assert (second.name, second.file) == ("attributes", "attributes_second")
    assert read("damage", ["name=rust"]).file == "damage"


def test_what_is_called_otherwise_is_served_by_its_kind() -> None:
    assert served(recipes.read("attributes", ["name=boats"])).name == "boats"


def test_weights_are_mixed_only_with_those_the_run_went_on_from() -> None:
    assert read("attributes_third").blend == 0.3
    with pytest.raises(ValueError, match="start must be weights:NAME"):
        read("damage", ["blend=0.5"])
    with pytest.raises(ValueError, match="less than 1"):
        read("attributes_third", ["blend=1.0"])
