"""Several labels from one trunk: batches in the asked shares, mirrored views swap, cut-outs stand on photos."""

from collections import Counter
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from tests.unit.training import drawn
from training import recipe as recipes
from training import tasks
from training.augment import Strength
from training.data.heads import MISSING, UNLABELLED
from training.data.problems import DataError
from training.tasks.heads import HeadsTask


def make(data: Path, *changes: str) -> HeadsTask:
    task = tasks.create(recipes.read("attributes", [*drawn.HEADS, *changes]), data, data)
    assert isinstance(task, HeadsTask)
    return task


@pytest.fixture
def task(data: Path) -> HeadsTask:
    return make(data)


def index(task: HeadsTask, file: str) -> int:
    (found,) = [n for n, sample in enumerate(task.samples["train"]) if sample.file == file]
    return found


def test_samples_know_their_head_and_where_they_lie(task: HeadsTask) -> None:
    samples = {sample.file: sample for sample in task.samples["train"]}
    assert (samples["train/red.png"].head, samples["train/red.png"].archive) == ("color", "attributes/color_train")
    assert samples["train/bus.png"].archive == "attributes/type_train"
    assert samples["train/00000.png"].archive == "car_details/train"
    assert samples["train/left.png"].archive == "attributes/orientation_cutouts_train"
    assert [file for file, sample in samples.items() if sample.cutout] == ["train/left.png", "train/front.png"]
    assert len(task.samples["val"]) == len(samples) == 8


def test_labels_that_swap_do_so_both_ways(task: HeadsTask) -> None:
    names = task.labels["orientation"]
    swapped = {names[a]: names[b] for a, b in enumerate(task.mirror["orientation"])}
    assert swapped == {
        "front": "front",
        "back": "back",
        "left": "right",
        "right": "left",
        "front_left": "front_right",
        "front_right": "front_left",
        "back_left": "back_right",
        "back_right": "back_left",
    }
    assert task.mirror["color"] == list(range(len(task.labels["color"])))


@pytest.mark.parametrize(("flip", "expected"), [(0.0, "left"), (1.0, "right")])
def test_a_mirrored_view_is_the_other_side(task: HeadsTask, flip: float, expected: str) -> None:
    task.strength = Strength(flip=flip)
    pixels, head, label, _ = task.sample(index(task, "train/left.png"), 32, np.random.default_rng(0))
    assert pixels.shape == (32, 32, 3)
    assert (head, task.labels[head][label]) == ("orientation", expected)
    _, head, label, _ = task.sample(index(task, "train/red.png"), 32, np.random.default_rng(0))
    assert (head, task.labels[head][label]) == ("color", "red")


def test_a_cutout_stands_on_a_photo_of_the_background_head(task: HeadsTask) -> None:
    sample = task.samples["train"][index(task, "train/left.png")]
    behind = Counter[str]()
    for seed in range(30):
        scene = task.pixels(sample, np.random.default_rng(seed))
        car = scene[..., 1] > 200
        assert 0.5 < car.mean() < 1
        red, _, blue = scene[~car].mean(axis=0)
        behind["red" if red > blue + 50 else "blue" if blue > red + 50 else "grey"] += 1
    assert behind["red"] > 5
    assert behind["blue"] > 5


def test_validation_is_the_same_every_time(task: HeadsTask) -> None:
    for n, sample in enumerate(task.samples["val"]):
        if sample.cutout:
            np.testing.assert_array_equal(task.val_pixels(n), task.val_pixels(n))


def test_every_batch_holds_every_head_by_its_share(task: HeadsTask) -> None:
    for epoch in range(3):
        order = task.order(epoch)
        assert len(order) == 16
        for start in (0, 8):
            heads = Counter(task.samples["train"][n].head for n in order[start : start + 8])
            assert heads == {"color": 3, "type": 2, "orientation": 3}
    assert task.order(1).tolist() == task.order(1).tolist()
    assert task.order(1).tolist() != task.order(2).tolist()


def test_shares_that_make_no_batch_are_refused(data: Path) -> None:
    with pytest.raises(ValueError, match=r"the heads' shares give .*'color': 8.*not a batch of 8"):
        make(data, "task.heads.color.share=1.0").order(0)


