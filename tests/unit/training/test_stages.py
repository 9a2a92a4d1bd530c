"""Stages: each parameter is in one group, with the rate and the beginning of its stage."""

from typing import Any

import pytest
from pydantic import ValidationError
from torch import nn

from tests.unit.training.tiny import varied
from training import recipe as recipes
from training.recipe import Recipe
from training.record import plain
from training.stages import Stage, open_groups, split


class Net(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.trunk = nn.ModuleDict({"layer1": nn.Linear(2, 2), "layer2": nn.Linear(2, 2), "layer21": nn.Linear(2, 2)})
        self.head = nn.Linear(2, 1)


def grouped(net: Net) -> list[dict[str, Any]]:
    trunk = list(net.trunk.parameters())
    return [
        {"params": list(net.head.parameters()), "scale": 1.0},
        {"params": trunk, "scale": 0.5, "weight_decay": 0.0},
    ]


def found(net: Net, *stages: dict[str, Any]) -> dict[str, tuple[float, float]]:
    """The scale and the beginning of each parameter; every one of them once."""
    names = {id(p): name for name, p in net.named_parameters()}
    parts = split(grouped(net), net, [Stage.model_validate(stage) for stage in stages])
    pairs = [(names[id(p)], (part["scale"], part.get("from", 0.0))) for part in parts for p in part["params"]]
    assert len(pairs) == len(names) == len(dict(pairs))
    assert all(part.get("weight_decay") == (0.0 if part["scale"] < 1 else None) for part in parts)
    return dict(pairs)


def test_without_stages_the_groups_are_the_tasks_own() -> None:
    net = Net()
    groups = grouped(net)
    assert split(groups, net, []) == groups


def test_layers_get_the_rate_and_beginning_of_their_stage() -> None:
    rates = found(
        Net(), {"layers": ["layer2", "layer21"], "from": 0.2, "scale": 0.5}, {"layers": ["trunk.layer1"], "from": 0.5}
    )
    assert rates["head.weight"] == (1.0, 0.0)
    assert rates["trunk.layer2.bias"] == rates["trunk.layer21.bias"] == (0.25, 0.2)
    assert rates["trunk.layer1.weight"] == (0.5, 0.5)


def test_a_layers_name_is_whole_and_may_hold_others() -> None:
    assert found(Net(), {"layers": ["layer2"], "from": 0.3})["trunk.layer21.weight"] == (0.5, 0.0)
    whole = found(Net(), {"layers": ["trunk"], "from": 0.3})
    assert {name for name, (_, begin) in whole.items() if begin} == {n for n in whole if n.startswith("trunk")}


def test_what_is_not_yet_trained_is_frozen() -> None:
    net = Net()
    groups = split(grouped(net), net, [Stage(layers=["layer1"], begin=0.5)])
    for progress, expected in ((0.0, False), (0.49, False), (0.5, True), (1.0, True)):
        open_groups(groups, progress)
        assert net.trunk["layer1"].weight.requires_grad == expected
        assert net.head.weight.requires_grad


@pytest.mark.parametrize(
    ("stages", "expected"),
    [
        ([{"layers": ["layer3"]}], r"no layer 'layer3' with anything to train; there are head, trunk\.layer1"),
        ([{"layers": ["layer"]}], "no layer 'layer'"),
        ([{"layers": ["trunk"]}, {"layers": ["layer1"]}], r"trunk\.layer1\.weight is in two stages, 'layer1'"),
    ],
)
def test_a_wrong_layer_is_told(stages: list[dict[str, Any]], expected: str) -> None:
    with pytest.raises(ValueError, match=expected):
        found(Net(), *stages)


def test_a_layer_that_is_frozen_for_good_is_told() -> None:
    net = Net()
    with pytest.raises(ValueError, match="no layer 'layer1' with anything to train; there are head"):
        split(grouped(net)[:1], net, [Stage(layers=["layer1"])])


@pytest.mark.parametrize(
    ("stage", "expected"),
    [
        ({}, r"stages\.0\.layers"),
        ({"layers": []}, r"stages\.0\.layers"),
        ({"layers": ["a"], "from": 1.0}, r"(?s)stages\.0\.from.*less than 1"),
        ({"layers": ["a"], "scale": 0}, r"(?s)stages\.0\.scale.*greater than 0"),
        ({"layers": ["a"], "until": 0.5}, r"(?s)stages\.0\.until.*Extra inputs"),
    ],
)
def test_a_wrong_stage_is_told_by_its_key(stage: dict[str, Any], expected: str) -> None:
    with pytest.raises(ValidationError, match=expected):
        varied(stages=[stage])


def test_a_recipe_gives_stages_as_toml() -> None:
    recipe = recipes.read("attributes", ['stages=[{layers = ["trunk"], from = 0.25, scale = 0.5}]'])
    assert recipe.stages == [Stage(layers=["trunk"], begin=0.25, scale=0.5)]
    assert plain(recipe)["stages"] == [{"layers": ["trunk"], "from": 0.25, "scale": 0.5}]
    assert Recipe.model_validate(plain(recipe)) == recipe
