"""Instances: outlines move with the photo, empty photos are told apart, boxes come back in photo pixels."""

from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from tests.unit.training import drawn
from training import recipe as recipes
from training import starts, tasks
from training.data.annotated import Annotated, Instance
from training.tasks.instances import InstancesTask, bare_frame, frame, rasterise, repeats, spread


def make(data: Path, *changes: str) -> InstancesTask:
    task = tasks.create(recipes.read("damage", [*drawn.INSTANCES, *changes]), data, data)
    assert isinstance(task, InstancesTask)
    return task


@pytest.fixture(scope="module")
def task(data: Path) -> InstancesTask:
    return make(data)


def test_a_rectangle_is_rasterised_where_it_lies() -> None:
    mask = rasterise([np.array([[2, 3], [9, 3], [9, 6], [2, 6]], np.float32)], 12)
    assert mask.shape == (12, 12)
    assert set(np.unique(mask)) == {0, 1}
    ys, xs = np.nonzero(mask)
    assert (xs.min(), xs.max(), ys.min(), ys.max()) == (2, 9, 3, 6)


def test_rings_are_united_and_cut_to_the_frame() -> None:
    one = np.array([[-5, -5], [3, -5], [3, 3], [-5, 3]], np.float32)
    other = np.array([[8, 8], [20, 8], [20, 20], [8, 20]], np.float32)
    mask = rasterise([one, other], 12)
    assert mask[0, 0] == mask[3, 3] == mask[8, 8] == mask[11, 11] == 1
    assert mask[5, 5] == 0


@pytest.mark.parametrize(("least", "most"), [(1.0, 1.0), (0.7, 1.0), (0.2, 0.6)])
def test_a_frame_is_inside_and_of_the_size_asked(least: float, most: float) -> None:
    for seed in range(50):
        x1, y1, x2, y2 = frame((60, 40), least, np.random.default_rng(seed), most)
        assert -1e-9 <= x1 < x2 <= 60 + 1e-9
        assert -1e-9 <= y1 < y2 <= 40 + 1e-9
        assert 60 * least - 1e-9 <= x2 - x1 <= 60 * most + 1e-9
        assert 40 * least - 1e-9 <= y2 - y1 <= 40 * most + 1e-9


def test_a_bare_frame_keeps_off_every_box() -> None:
    boxes, places = np.array([[30.0, 20, 50, 40], [0, 60, 100, 70]]), set()
    for seed in range(50):
        if (part := bare_frame((100, 80), boxes, np.random.default_rng(seed))) is None:
            continue
        x1, y1, x2, y2 = part
        for left, top, right, bottom in boxes:
            assert (
                x1 >= right + 2 - 1e-9 or x2 <= left - 2 + 1e-9 or y1 >= bottom + 1.6 - 1e-9 or y2 <= top - 1.6 + 1e-9
            )
        places.add((round(x1), round(y1)))
    assert len(places) > 20


def test_there_is_no_bare_frame_where_damage_is_everywhere() -> None:
    assert bare_frame((100, 80), np.array([[0.0, 0, 100, 80]]), np.random.default_rng(0)) is None


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
    assert sum(not kept for _, kept in bare) >= 2  # where chance found a part that shows nothing
    for pixels, kept in bare:
        assert bool(kept) == bool((pixels.mean(axis=2) < 100).any())


def test_outlines_move_with_the_photo(task: InstancesTask) -> None:
    """The damage is drawn dark: the mask must lie on what is dark, however the frame and the mirror fell."""
    places = set()
    for seed in range(16):
        pixels, kept = task.sample(0, 64, np.random.default_rng(seed))
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
    _, kept = task.sample(0, 64, np.random.default_rng(0))
    assert [label for _, label, _ in kept] == [2]


def test_a_crowd_is_not_trained_on(data: Path) -> None:
    task = make(data, "task.zoom=0.0")
    photo = task.photos["train"][0]
    photo.instances = [Instance(0, photo.instances[0].rings, crowd=True), *photo.instances]
    _, kept = task.sample(0, 64, np.random.default_rng(0))
    assert len(kept) == 1


def test_an_epoch_is_every_photo_and_some_sound_ones(task: InstancesTask) -> None:
    for epoch in range(3):
        assert sorted(task.order(epoch).tolist()) == list(range(7))
    assert task.order(1).tolist() == task.order(1).tolist()
    assert make(task.data, "task.negatives=0").order(0).max() == 5
    assert make(task.data, "task.every=2").order(0).max() == 3


def test_a_sound_photo_has_no_instance(task: InstancesTask) -> None:
    pixels, kept = task.sample(6, 64, np.random.default_rng(0))
    assert kept == []
    assert pixels.min() > 100
    batch = task.collate([task.sample(6, 64, np.random.default_rng(0)), task.sample(0, 64, np.random.default_rng(0))])
    empty, full = batch["targets"]
    assert {name: tuple(value.shape) for name, value in empty.items()} == {
        "boxes": (0, 4),
        "labels": (0,),
        "masks": (0, 64, 64),
    }
    assert {name: tuple(value.shape) for name, value in full.items()} == {
        "boxes": (1, 4),
        "labels": (1,),
        "masks": (1, 64, 64),
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
