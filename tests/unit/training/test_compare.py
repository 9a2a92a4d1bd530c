"""Backbones side by side: each trained by the same recipe, and a row for each."""

import csv
from functools import partial
from pathlib import Path

import pytest
import typer

from tests.unit.training import drawn
from training import recipe as recipes
from training.commands.compare_backbones import compare_backbones
from training.compare import CHANGES, recipe_for


def test_only_the_backbone_its_start_and_its_layers_change() -> None:
    recipe = recipes.read("damage_dcn")
    other = recipe_for(recipe, "resnet101")
    assert other.architecture == "mask_rcnn_resnet101_fpn"
    assert other.task["grow_from"] == "resnet50"
    assert "deformable" not in other.network
    assert other.network["finest"] == recipe.network["finest"]
    assert other.task["labels"] == recipe.task["labels"]
    assert recipe_for(other, "mobilenet_v2").task.get("grow_from") is None
    assert recipe_for(recipe, "vovnet19").network["norm"] == "batch"


def test_a_row_for_each_backbone(data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    changes = [change for change in drawn.INSTANCES if not change.startswith("start=")]
    once = partial(compare_backbones, data, "damage", "vovnet19", tmp_path, changes, "cpu", "fp32")
    once()
    told = capsys.readouterr().out
    with (tmp_path / "compare.csv").open() as file:
        (row,) = csv.DictReader(file)
    assert (row["backbone"], row["start"]) == ("vovnet19", "none")
    assert 1 < float(row["parameters_m"]) < 10
    assert 0 < float(row["ms_lowest"]) <= float(row["ms"]) <= float(row["ms_highest"])
    assert 0 <= float(row["ap50"]) <= 1
    assert "vovnet19" in told
    first = (tmp_path / "vovnet19" / "metrics.jsonl").read_text()
    once()
    assert (tmp_path / "vovnet19" / "metrics.jsonl").read_text() == first  # it was done


@pytest.mark.parametrize(
    ("recipe", "backbones", "words"),
    [
        ("damage", "resnet18,vgg16", f"unknown backbone 'vgg16': one of {', '.join(CHANGES)}"),
        ("attributes", "resnet18", "recipe 'attributes' is of kind 'heads'"),
        ("damages", "resnet18", "no recipe 'damages'"),
    ],
)
def test_a_mistake_is_told_before_anything_is_trained(
    data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], recipe: str, backbones: str, words: str
) -> None:
    with pytest.raises(typer.Exit) as stop:
        compare_backbones(data=data, recipe=recipe, backbones=backbones, out=tmp_path, device="cpu", precision="fp32")
    assert stop.value.exit_code == 2
    assert words in capsys.readouterr().err
    assert not list(tmp_path.iterdir())
