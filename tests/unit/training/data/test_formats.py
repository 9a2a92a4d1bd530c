"""Which reader a recipe gets, and that every format gives the same photos."""

import re
from pathlib import Path
from typing import Any

import pytest

from tests.unit.training.data import sets, test_stanford
from training import recipe as recipes
from training.data import formats
from training.recipe import Recipe

LABELS = ["scratch", "glass_shatter"]
POINTS = sets.SQUARE
SHARES = " ".join(f"{value / (60, 40)[n % 2]:.6f}" for n, value in enumerate(POINTS))


def recipe(data: dict[str, str], **task: Any) -> Recipe:
    changed = recipes.read("damage").model_dump() | {"data": data, "task": {"labels": LABELS, **task}}
    return Recipe(**changed)


def coco(name: str, category: str = "glass_shatter") -> dict[str, Any]:
    return {
        "images": [{"id": 1, "file_name": name, "width": 60, "height": 40}],
        "categories": [{"id": 3, "name": category}],
        "annotations": [{"id": 1, "image_id": 1, "category_id": 3, "segmentation": [POINTS]}],
    }


def draw_coco(root: Path) -> dict[str, str]:
    for split in ("train", "val"):
        sets.photos(root / split, ["a.png"])
        sets.write(root / f"{split}.json", coco("a.png"))
    return {"train": "train", "val": "val", "train_labels": "train.json", "val_labels": "val.json"}


def draw_cardd(root: Path) -> dict[str, str]:
    for split in ("train", "val"):
        sets.photos(root / "CarDD_COCO" / f"{split}2017", ["a.png"])
        path = root / "CarDD_COCO" / "annotations" / f"instances_{split}2017.json"
        sets.write(path, coco("a.png", "glass shatter"))
    return {"root": "CarDD_COCO"}


def draw_yolo(root: Path) -> dict[str, str]:
    for split in ("train", "val"):
        sets.photos(root / "images" / split, ["a.png"])
        sets.write(root / "labels" / split / "a.txt", f"0 {SHARES}")
    sets.write(root / "data.yaml", "names: [glass_shatter]")
    return {"train": "images/train", "val": "images/val", "train_labels": "data.yaml", "val_labels": "data.yaml"}


def draw_via(root: Path) -> dict[str, str]:
    shape = {"name": "polygon", "all_points_x": POINTS[::2], "all_points_y": POINTS[1::2]}
    region = {"shape_attributes": shape, "region_attributes": {"kind": "glass_shatter"}}
    for split in ("train", "val"):
        sets.photos(root / split, ["a.png"])
        sets.write(root / split / "via_region_data.json", {"a": {"filename": "a.png", "regions": [region]}})
    place = "{}/via_region_data.json"
    return {"train": "train", "val": "val", "train_labels": place.format("train"), "val_labels": place.format("val")}


def draw_datumaro(root: Path) -> dict[str, str]:
    annotation = {"id": 1, "type": "polygon", "label_id": 0, "points": POINTS}
    for split in ("train", "val"):
        sets.photos(root / "images" / split, ["a.png"])
        labels = {"label": {"labels": [{"name": "glass_shatter"}]}}
        items = [{"id": "a", "annotations": [annotation], "image": {"path": "a.png", "size": [40, 60]}}]
        sets.write(root / "annotations" / f"{split}.json", {"categories": labels, "items": items})
    place = "annotations/{}.json"
    return {
        "train": "images/train",
        "val": "images/val",
        "train_labels": place.format("train"),
        "val_labels": place.format("val"),
    }


DRAWN = {"coco": draw_coco, "cardd": draw_cardd, "yolo": draw_yolo, "via": draw_via, "datumaro": draw_datumaro}


@pytest.mark.parametrize("named", [True, False])
@pytest.mark.parametrize("form", DRAWN)
def test_every_format_gives_the_same(tmp_path: Path, form: str, named: bool) -> None:
    data = DRAWN[form](tmp_path)
    found = formats.instances(recipe(data | ({"format": form} if named else {})), tmp_path)
    for split in ("train", "val"):
        (photo,), archive = found[split]
        assert (photo.file, photo.width, photo.height) == ("a.png", 60, 40)
        (instance,) = photo.instances
        assert instance.label == 1
        assert instance.rings[0].ravel().tolist() == pytest.approx(POINTS, abs=1e-3)
        assert archive.photo(photo.file).shape == (40, 60, 3)


