"""What tiny networks of random numbers say of drawn photos, through the predictors that serve them."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from pycocotools import mask as mask_utils  # type: ignore[import-untyped]

from models.manifest import Manifest
from models.registry import RegistryError
from tests import weights
from tests.unit.training import drawn
from tests.unit.training.found import instances as made_up
from training import recipe as recipes
from training import tasks
from training.evaluate import classifier_figures, figures, findings, heads_figures, open_predictor, summary
from training.findings import Head, Instances

CHANGES = {"attributes": drawn.HEADS, "car_details": drawn.CLASSIFIER, "damage": drawn.INSTANCES}


def task_of(recipe: str, data: Path, work: Path, *changes: str) -> Any:
    return tasks.create(recipes.read(recipe, [*CHANGES[recipe], *changes]), data, work)


def labels_of(task: Any) -> dict[str, list[str]]:
    return task.labels if isinstance(task.labels, dict) else {"label": task.labels}


def served(task: Any, folder: Path, name: str, **changes: Any) -> Any:
    """Random weights of the task's labels under a name of their own, opened and loaded."""
    made = weights.manifest(task.recipe.name, labels=labels_of(task), table=[], **changes)
    manifest: Manifest = made.model_copy(update={"name": name})
    weights.write(folder, manifest, weights.random_state(manifest))
    predictor = open_predictor(name, folder)
    predictor.load("cpu")
    return predictor


def test_heads_of_any_name_are_measured_by_their_kind(data: Path, tmp_path: Path) -> None:
    task = task_of("attributes", data, tmp_path)
    predictor = served(task, tmp_path, "paint", temperature={"color": 2.0})
    found = findings(predictor, task)
    assert isinstance(found, list)
    assert [(head.name, len(head.files)) for head in found] == [("color", 2), ("type", 3), ("orientation", 3)]
    color, kind, _ = found
    assert color.files == ["val/red.png", "val/blue.png"]
    assert [color.labels[n] for n in color.truth] == ["red", "blue"]
    assert (color.temperature, kind.temperature) == (2.0, 1.0)
    assert color.read(1)[0, 0].tolist() == [30, 30, 200]
    assert kind.read(0)[0, 0].tolist() == [250, 250, 0]  # the bus, which is the type's first photo
    pairs = {head.name: (head.logits, head.truth) for head in found}
    assert figures(predictor, task) == summary(predictor.manifest, found) == heads_figures(pairs, {"color": 2.0})


def test_a_head_is_what_the_predictor_answers(data: Path, tmp_path: Path) -> None:
    task = task_of("attributes", data, tmp_path)
    predictor = served(task, tmp_path, "attributes")
    found = findings(predictor, task)
    assert isinstance(found, list)
    photo = weights_photo(found[0], 0)
    options = predictor.specification.options()
    region = photo[1]
    item = predictor.prepare(photo[0], region, options)
    row = predictor.run({key: np.stack([value]) for key, value in item.items()})
    answer = predictor.finish({key: value[0] for key, value in row.items()}, photo[0].header, region, options)
    shares = found[0].shares[0]
    assert list(answer.color.scores.values()) == pytest.approx(shares.tolist(), abs=1e-3)


def weights_photo(head: Head, n: int) -> Any:
    from models.photo import Header, Photo, whole

    pixels = head.read(n)
    header = Header(pixels.shape[1], pixels.shape[0], "")
    return Photo(header, pixels), whole(header)


def test_a_classifier_of_any_name(data: Path, tmp_path: Path) -> None:
    task = task_of("car_details", data, tmp_path)
    predictor = served(task, tmp_path, "cars", thresholds={"recognised": 0.0})
    found = findings(predictor, task)
    assert isinstance(found, list)
    assert [head.name for head in found] == ["label"]
    assert found[0].files == ["val/00000.png", "val/00001.png"]
    assert [found[0].labels[n] for n in found[0].truth] == drawn.CARS[:2]
    told = summary(predictor.manifest, found)
    assert set(told) == {"top1", "top5", "ece", "recognised", "recognised_right"}
    assert told["recognised"] == 1.0
    assert told["recognised_right"] == told["top1"] == found[0].figures()["top1"]
    softer = predictor.manifest.model_copy(update={"temperature": {"label": 4.0}})
    assert summary(softer, found) == classifier_figures(found[0].logits, found[0].truth, 4.0, 0.0) != told


def test_a_classifier_of_grades(data: Path, tmp_path: Path) -> None:
    recipe = recipes.read(
        "car_details", [*drawn.CLASSIFIER, f"task.labels={drawn.CARS}", "task.ordinal=1", "task.frozen=0"]
    )
    del recipe.data["label_table"]
    task = tasks.create(recipe, data, tmp_path)
    predictor = served(task, tmp_path, "grades")
    told = summary(predictor.manifest, findings(predictor, task))
    assert set(told) == {"top1", "ece", "macro_f1", "grade_error"}