def test_samples_are_drawn_equally_often_or_rare_labels_more(data: Path) -> None:
    rng = np.random.default_rng(0)
    plain = Counter(make(data, "task.heads.type.balance=false")._draws("type", 3000, rng).tolist())
    assert set(plain.values()) == {1000}
    task = make(data)
    balanced = Counter(task.samples["train"][n].file for n in task._draws("type", 3000, rng).tolist())
    # One bus against two sedans: its share is 1 to the root of 2, not 1 to 2.
    assert balanced["train/bus.png"] / 3000 == pytest.approx(1 / (1 + 2**0.5), abs=0.03)


def test_a_photo_counts_for_its_own_head_alone(task: HeadsTask) -> None:
    rng = np.random.default_rng(0)
    batch = task.collate([task.sample(index(task, f"train/{name}.png"), 16, rng) for name in ("blue", "bus", "front")])
    assert batch["image"].shape == (3, 16, 16, 3)
    assert batch["image"].dtype == torch.uint8
    assert batch["targets"]["color"].tolist() == [task.labels["color"].index("blue"), MISSING, MISSING]
    assert batch["targets"]["type"].tolist() == [MISSING, task.labels["type"].index("bus"), MISSING]

    class Fixed(nn.Module):
        def forward(self, image: Tensor) -> dict[str, Tensor]:
            return {name: torch.zeros(3, len(labels)) for name, labels in task.labels.items()}

    losses = task.losses(Fixed(), batch)
    assert {name: round(float(value), 4) for name, value in losses.items()} == {
        name: round(float(np.log(len(labels))), 4) for name, labels in task.labels.items()
    }


@pytest.mark.parametrize("loss", ["cross_entropy", "binary"])
def test_a_head_without_any_label_costs_nothing(data: Path, loss: str) -> None:
    task = make(data, f"task.loss={loss}")
    batch = task.collate([task.sample(0, 32, np.random.default_rng(0))] * 2)
    losses = {name: float(value.detach()) for name, value in task.losses(task.network(), batch).items()}
    assert losses.pop("color") > 0
    assert losses == {"type": 0, "orientation": 0}


def test_a_yes_or_no_for_each_label_is_another_loss(data: Path) -> None:
    task = make(data, "task.loss=binary", "smoothing=0")
    rows = task.samples["train"]
    chosen = [next(n for n, row in enumerate(rows) if row.head == name) for name in task.heads]
    batch = task.collate([task.sample(n, 32, np.random.default_rng(0)) for n in chosen])

    class Fixed(nn.Module):
        def forward(self, image: Tensor) -> dict[str, Tensor]:
            return {name: torch.zeros(3, len(labels)) for name, labels in task.labels.items()}

    losses = {name: float(value) for name, value in task.losses(Fixed(), batch).items()}
    assert losses == pytest.approx({name: len(labels) * np.log(2) for name, labels in task.labels.items()}, rel=1e-5)


def test_a_loss_that_does_not_exist_is_refused(data: Path) -> None:
    with pytest.raises(ValueError, match=r"task\.loss: 'focal', expected cross_entropy or binary"):
        make(data, "task.loss=focal")


def test_figures_are_accuracies_per_head(task: HeadsTask) -> None:
    class Always(nn.Module):
        """Says red, sedan and left of everything."""

        def forward(self, image: Tensor) -> dict[str, Tensor]:
            said = {"color": "red", "type": "sedan", "orientation": "left"}
            logits = {name: torch.zeros(len(image), len(labels)) for name, labels in task.labels.items()}
            for name, label in said.items():
                logits[name][:, task.labels[name].index(label)] = 5
            return logits

    assert task.figures(Always()) == {
        "color": 1 / 2,
        "type": pytest.approx(2 / 3),
        "orientation": pytest.approx(1 / 3),
    }


def test_the_network_starts_from_the_given_weights_with_frozen_layers(task: HeadsTask) -> None:
    network = task.network()
    groups = task.groups(network)
    names = {id(p): name for name, p in network.named_parameters()}
    grouped = [names[id(p)] for group in groups for p in group["params"]]
    trained = [name for name, p in network.named_parameters() if p.requires_grad]
    assert sorted(grouped) == sorted(trained)
    assert not any(part in name for name in trained for part in (".trunk.conv1", ".trunk.bn1", ".layer1."))
    assert all(".heads." in names[id(p)] for p in groups[0]["params"])
    task.mode(network)
    assert not network.get_submodule("network.trunk.bn1").training
    assert network.get_submodule("network.trunk.layer2").training