def with_more(root: Path, file: str = "b.png") -> dict[str, str]:
    data = draw_coco(root)
    sets.photos(root / "other", ["b.png", "c.png"])
    sets.write(root / "more.json", coco(file))
    return data | {"more": "other", "more_labels": "more.json"}


def test_photos_of_another_archive_are_added_to_train(tmp_path: Path) -> None:
    found = formats.instances(recipe(with_more(tmp_path)), tmp_path)
    photos, archive = found["train"]
    assert [(photo.id, photo.file, len(photo.instances)) for photo in photos] == [(1, "a.png", 1), (2, "b.png", 1)]
    assert all(archive.photo(photo.file).shape == (40, 60, 3) for photo in photos)
    assert archive.names() == ["a.png", "b.png", "c.png"]
    assert [photo.file for photo in found["val"][0]] == ["a.png"]
    with pytest.raises(FileNotFoundError, match=r"no file 'd\.png'"):
        archive.read("d.png")


def test_some_of_another_archive_are_held_back(tmp_path: Path) -> None:
    data = with_more(tmp_path) | {"more_val_labels": "held.json"}
    sets.write(tmp_path / "held.json", coco("c.png"))
    found = formats.instances(recipe(data), tmp_path)
    assert {split: [photo.file for photo in photos] for split, (photos, _) in found.items()} == {
        "train": ["a.png", "b.png"],
        "val": ["a.png"],
        "more": ["c.png"],
    }
    assert found["more"][1].photo("c.png").shape == (40, 60, 3)
    sets.write(tmp_path / "held.json", coco("b.png"))
    with pytest.raises(ValueError, match=r"held\.json: b\.png is also a photo of data\.more_labels"):
        formats.instances(recipe(data), tmp_path)


def test_silent_labels_follow_the_others_on_the_photos_that_have_them(tmp_path: Path) -> None:
    data = with_more(tmp_path) | {"silent_labels": "silent.json"}
    sets.write(tmp_path / "silent.json", coco("b.png", "fender"))
    photos, _ = formats.instances(recipe(data, silent=["sill", "fender"]), tmp_path)["train"]
    labels = {photo.file: ([one.label for one in photo.instances], photo.partial) for photo in photos}
    assert labels == {"a.png": ([1], True), "b.png": ([1, 3], False)}
    with pytest.raises(ValueError, match="fender"):
        formats.instances(recipe(data, silent=["sill"]), tmp_path)
    sets.write(tmp_path / "silent.json", coco("c.png", "fender"))
    with pytest.raises(ValueError, match=r"silent\.json: photo 'c\.png' is not among those to train on"):
        formats.instances(recipe(data, silent=["sill", "fender"]), tmp_path)


@pytest.mark.parametrize(("file", "said"), [("a.png", "a.png"), ("d.png", "photo 'd.png' does not exist")])
def test_more_photos_that_are_missing_or_called_the_same_are_told(tmp_path: Path, file: str, said: str) -> None:
    data = with_more(tmp_path, file)
    if file == "a.png":
        sets.photos(tmp_path / "other", ["a.png"])
    with pytest.raises(ValueError, match=re.escape(said)):
        formats.instances(recipe(data), tmp_path)


def test_problems_of_both_splits_are_told_together(tmp_path: Path) -> None:
    data = draw_coco(tmp_path)
    sets.write(tmp_path / "train.json", coco("b.png"))
    sets.write(tmp_path / "val.json", "{")
    with pytest.raises(ValueError, match="2 problems") as caught:
        formats.instances(recipe(data), tmp_path)
    assert "train.json: photo 'b.png' does not exist in the archive of photos" in str(caught.value)
    assert "val.json: not JSON (line 1, column 2" in str(caught.value)


