"""One label of many: what is frozen stays frozen, and cached features are those of the photo."""

from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from models.networks.classifier import Classifier
from tests.unit.training import drawn
from training import recipe as recipes
from training import starts, tasks
from training.tasks.classifier import ClassifierTask

TRAIN, VAL = 6, 2


def make(data: Path, work: Path, *changes: str) -> ClassifierTask:
    task = tasks.create(recipes.read("car_details", [*drawn.CLASSIFIER, *changes]), data, work)
    assert isinstance(task, ClassifierTask)
    return task


@pytest.fixture(scope="module")
def task(data: Path, tmp_path_factory: pytest.TempPathFactory) -> ClassifierTask:
    return make(data, tmp_path_factory.mktemp("work"))


@pytest.fixture(scope="module")
def network(task: ClassifierTask) -> Classifier:
    found = task.network()
    assert isinstance(found, Classifier)
    return found


def test_rows_and_labels_are_those_of_the_tables(task: ClassifierTask) -> None:
    assert (len(task.train_rows), len(task.val_rows)) == (TRAIN, VAL)
    assert len(task.labels) == 196
    assert [task.labels[row.label] for row in task.train_rows[:3]] == drawn.CARS


def test_the_network_starts_from_the_given_weights(task: ClassifierTask, network: Classifier, data: Path) -> None:
    given = starts.read(data / task.recipe.start)
    state = network.network.state_dict()
    assert torch.equal(state["layer4.1.conv2.weight"], given["layer4.1.conv2.weight"])
    assert state["fc.weight"].shape == (196, 512)
    assert not state["fc.weight"].any()


def test_groups_hold_what_is_trained_and_nothing_else(task: ClassifierTask, network: Classifier) -> None:
    groups = task.groups(network)
    grouped = [parameter for group in groups for parameter in group["params"]]
    names = {id(p): name for name, p in network.named_parameters()}
    assert {names[id(p)].split(".")[1] for p in grouped} == {"layer4", "fc"}
    assert len({id(p) for p in grouped}) == len(grouped)
    assert all(p.requires_grad for p in grouped)
    frozen = [name for name, p in network.named_parameters() if not p.requires_grad]
    assert {name.split(".")[1] for name in frozen} == {"conv1", "bn1", "layer1", "layer2", "layer3"}
    assert [group["scale"] for group in groups] == [1.0, task.recipe.trunk_rate, task.recipe.trunk_rate]
    assert groups[2]["weight_decay"] == 0.0
    assert all(p.ndim == 1 for p in groups[2]["params"])


def test_frozen_statistics_stay(task: ClassifierTask, network: Classifier) -> None:
    task.mode(network)
    training = {
        name.split(".")[1]: module.training
        for name, module in network.named_modules()
        if isinstance(module, nn.BatchNorm2d)
    }
    assert training == {"bn1": False, "layer1": False, "layer2": False, "layer3": False, "layer4": True}


def test_the_order_is_that_of_seed_and_epoch(task: ClassifierTask) -> None:
    orders = [task.order(epoch).tolist() for epoch in range(4)]
    assert all(sorted(order) == list(range(TRAIN)) for order in orders)
    assert task.order(2).tolist() == orders[2]
    assert len({tuple(order) for order in orders}) > 1


def test_features_are_those_of_the_photos(task: ClassifierTask, network: Classifier) -> None:
    network.eval()
    with torch.inference_mode():
        for row, split, index in ((1, "val", 1), (VAL + 4, "train", 4)):
            pixels = task.pixels(split, index, 32, None)
            expected = network.features(torch.from_numpy(pixels[None]), 3)[0].permute(1, 2, 0)
            np.testing.assert_allclose(task.features[row], expected.numpy(), rtol=2e-3, atol=2e-3)
    assert task.features.shape == (VAL + 2 * TRAIN, 2, 2, 256)
    # The second variant of a photo is varied.
    assert not np.allclose(task.features[VAL + 4], task.features[VAL + TRAIN + 4], atol=1e-2)


