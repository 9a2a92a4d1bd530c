"""What a set is, counted by the readers that training uses, and what only shows when photos are opened."""

from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from tests.unit.training.data import sets, test_formats, test_heads, test_stanford
from training import check
from training import recipe as recipes
from training.data import duplicates
from training.recipe import Recipe


def heads(root: Path) -> Recipe:
    test_heads.draw(root)
    changed = recipes.read("attributes").model_dump() | {"task": {"heads": test_heads.HEADS}}
    return Recipe(**changed)


def instances(root: Path) -> Recipe:
    """Two photos to train on, one of them with nothing; one to validate; a sound car each."""
    data = test_formats.draw_coco(root)
    document = test_formats.coco("a.png")
    document["images"].append({"id": 2, "file_name": "more.png", "width": 60, "height": 40})
    crowd: dict[str, Any] = {**document["annotations"][0], "id": 2, "iscrowd": 1}
    document["annotations"].append(crowd)
    sets.write(root / "train.json", document)
    (root / "train" / "more.png").write_bytes(sets.encoded(5))
    (root / "val" / "a.png").write_bytes(sets.encoded(6))
    for seed, name in ((7, "negatives"), (8, "quiet")):
        (root / name).mkdir()
        (root / name / f"{name}.png").write_bytes(sets.encoded(seed))
    return test_formats.recipe({**data, "negatives": "negatives", "quiet": "quiet"})


def test_instances_are_counted(tmp_path: Path) -> None:
    report = check.read(instances(tmp_path), tmp_path)
    train, val = report.splits["train"], report.splits["val"]
    assert (len(train.photos), len(val.photos)) == (3, 2)
    assert train.labels == val.labels == Counter(glass_shatter=1)
    assert (train.without, train.crowds, val.without, val.crowds) == (2, 1, 1, 0)
    assert report.note("scratch") == "missing in train and val"
    assert report.note("glass_shatter") == "rare, under 20"
    train.labels["glass_shatter"] = 20
    assert report.note("glass_shatter") == ""
    assert report.same_name == ["a.png"]
    assert report.problems == []


def test_photos_of_heads_are_counted(tmp_path: Path) -> None:
    report = check.read(heads(tmp_path), tmp_path)
    assert report.labels == ["color red", "color blue", "view front", "view left"]
    assert report.splits["train"].labels == Counter(["color blue", "view left", "view front"])
    assert [photo.file for photo in report.splits["val"].photos] == ["b.png"]


def test_photos_of_a_classifier_are_counted(tmp_path: Path) -> None:
    test_stanford.draw(tmp_path / "cars", test_stanford.GOOD)
    changed = recipes.read("car_details").model_dump()
    changed["data"] = {"root": "cars", "label_table": "stanford_cars.csv"}
    report = check.read(Recipe(**changed), tmp_path)
    assert len(report.labels) == 196
    assert report.splits["val"].labels == Counter([test_stanford.NAMES[1]])
    assert report.note(test_stanford.NAMES[0]) == "missing in val"


def test_photos_are_opened(tmp_path: Path) -> None:
    recipe = instances(tmp_path)
    (tmp_path / "train" / "more.png").write_bytes(sets.encoded(5, 40, 60))
    (tmp_path / "negatives" / "negatives.png").write_bytes(b"no photo")
    (tmp_path / "quiet" / "quiet.png").write_bytes(sets.encoded(0, 90, 60, "JPEG"))  # what train/a.png shows
    report, steps = check.read(recipe, tmp_path), []
    check.open_photos(report, lambda: steps.append(1))
    assert len(steps) == 5
    first, second = report.problems
    assert first == f"{tmp_path / 'train' / 'more.png'}: the photo is 40 x 60 pixels, its labels say 60 x 40"
    assert second.startswith(f"{tmp_path / 'negatives' / 'negatives.png'}: the photo cannot be read")
    assert report.same_photo == [(str(tmp_path / "train" / "a.png"), str(tmp_path / "quiet" / "quiet.png"))]


def test_a_good_set_has_no_problems(tmp_path: Path) -> None:
    report = check.read(instances(tmp_path), tmp_path)
    check.open_photos(report)
    assert report.problems == []
    assert report.same_photo == []


@pytest.mark.parametrize("form", ["JPEG", "PNG", "WEBP"])
def test_a_photo_that_ends_early_is_told(tmp_path: Path, form: str) -> None:
    recipe = instances(tmp_path)
    whole = sets.encoded(5, 600, 400, form)
    for name, data in (("negatives/negatives.png", whole), ("quiet/quiet.png", whole[: len(whole) * 2 // 3])):
        (tmp_path / name).write_bytes(data)
    report = check.read(recipe, tmp_path)
    check.open_photos(report)
    (problem,) = report.problems
    assert problem.startswith(f"{tmp_path / 'quiet' / 'quiet.png'}: the photo cannot be read: ")


def test_every_problem_of_a_photo_is_told_in_the_order_of_the_photos(tmp_path: Path) -> None:
    recipe = instances(tmp_path)
    whole = sets.encoded(5, 600, 400, "JPEG")
    (tmp_path / "train" / "a.png").write_bytes(whole[: len(whole) * 2 // 3])
    (tmp_path / "val" / "a.png").write_bytes(b"no photo")
    report = check.read(recipe, tmp_path)
    check.open_photos(report)
    size, early, no_photo = report.problems
    assert size == f"{tmp_path / 'train' / 'a.png'}: the photo is 600 x 400 pixels, its labels say 60 x 40"
    assert early.startswith(f"{tmp_path / 'train' / 'a.png'}: the photo cannot be read: ")
    assert no_photo.startswith(f"{tmp_path / 'val' / 'a.png'}: the photo cannot be read: ")


def test_nothing_more_is_opened_once_it_is_stopped(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    report, opened = check.read(instances(tmp_path), tmp_path), list[int]()
    report.splits["train"].photos *= 400
    real = duplicates.perceptual_hash

    def hashed(*of: Any) -> Any:
        opened.append(1)
        return real(*of)

    monkeypatch.setattr("training.check.duplicates.perceptual_hash", hashed)

    def stop() -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        check.open_photos(report, stop)
    assert len(opened) < 1200


def test_what_is_broken_is_raised(tmp_path: Path) -> None:
    recipe = instances(tmp_path)
    (tmp_path / "train" / "more.png").unlink()
    with pytest.raises(ValueError, match=r"train\.json: photo 'more\.png' does not exist"):
        check.read(recipe, tmp_path)