def test_instances_of_any_name(data: Path, tmp_path: Path) -> None:
    task = task_of("damage", data, tmp_path)
    predictor = served(task, tmp_path, "rust", thresholds={"dent": 0.0, "scratch": 0.25})
    found = findings(predictor, task)
    assert isinstance(found, Instances)
    assert found.limits == [0.0, 0.25, 0.5, 0.5, 0.5, 0.5]
    assert [photo.file for photo in found.photos] == ["0.png", "1.png"]
    assert found.quiet_files == ["0.png"]
    assert len(found.quiet) == 1
    assert found.read("0.png")[20, 20].tolist() == [10, 10, 10]  # the drawn damage
    assert found.read_quiet("0.png")[20, 20].tolist() == [230, 230, 230]
    told, details = summary(predictor.manifest, found), found.figures()
    assert told["box_ap50"] == pytest.approx(details["box"]["ap50"], abs=1e-4)
    assert told["image_false_alarm_rate"] == details["quiet"]["share"]


def test_what_is_faint_has_its_outline_too(data: Path, tmp_path: Path) -> None:
    """Served, nothing is outlined that is not told; average precision is over all there is."""
    task = task_of("damage", data, tmp_path)
    found = findings(served(task, tmp_path, "damage", thresholds=dict.fromkeys(task.labels, 1.0)), task)
    assert isinstance(found, Instances)
    assert len(found.masks) == len(found.boxes) > 0
    areas = [mask_utils.area(one["segmentation"]) for one in found.masks]
    assert np.mean(np.array(areas) > 0) > 0.5


def test_instances_of_close_ups_and_with_sides(data: Path, tmp_path: Path) -> None:
    changes = [*drawn.INSTANCES, "task.close=0.5", 'task.mirror={dent = "scratch"}']
    task = tasks.create(recipes.read("damage", changes), data, tmp_path)
    predictor = served(task, tmp_path, "rust", thresholds=dict.fromkeys(weights.DAMAGES, 0.0))
    found = findings(predictor, task)
    assert isinstance(found, Instances)
    assert found.close is not None
    assert found.close.photos
    assert all("#" in photo.file for photo in found.close.photos)
    assert found.close.read(found.close.photos[0].file).shape[2] == 3
    told = summary(predictor.manifest, found)
    plain = summary(predictor.manifest, replace(found, close=None, mirror=list(range(6))))
    extra = {f"close_{kind}_{ap}" for kind in ("box", "mask") for ap in ("ap", "ap50")}
    extra |= {"close_sides_mixed_up", "sides_mixed_up"}
    assert set(told) - set(plain) == extra
    assert {name: told[name] for name in plain} == plain


def test_held_back_photos_are_measured_beside(data: Path, tmp_path: Path) -> None:
    task = task_of("damage", data, tmp_path)
    predictor = served(task, tmp_path, "rust", thresholds=dict.fromkeys(weights.DAMAGES, 0.0))
    plain = summary(predictor.manifest, findings(predictor, task))
    task.photos["more"], task.archives["more"] = task.photos["val"][:1], task.archives["val"]
    found = findings(predictor, task)
    assert isinstance(found, Instances)
    assert found.more is not None
    assert [photo.file for photo in found.more.photos] == ["0.png"]
    told = summary(predictor.manifest, found)
    assert {name: told[name] for name in plain} == plain
    assert set(told) - set(plain) == {f"more_{kind}_{ap}" for kind in ("box", "mask") for ap in ("ap", "ap50")}


def test_photos_on_which_something_is_found_are_counted() -> None:
    of = made_up()  # one of two photos has a detection at its threshold, and so has one of four quiet ones
    manifest = weights.manifest("damage", labels={"label": of.labels}, thresholds=of.thresholds)
    told = summary(manifest, of)
    assert (told["image_recall"], told["image_false_alarm_rate"]) == (0.5, 0.25)
    assert "image_false_alarm_rate" not in summary(manifest, replace(of, quiet=[]))


def test_a_recipe_of_other_labels_or_of_another_kind_is_refused(data: Path, tmp_path: Path) -> None:
    task = task_of("attributes", data, tmp_path)
    predictor = served(task, tmp_path, "paint")
    with pytest.raises(ValueError, match="the recipe is of kind 'instances', the weights are of kind 'heads'"):
        findings(predictor, task_of("damage", data, tmp_path))
    other = task_of("attributes", data, tmp_path)
    other.labels = {**other.labels, "type": ["bus", "sedan"]}
    with pytest.raises(ValueError, match="labels of type are not those of the weights, which know hatchback, sedan"):
        findings(predictor, other)


def test_weights_that_are_not_there_are_named(tmp_path: Path) -> None:
    with pytest.raises(RegistryError, match="no predictor paint: installed are attributes, car_details, damage"):
        open_predictor("paint", tmp_path)