def test_a_start_of_another_depth_is_refused(data: Path) -> None:
    with pytest.raises(ValueError, match=r"resnet18\.safetensors does not fit resnet50"):
        make(data, "architecture=resnet50").network()


class Sayer(nn.Module):
    """A teacher that is sure: everything is blue, a bus, and shows its left."""

    def __init__(self, labels: dict[str, list[str]]) -> None:
        super().__init__()
        self.labels, self.bias = labels, nn.Parameter(torch.tensor(9.0))

    def forward(self, image: Tensor) -> dict[str, Tensor]:
        said = {"color": "blue", "type": "bus", "orientation": "left"}
        logits = {name: torch.zeros(len(image), len(labels)) for name, labels in self.labels.items()}
        for name, label in said.items():
            logits[name][:, self.labels[name].index(label)] = self.bias.detach()
        return logits


TAUGHT = [
    'start="weights:attributes"',
    'task.teacher={weight = 0.5, photos = ["car_details/train"], share = 0.25}',
    "task.heads.color.share=0.25",
    "task.heads.type.share=0.25",
    "task.heads.orientation.share=0.25",
]


@pytest.fixture
def taught(data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> HeadsTask:
    task = tasks.create(recipes.read("attributes", [*drawn.HEADS, *TAUGHT]), data, tmp_path)
    assert isinstance(task, HeadsTask)
    monkeypatch.setattr(task, "network", lambda: Sayer(task.labels))
    task.prepare()
    return task


def test_photos_that_nobody_labelled_have_their_share_of_a_batch(taught: HeadsTask) -> None:
    order = taught.order(0)
    for start in (0, 8):
        rows = [taught.samples["train"][n] for n in order[start : start + 8]]
        assert Counter(row.head for row in rows) == {"color": 2, "type": 2, "orientation": 2, UNLABELLED: 2}
        assert {(row.archive, row.label) for row in rows if row.head == UNLABELLED} == {("car_details/train", MISSING)}


@pytest.mark.parametrize(("flip", "side"), [(0.0, "left"), (1.0, "right")])
def test_every_photo_learns_what_the_teacher_says_mirrored_as_it_is(taught: HeadsTask, flip: float, side: str) -> None:
    taught.strength = Strength(flip=flip)
    rng = np.random.default_rng(0)
    batch = taught.collate([taught.sample(n, 32, rng) for n in (0, len(taught.samples["train"]) - 1)])
    assert batch["targets"]["color"].tolist() == [taught.labels["color"].index("red"), MISSING]
    for name, label in {"color": "blue", "type": "bus", "orientation": side}.items():
        assert batch["shares"][name].shape == (2, len(taught.labels[name]))
        assert batch["shares"][name].argmax(1).tolist() == [taught.labels[name].index(label)] * 2
        torch.testing.assert_close(batch["shares"][name].sum(1), torch.ones(2))


def test_what_the_teacher_says_weighs_as_the_recipe_asks(taught: HeadsTask) -> None:
    batch = taught.collate([taught.sample(len(taught.samples["train"]) - 1, 32, np.random.default_rng(0))] * 2)

    class Fixed(nn.Module):
        def forward(self, image: Tensor) -> dict[str, Tensor]:
            return {name: torch.zeros(len(image), len(labels)) for name, labels in taught.labels.items()}

    losses = {name: float(value) for name, value in taught.losses(Fixed(), batch).items()}
    assert losses == pytest.approx(
        dict.fromkeys(taught.labels, 0)
        | {f"{name}_taught": 0.5 * np.log(len(labels)) for name, labels in taught.labels.items()},
        rel=1e-5,
    )


def test_a_teacher_needs_weights_to_start_from(data: Path) -> None:
    with pytest.raises(ValueError, match=r"task\.teacher: .* start must be weights:NAME"):
        make(data, *TAUGHT[1:])


def test_photos_of_a_teacher_that_are_not_there_are_told(data: Path) -> None:
    with pytest.raises(DataError, match="nowhere"):
        make(data, TAUGHT[0], 'task.teacher={weight = 0.5, photos = ["nowhere"], share = 0.25}')
