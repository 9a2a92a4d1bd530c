"""Instances: outlines move with the photo, empty photos are told apart, boxes come back in photo pixels."""

from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from models.manifest import find
from tests import weights
from tests.unit.training import drawn
from training import recipe as recipes
from training import starts, tasks
from training.data.annotated import Annotated, Instance
from training.tasks.instances import InstancesTask, repeats, spread


def make(data: Path, *changes: str) -> InstancesTask:
    task = tasks.create(recipes.read("damage", [*drawn.INSTANCES, *changes]), data, data)
    assert isinstance(task, InstancesTask)
    return task


@pytest.fixture(scope="module")
def task(data: Path) -> InstancesTask:
    return make(data)


def test_rare_labels_are_drawn_more_often() -> None:
    """One photo of sixteen shows label 1: at a threshold of a quarter it counts sqrt(4) times."""
    ring = [np.array([[0, 0], [4, 0], [4, 4]], np.float32)]
    photos = [Annotated(n, f"{n}.png", 8, 8, [Instance(int(n == 5), ring)]) for n in range(15)]
    photos.append(Annotated(15, "bare.png", 8, 8, []))
    weights = repeats(photos, 0.25)
    assert weights.tolist() == [2.0 if n == 5 else 1.0 for n in range(16)]
    drawn_often = np.zeros(16)
    for seed in range(400):
        drawn_often += np.bincount(spread(weights, np.random.default_rng(seed)), minlength=16)
    assert drawn_often.sum() == 400 * 16  # an epoch stays as long as it was
    np.testing.assert_allclose(drawn_often / 400, weights * 16 / 17, atol=0.09)


def test_common_labels_are_drawn_once() -> None:
    order = spread(np.ones(50), np.random.default_rng(3))
    assert sorted(order) == list(range(50))
    assert order.tolist() != list(range(50))


def test_an_epoch_may_show_sound_parts_and_rare_labels_more(data: Path) -> None:
    task = make(data, "task.bare=1.0", "task.rare=0.9")
    assert len(task.order(0)) == len(make(data).order(0))
    bare = [task.sample(0, 64, np.random.default_rng(seed)) for seed in range(40)]
    assert sum(not kept for _, kept, _ in bare) >= 2  # where chance found a part that shows nothing
    for pixels, kept, _ in bare:
        assert bool(kept) == bool((pixels.mean(axis=2) < 100).any())


def test_outlines_move_with_the_photo(task: InstancesTask) -> None:
    """The damage is drawn dark: the mask must lie on what is dark, however the frame and the mirror fell."""
    places = set()
    for seed in range(16):
        pixels, kept, _ = task.sample(0, 64, np.random.default_rng(seed))
        ((box, label, mask),) = kept
        assert pixels.shape == (64, 64, 3)
        assert label == 1  # from 1, for torchvision; 0 is the background
        dark = pixels.mean(axis=2) < 100
        overlap = (dark & (mask > 0)).sum() / (dark | (mask > 0)).sum()
        assert overlap > 0.85
        ys, xs = np.nonzero(dark)
        np.testing.assert_allclose(box, (xs.min(), ys.min(), xs.max() + 1, ys.max() + 1), atol=1.5)
        places.add(round(float(box[0])))
    assert len(places) > 8


def test_what_is_mostly_cut_off_is_left_out(data: Path) -> None:
    task = make(data, "task.zoom=0.0")
    photo = task.photos["train"][0]
    photo.instances = [
        Instance(0, [np.array([[-90, 0], [10, 0], [10, 20], [-90, 20]], np.float32)]),  # a tenth is left
        Instance(1, [np.array([[-10, 0], [10, 0], [10, 20], [-10, 20]], np.float32)]),  # half
        Instance(0, [np.array([[5, 5], [7, 5], [7, 7], [5, 7]], np.float32)]),  # a speck
    ]
    _, kept, _ = task.sample(0, 64, np.random.default_rng(0))
    assert [label for _, label, _ in kept] == [2]


def test_a_crowd_is_not_trained_on(data: Path) -> None:
    task = make(data, "task.zoom=0.0")
    photo = task.photos["train"][0]
    photo.instances = [Instance(0, photo.instances[0].rings, crowd=True), *photo.instances]
    _, kept, _ = task.sample(0, 64, np.random.default_rng(0))
    assert len(kept) == 1


def test_an_epoch_is_every_photo_and_some_sound_ones(task: InstancesTask) -> None:
    for epoch in range(3):
        assert sorted(task.order(epoch).tolist()) == list(range(7))
    assert task.order(1).tolist() == task.order(1).tolist()
    assert make(task.data, "task.negatives=0").order(0).max() == 5
    assert make(task.data, "task.every=2").order(0).max() == 3


