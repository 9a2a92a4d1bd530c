"""What CVAT is told of labels, from a recipe or from weights."""

import re
from pathlib import Path

import pytest

from tests import weights
from training.labelling import labels_of, specification


def test_instances_are_polygons_with_a_score() -> None:
    listed = specification("instances", {"label": ["dent", "scratch", "crack"]})
    assert [one["name"] for one in listed] == ["dent", "scratch", "crack"]
    assert {one["type"] for one in listed} == {"polygon"}
    assert len({one["color"] for one in listed}) == 3
    assert all(re.fullmatch("#[0-9a-f]{6}", one["color"]) for one in listed)
    (attribute,) = listed[0]["attributes"]
    assert attribute == {
        "name": "score",
        "input_type": "text",
        "mutable": False,
        "values": [""],
        "default_value": "",
    }


def test_a_classifiers_labels_are_tags() -> None:
    listed = specification("classifier", {"label": ["Audi", "BMW"]})
    assert [(one["name"], one["type"]) for one in listed] == [("Audi", "tag"), ("BMW", "tag")]


def test_a_head_is_a_tag_with_a_choice() -> None:
    listed = specification("heads", {"color": ["red", "blue"], "type": ["bus"]})
    assert [(one["name"], one["type"]) for one in listed] == [("color", "tag"), ("type", "tag")]
    choice, score = listed[0]["attributes"]
    assert (choice["name"], choice["input_type"], choice["values"]) == ("value", "select", ["red", "blue"])
    assert choice["default_value"] == "red"
    assert score["name"] == "score"


def test_labels_come_from_weights(tmp_path: Path) -> None:
    path = weights.write(tmp_path, weights.manifest("damage", labels={"label": ["rust"]}))
    assert labels_of("damage", weights=tmp_path) == ("instances", {"label": ["rust"]})
    assert labels_of(str(path)) == ("instances", {"label": ["rust"]})


def test_labels_come_from_a_recipe(tmp_path: Path) -> None:
    recipes = Path(__file__).parents[3] / "training" / "recipes"
    kind, labels = labels_of(str(recipes / "attributes.toml"))
    assert kind == "heads"
    assert list(labels) == ["color", "type", "orientation"]
    kind, labels = labels_of(str(recipes / "car_details.toml"), tmp_path)
    assert kind == "classifier"
    assert len(labels["label"]) == 196
    own = tmp_path / "mine.toml"
    text = (recipes / "damage.toml").read_text()
    own.write_text(text.replace('"dent", "scratch", "crack"', '"rust"'))
    assert labels_of(str(own))[1]["label"][0] == "rust"


@pytest.mark.parametrize("name", ["nothing", "nothing.toml"])
def test_an_unknown_name_is_told(name: str) -> None:
    with pytest.raises(ValueError, match=rf"'{re.escape(name)}'"):
        labels_of(name)
