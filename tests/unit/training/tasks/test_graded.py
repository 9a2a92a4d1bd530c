"""Grades of parts of photos: what is read of each, what is known of it, and the rule that is to be beaten."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from models.manifest import find
from models.networks.classifier import Classifier
from models.photo import Header, Photo, Region
from models.predictors.damage_severity import KNOWN, known
from tests import weights
from training import recipe as recipes
from training import starts, tasks
from training.tasks import graded
from training.tasks.graded import GradedTask

CHANGES = ["batch=2", "epochs=1.0", "sizes=[[0.0, 32]]", 'start="start.safetensors"', "task.frozen=0"]
SETS = {
    "train": [("dent", "minor"), ("dent", "minor"), ("dent", "severe"), ("scratch", "moderate")],
    "val": [("scratch", "minor"), ("dent", "severe"), ("dent", "minor")],
}


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One photo a split, each instance a bright square in a row of its own."""
    folder = tmp_path_factory.mktemp("data")
    pairs = sorted({pair for pairs in SETS.values() for pair in pairs})
    for split, instances in SETS.items():
        (folder / "severity" / f"instances_{split}").mkdir(parents=True)
        pixels = np.zeros((200, 100, 3), np.uint8)
        annotations = []
        for n, pair in enumerate(instances):
            pixels[40 * n + 10 : 40 * n + 30, 20:60] = 200 + 10 * n
            annotations.append(
                {"id": n, "image_id": 1, "category_id": pairs.index(pair), "bbox": [20, 40 * n + 10, 40, 20]}
            )
        Image.fromarray(pixels).save(folder / "severity" / f"instances_{split}" / "photo.png")
        document = {
            "images": [{"id": 1, "file_name": "photo.png", "width": 100, "height": 200}],
            "categories": [{"id": n, "name": name, "severity": grade} for n, (name, grade) in enumerate(pairs)],
            "annotations": annotations,
        }
        (folder / "severity" / f"instances_{split}.json").write_text(json.dumps(document))
    return folder


@pytest.fixture(scope="module")
def task(data: Path, tmp_path_factory: pytest.TempPathFactory) -> GradedTask:
    return make(data, tmp_path_factory.mktemp("work"))


def make(data: Path, work: Path, *changes: str) -> GradedTask:
    found = tasks.create(recipes.read("damage_severity", [*CHANGES, *changes]), data, work)
    assert isinstance(found, GradedTask)
    return found


def test_a_part_is_what_the_service_would_prepare(task: GradedTask) -> None:
    image, numbers = task.part("val", 1, 32, None)
    assert image.shape == (32, 32, 3)
    assert image[16, 16].tolist() == [210, 210, 210]
    assert image[2, 2].tolist() == [0, 0, 0]  # its surroundings
    np.testing.assert_array_equal(numbers, known(Region(20, 50, 60, 70, label="dent"), Header(100, 200, "")))
    assert task.shown(1).shape == (40, 80, 3)


def test_training_parts_vary_and_are_sometimes_not_told_their_kind(task: GradedTask) -> None:
    parts = [task.part("train", 0, 32, np.random.default_rng(seed)) for seed in range(60)]
    assert len({part[0].tobytes() for part in parts}) > 50
    untold = [not numbers[:3].any() for _, numbers in parts]
    assert 0 < sum(untold) < 20
    sizes = np.array([numbers[3:] for _, numbers in parts])
    exact = known(Region(20, 10, 60, 30), Header(100, 200, ""))[3:]
    assert (np.abs(sizes - exact).max(axis=0) > 0.02).all()
    assert (np.abs(sizes - exact)[:, :2] < np.log(1.25) + 0.01).all()
    again = task.part("train", 0, 32, np.random.default_rng(7))
    np.testing.assert_array_equal(again[0], parts[7][0])


def test_the_rule_is_the_commonest_grade_of_the_class_in_training(task: GradedTask) -> None:
    assert [task.labels[n] for n in task.rule()] == ["moderate", "minor", "minor"]


def test_the_network_goes_on_from_one_that_was_told_nothing(
    data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = weights.manifest("severity")
    state = weights.random_state(made)
    weights.write(tmp_path / "weights", made, state)
    monkeypatch.setattr(starts, "find", lambda name: find(name, tmp_path / "weights"))
    network = make(data, tmp_path, 'start="weights:severity"').network()
    assert isinstance(network, Classifier)
    kernel = network.network.fc.weight.detach()
    assert kernel.shape == (3, 512 + KNOWN)
    np.testing.assert_array_equal(kernel[:, :512].numpy(), state["fc.weight"])
    assert not kernel[:, 512:].any()


def test_a_batch_trains_and_tells_its_figures(task: GradedTask, data: Path) -> None:
    torch.manual_seed(0)
    network = Classifier("resnet18", 3, beside=KNOWN)
    batch = task.collate([task.sample(n, 32, np.random.default_rng(n)) for n in range(3)])
    assert {name: tuple(value.shape) for name, value in batch.items()} == {
        "input": (3, 32, 32, 3),
        "known": (3, KNOWN),
        "label": (3,),
    }
    loss = task.losses(network, batch)["label"]
    loss.backward()  # type: ignore[no-untyped-call]
    assert network.network.fc.weight.grad is not None
    assert network.network.fc.weight.grad[:, 512:].any()
    assert task.figures(network)["top1"] in (0, 1 / 3, 2 / 3, 1)


def test_shifted_regions_stay_in_the_photo_and_keep_their_name() -> None:
    header, region = Header(100, 200, ""), Region(0.0, 0.0, 40.0, 20.0, "damage", label="dent")
    for seed in range(20):
        found = graded.shifted(region, header, np.random.default_rng(seed))
        assert 0 <= found.x1 < found.x2 <= 44
        assert 0 <= found.y1 < found.y2 <= 22
        assert (found.label, found.source) == ("dent", "damage")


def test_a_crop_is_never_empty() -> None:
    photo = Photo(Header(10, 10, ""), np.zeros((10, 10, 3), np.uint8))
    assert graded.crop(photo, Region(3.2, 3.2, 3.4, 3.4)).shape == (1, 1, 3)


def test_features_of_regions_are_not_cached(data: Path, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="regions are neither cached nor mixed"):
        make(data, tmp_path, "task.frozen=1", "task.cached=true")