def test_a_sound_photo_has_no_instance(task: InstancesTask) -> None:
    pixels, kept, _ = task.sample(6, 64, np.random.default_rng(0))
    assert kept == []
    assert pixels.min() > 100
    batch = task.collate([task.sample(6, 64, np.random.default_rng(0)), task.sample(0, 64, np.random.default_rng(0))])
    empty, full = batch["targets"]
    assert {name: tuple(value.shape) for name, value in empty.items()} == {
        "boxes": (0, 4),
        "labels": (0,),
        "masks": (0, 64, 64),
        "partial": (),
    }
    assert {name: tuple(value.shape) for name, value in full.items()} == {
        "boxes": (1, 4),
        "labels": (1,),
        "masks": (1, 64, 64),
        "partial": (),
    }
    assert batch["image"].shape == (2, 64, 64, 3)
    assert batch["image"].dtype == torch.uint8


class Fixed(nn.Module):
    """Finds the drawn damage in every photo, a scratch beside it, and nothing in the third row."""

    def forward(self, image: Tensor) -> dict[str, Tensor]:
        x1, y1, x2, y2 = drawn.SQUARE
        sx, sy = 64 / drawn.WIDTH, 64 / drawn.HEIGHT
        rows = torch.tensor([[x1 * sx, y1 * sy, x2 * sx, y2 * sy], [0, 0, 64, 64], [1, 1, 2, 2]])
        count = len(image)
        return {
            "boxes": rows.expand(count, 3, 4),
            "scores": torch.tensor([0.9, 0.4, 0.0]).expand(count, 3),
            "labels": torch.tensor([0, 1, 0]).expand(count, 3),
        }


def test_results_are_in_the_photos_own_pixels(task: InstancesTask) -> None:
    results = task.found(Fixed(), task.photos["val"], task.archives["val"])
    assert len(results) == 4  # unused rows are left out
    x1, y1, x2, y2 = drawn.SQUARE
    assert results[0]["bbox"] == pytest.approx([x1, y1, x2 - x1, y2 - y1], abs=1e-3)
    assert results[1]["bbox"] == pytest.approx([0, 0, drawn.WIDTH, drawn.HEIGHT], abs=1e-3)
    assert [(r["image_id"], r["category_id"]) for r in results] == [(10, 0), (10, 1), (11, 0), (11, 1)]


def test_figures_are_cocos(task: InstancesTask) -> None:
    figures = task.figures(Fixed())
    # The first photo's dent is found; the second's damage is a scratch, which is said of the whole photo only.
    assert figures["ap50_dent"] == pytest.approx(1.0)
    assert figures["ap50_scratch"] == 0
    assert figures["ap50"] == pytest.approx(0.5)


def test_the_network_starts_from_the_given_weights(task: InstancesTask, data: Path) -> None:
    network = task.network()
    given = starts.read(data / task.recipe.start)
    body = network.get_submodule("network.backbone.body").state_dict()
    assert all(torch.equal(value, given[f"features.{name}"]) for name, value in body.items())
    groups = task.groups(network)
    grouped = [id(p) for group in groups for p in group["params"]]
    trained = {id(p) for p in network.parameters() if p.requires_grad}
    assert len(grouped) == len(set(grouped))
    assert set(grouped) == trained
    assert [group["scale"] for group in groups] == [1.0, task.recipe.trunk_rate]


def test_frozen_layers_are_left_as_they_are(data: Path) -> None:
    task = make(data, 'task.frozen=["0", "1"]')
    network = task.network()
    body = network.get_submodule("network.backbone.body")
    assert not any(p.requires_grad for p in body.get_submodule("0").parameters())
    assert all(p.requires_grad for p in body.get_submodule("5").parameters())


def test_a_start_of_another_network_is_refused(data: Path) -> None:
    with pytest.raises(ValueError, match=r"resnet18\.safetensors does not fit mask_rcnn_mobilenet_v2_fpn: 0\.0"):
        make(data, "start=pretrained/resnet18.safetensors").network()


def test_labels_that_are_not_the_files_are_refused(data: Path) -> None:
    with pytest.raises(ValueError, match="categories dent, scratch are not among the labels"):
        make(data, 'task.labels=["rust"]')