def test_a_sample_is_one_of_the_photos_variants(task: ClassifierTask) -> None:
    seen = set()
    for seed in range(12):
        features, label = task.sample(4, 32, np.random.default_rng(seed))
        assert label == task.train_rows[4].label
        matches = [row for row in range(len(task.features)) if np.array_equal(np.asarray(task.features[row]), features)]
        seen.update(matches)
    assert seen == {VAL + 4, VAL + TRAIN + 4}


def test_losses_and_figures_go_through_the_cached_features(task: ClassifierTask, network: Classifier) -> None:
    batch = task.collate([task.sample(n, 32, np.random.default_rng(0)) for n in range(4)])
    assert batch["input"].shape == (4, 2, 2, 256)
    task.mode(network)
    loss = task.losses(network, batch)["label"]
    assert loss.item() == pytest.approx(np.log(196), rel=1e-4)  # an untrained last layer of zeros knows nothing
    assert task.figures(network)["top1"] in (0.0, 0.5, 1.0)


def test_without_frozen_stages_photos_are_varied_each_time(data: Path, tmp_path: Path) -> None:
    task = make(data, tmp_path, "task={}")
    first, label = task.sample(2, 24, np.random.default_rng(0))
    again, _ = task.sample(2, 24, np.random.default_rng(0))
    other, _ = task.sample(2, 24, np.random.default_rng(1))
    assert first.shape == (24, 24, 3)
    assert label == 2
    np.testing.assert_array_equal(first, again)
    assert (first != other).any()
    network = task.network()
    assert all(p.requires_grad for p in network.parameters())
    losses = task.losses(network, task.collate([(first, label), (other, label)]))
    assert torch.isfinite(losses["label"])
    assert not list(tmp_path.iterdir())


def test_rare_classes_can_be_drawn_as_often_as_others(data: Path, tmp_path: Path) -> None:
    task = make(data, tmp_path, "task.balance=sampled")
    rare = task.train_rows[0].label
    task.train_rows = [task.train_rows[0], *[task.train_rows[1]] * 5]
    drawn_labels = [task.train_rows[row].label for epoch in range(200) for row in task.order(epoch)]
    assert 0.45 < np.mean(np.array(drawn_labels) == rare) < 0.55
    np.testing.assert_array_equal(task.order(3), task.order(3))


def test_rare_classes_can_be_favoured_in_the_loss(data: Path, tmp_path: Path) -> None:
    task = make(data, tmp_path, "task.balance=adjusted", "smoothing=0")
    network = task.network()
    inputs = [task.sample(n, 32, np.random.default_rng(0)) for n in range(3)]
    batch = task.collate(inputs)
    # Three classes with a third of the photos each, and 193 that count as half a photo: all logits are zero still.
    shares = np.full(196, 0.5)
    for row in task.train_rows:
        shares[row.label] = sum(other.label == row.label for other in task.train_rows)
    expected = -np.log(shares[batch["label"].numpy()] / shares.sum()).mean()
    assert task.losses(network, batch)["label"].item() == pytest.approx(expected, rel=1e-4)


@pytest.mark.parametrize("frozen", [0, 3])
def test_photos_can_be_mixed(data: Path, tmp_path: Path, frozen: int) -> None:
    task = make(data, tmp_path, "task.mixup=0.4", f"task.frozen={frozen}", "smoothing=0")
    network = task.network()
    batch = task.collate([task.sample(n, 32, np.random.default_rng(0)) for n in range(3)])
    loss = task.losses(network, batch)["label"]
    assert loss.item() == pytest.approx(np.log(196), rel=1e-4)
    torch.autograd.backward(loss)


def test_a_balance_that_does_not_exist_is_refused(data: Path, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"task\.balance: 'some', expected none, sampled or adjusted"):
        make(data, tmp_path, "task.balance=some")