def test_names_of_the_files_may_be_renamed(tmp_path: Path) -> None:
    data = draw_coco(tmp_path)
    with pytest.raises(ValueError, match="categories glass_shatter are not among the labels dent"):
        formats.instances(recipe(data, labels=["dent"]), tmp_path)
    found = formats.instances(recipe(data, labels=["dent"], rename={"glass_shatter": "dent"}), tmp_path)
    assert found["val"][0][0].instances[0].label == 0


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"format": "voc"}, "data.format 'voc' is not one of coco, datumaro, via, yolo"),
        ({"format": "via"}, "not VIA's annotations"),
        ({"val_labels": "other.json"}, "other.json: not labels that are known; say which of"),
        ({"val": "nowhere"}, "nowhere.zip nor the folder"),
        ({"val_labels": "nowhere.json"}, "nowhere.json"),
    ],
)
def test_a_recipe_that_does_not_fit_is_told(tmp_path: Path, changes: dict[str, str], expected: str) -> None:
    data = draw_coco(tmp_path)
    sets.write(tmp_path / "other.json", {"some": "thing"})
    with pytest.raises(ValueError, match=re.escape(expected)):
        formats.instances(recipe(data | changes), tmp_path)


def test_a_missing_key_is_named(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="recipe 'damage': the key 'train_labels' is missing under `data`"):
        formats.instances(recipe({"train": "train"}), tmp_path)


def draw_table(root: Path) -> dict[str, str]:
    for split in ("train", "val"):
        sets.photos(root / split, ["a.png"])
    sets.write(root / "labels.csv", "file,class,split\na.png,glass_shatter,train\na.png,glass_shatter,val\n")
    return {"labels": "labels.csv", "column": "class", "train": "train", "val": "val"}


def draw_folders(root: Path) -> dict[str, str]:
    for split in ("train", "val"):
        sets.photos(root / split, ["glass_shatter/a.png"])
    return {"train": "train", "val": "val"}


def draw_tags(root: Path) -> dict[str, str]:
    data = draw_datumaro(root)
    for split in ("train", "val"):
        path = root / "annotations" / f"{split}.json"
        path.write_text(path.read_text().replace('"polygon"', '"label"'))
    return data


LABELLED = {"table": draw_table, "folders": draw_folders, "datumaro": draw_tags}


@pytest.mark.parametrize("named", [True, False])
@pytest.mark.parametrize("form", LABELLED)
def test_every_format_of_labels_gives_the_same(tmp_path: Path, form: str, named: bool) -> None:
    data = LABELLED[form](tmp_path)
    found = formats.labelled(recipe(data | ({"format": form} if named else {})), tmp_path, LABELS)
    for split in ("train", "val"):
        (row,), archive = found[split]
        assert row.label == 1
        assert row.file.endswith("a.png")
        assert archive.photo(row.file).shape == (40, 60, 3)


@pytest.mark.parametrize("named", [{"format": "stanford"}, {}])
def test_stanfords_devkit(tmp_path: Path, named: dict[str, str]) -> None:
    test_stanford.draw(tmp_path / "cars", test_stanford.GOOD)
    found = formats.labelled(recipe({"root": "cars", **named}), tmp_path, test_stanford.NAMES)
    assert [row.label for row in found["train"][0]] == [1, 0]
    assert found["train"][1].photo("00002.png").shape == (26, 30, 3)
    (tmp_path / "cars" / "cars_train" / "00002.png").unlink()
    with pytest.raises(ValueError, match=r"cars_train_annos\.mat: photo '00002\.png' does not exist"):
        formats.labelled(recipe({"root": "cars"}), tmp_path, test_stanford.NAMES)


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("b.png,scratch,train", "labels.csv: photo 'b.png' does not exist in the archive of photos"),
        ("a.png,scratch,train", "labels.csv: photo 'a.png' is listed twice"),
        ("a.png,rust,val", "labels.csv, line 4: class 'rust' is not one of scratch, glass_shatter"),
    ],
)
def test_broken_labels_are_told(tmp_path: Path, line: str, expected: str) -> None:
    data = draw_table(tmp_path)
    with (tmp_path / "labels.csv").open("a") as file:
        file.write(f"{line}\n")
    with pytest.raises(ValueError, match=re.escape(expected)):
        formats.labelled(recipe(data), tmp_path, LABELS)


def test_a_split_without_photos_is_told(tmp_path: Path) -> None:
    data = draw_table(tmp_path)
    sets.write(tmp_path / "labels.csv", "file,class,split\na.png,scratch,train\n")
    with pytest.raises(ValueError, match=r"labels\.csv: no photo of the split 'val'"):
        formats.labelled(recipe(data), tmp_path, LABELS)