def test_a_mirrored_photo_has_its_sides_swapped(data: Path) -> None:
    """Damage is drawn on the right half of its photo: mirrored, it is on the left, and called by the other name."""
    task = make(data, 'task.mirror={dent = "scratch"}', "task.zoom=0")
    row = next(n for n, photo in enumerate(task.photos["train"]) if len(photo.instances) == 1)
    (one,) = task.photos["train"][row].instances
    width = task.photos["train"][row].width
    seen = set()
    for seed in range(20):
        _, kept, _ = task.sample(row, 64, np.random.default_rng(seed))
        box, label, _ = kept[0]
        middle = (box[0] + box[2]) / 2 * width / 64
        mirrored = abs(middle - (one.box()[0] + one.box()[2]) / 2) > 1
        assert label - 1 == (task.mirror[one.label] if mirrored else one.label)
        seen.add(mirrored)
    assert seen == {True, False}
    assert [task.labels[n] for n in task.mirror[:3]] == ["scratch", "dent", "crack"]
    with pytest.raises(ValueError, match="mirror: bump are not among the labels"):
        make(data, 'task.mirror={dent = "bump"}')


def test_close_ups_show_an_instance(data: Path) -> None:
    task = make(data, "task.close=1")
    row = next(n for n, photo in enumerate(task.photos["train"]) if photo.instances)
    wide = make(data, "task.close=0", "task.zoom=0")
    close, whole = ([t.sample(row, 64, np.random.default_rng(seed))[1] for seed in range(30)] for t in (task, wide))
    assert sum(bool(kept) for kept in close) > 12  # what shows less than a quarter of it does not count
    sizes = [np.mean([(b[2] - b[0]) * (b[3] - b[1]) for kept in some for b, _, _ in kept]) for some in (close, whole)]
    assert sizes[0] > 1.5 * sizes[1]


@pytest.fixture
def lent(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, np.ndarray]:
    """The state of random weights of damage, from which runs go on in place of those that are served."""
    made = weights.manifest("damage")
    state = weights.random_state(made)
    weights.write(tmp_path, made, state)
    monkeypatch.setattr(starts, "find", lambda name: find(name, tmp_path))
    return state


SILENT = ('task.silent=["sill", "roof"]', "network={channels = 16, hidden = 32, detections = 10}")


def test_weights_without_silent_labels_lend_what_they_have(data: Path, lent: dict[str, np.ndarray]) -> None:
    found = make(data, 'start="weights:damage"', *SILENT).network().get_submodule("network").state_dict()
    for name, value in lent.items():
        known = torch.from_numpy(np.array(value))
        torch.testing.assert_close(found[name][: len(known)] if known.ndim else found[name], known, atol=0.02, rtol=0)
    assert len(found["roi_heads.box_predictor.cls_score.bias"]) == 1 + len(weights.DAMAGES) + 2


def test_silent_labels_are_trained_and_not_measured(data: Path) -> None:
    task = make(data, *SILENT, "task.negatives=0")
    photo = task.photos["train"][0]
    photo.instances, photo.partial = [Instance(7, photo.instances[0].rings)], False
    network = task.network()
    batch = task.collate([task.sample(n, 64, np.random.default_rng(0)) for n in range(2)])
    assert [one["partial"].item() for one in batch["targets"]] == [False, True]
    assert batch["targets"][0]["labels"].tolist() == [8]
    assert all(torch.isfinite(loss) for loss in task.losses(network.train(), batch).values())
    heads = network.network.roi_heads  # type: ignore[union-attr]
    heads.box_predictor.cls_score.bias.data[7] += 9  # type: ignore[union-attr, operator, index]
    assert (network.eval()(batch["image"])["labels"] == 6).any()
    rows = task.photos["val"]
    assert all(one["category_id"] < len(task.labels) for one in task.found(network, rows, task.archives["val"]))


def test_weights_of_other_labels_lend_all_but_their_last_layers(data: Path, lent: dict[str, np.ndarray]) -> None:
    network = "network={channels = 16, hidden = 32, detections = 10}"
    rename = ", ".join(f'{name} = "dent"' for name in weights.DAMAGES[2:])
    labels = ['task.labels=["dent", "scratch"]', f"task.rename={{{rename}}}"]
    task = make(data, *labels, 'start="weights:damage"', network)
    found = task.network().get_submodule("network").state_dict()
    others = {name for name, value in lent.items() if found[name].shape != value.shape}
    assert {name.split(".")[1] for name in others} == {"box_predictor", "mask_predictor"}
    for name in set(lent) - others:
        torch.testing.assert_close(found[name], torch.from_numpy(np.array(lent[name])), atol=0.02, rtol=0)