def test_a_table_of_ones_own_labels_lies_with_the_data(tmp_path: Path) -> None:
    drawn.classifier(tmp_path)
    drawn.table(tmp_path / "cars.csv", "label,make,model,year", [(label, "", "", "") for label in drawn.CARS])
    task = make(tmp_path, tmp_path, "data.label_table=cars.csv")
    assert task.labels == drawn.CARS
    assert task.table[0] == {"label": drawn.CARS[0], "make": None, "model": None, "year": None}


def test_a_start_of_another_depth_is_refused(data: Path, tmp_path: Path) -> None:
    for architecture in ("resnet34", "resnet50"):
        with pytest.raises(ValueError, match=rf"resnet18\.safetensors does not fit {architecture}: "):
            make(data, tmp_path, f"architecture={architecture}", "task={}").network()


def test_a_grown_network_is_trained_at_its_starting_depth_while_frozen(data: Path, tmp_path: Path) -> None:
    grown = ["architecture=resnet152", "task.grow_from=resnet50"]
    assert make(data, tmp_path, *grown).architecture == "resnet50"
    assert make(data, tmp_path, *grown, "task.frozen=0").architecture == "resnet152"
    assert make(data, tmp_path, *grown, "task.frozen=0", "task.grow=end").architecture == "resnet50"
    with pytest.raises(ValueError, match=r"task\.grow: 'never', expected start or end"):
        make(data, tmp_path, *grown, "task.grow=never")


def test_frozen_stages_need_no_cache(data: Path, tmp_path: Path) -> None:
    task = make(data, tmp_path, "task.frozen=2", "task.cached=false")
    network = task.network()
    assert not any(p.requires_grad for p in network.get_submodule("network.layer2").parameters())
    assert all(p.requires_grad for p in network.get_submodule("network.layer3").parameters())
    samples = [task.sample(2, 24, np.random.default_rng(seed)) for seed in range(2)]
    assert samples[0][0].shape == (24, 24, 3)
    assert (samples[0][0] != samples[1][0]).any()
    task.prepare()
    assert torch.isfinite(task.losses(network, task.collate(samples))["label"])
    assert 0 <= task.figures(network)["top1"] <= 1
    assert not list(tmp_path.iterdir())


def test_a_missing_key_is_named(data: Path, tmp_path: Path) -> None:
    recipe = recipes.read("car_details", drawn.CLASSIFIER)
    del recipe.data["column"]
    with pytest.raises(ValueError, match="recipe 'car_details': the key 'column' is missing"):
        tasks.create(recipe, data, tmp_path)


LISTED = [f"task.labels={drawn.CARS}", "task.frozen=0"]


def listed(data: Path, work: Path, *changes: str) -> ClassifierTask:
    """A task whose labels are a plain list."""
    recipe = recipes.read("car_details", [*drawn.CLASSIFIER, *LISTED, *changes])
    recipe.data.pop("label_table", None)
    task = tasks.create(recipe, data, work)
    assert isinstance(task, ClassifierTask)
    return task


def test_labels_may_be_a_plain_list(data: Path, tmp_path: Path) -> None:
    task = listed(data, tmp_path)
    assert (task.labels, task.table) == (drawn.CARS, [])
    assert task.network().eval()(torch.zeros(1, 32, 32, 3, dtype=torch.uint8))["label"].shape == (1, 3)


def test_grades_weigh_how_far_a_mistake_is_off(data: Path, tmp_path: Path) -> None:
    plain, graded = (listed(data, tmp_path, "smoothing=0", f"task.ordinal={weight}") for weight in (0, 2))
    logits = torch.tensor([[20.0, 0.0, 0.0]])
    for label, off in ((0, 0), (1, 1), (2, 2)):
        truth = torch.tensor([label])
        extra = graded._loss(logits, truth) - plain._loss(logits, truth)
        assert extra.item() == pytest.approx(2 * off, abs=1e-4)
