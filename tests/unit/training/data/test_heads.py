"""Photos of several heads: where each lies, and what is missing."""

from pathlib import Path

import pytest

from tests.unit.training.data import sets
from training.data import heads

HEADS = {
    "color": {"labels": ["red", "blue"], "table": "color.csv", "photos": "color"},
    "view": {"labels": ["front", "left"], "table": "view.csv", "photos": "view", "cutouts": "cut"},
}
COLOR = "file,color,split\na.png,blue,train\nb.png,red,val\n"
VIEW = "file,view,split,kind,archive\nc.png,left,train,cutout,\nd.png,front,train,photo,other/cars.zip\n"


def draw(root: Path, color: str = COLOR) -> Path:
    for folder, name in (("color_train", "a"), ("color_val", "b"), ("cut_train", "c"), ("other/cars", "d")):
        sets.photos(root / folder, [f"{name}.png"])
    sets.write(root / "color.csv", color)
    sets.write(root / "view.csv", VIEW)
    return root


def test_photos_of_all_heads(tmp_path: Path) -> None:
    samples, archives = heads.read(HEADS, draw(tmp_path))
    assert samples["train"] == [
        heads.Sample("color_train", "a.png", "color", 1, False),
        heads.Sample("cut_train", "c.png", "view", 1, True),
        heads.Sample("other/cars", "d.png", "view", 0, False),
    ]
    assert samples["val"] == [heads.Sample("color_val", "b.png", "color", 0, False)]
    assert set(archives) == {"color_train", "color_val", "cut_train", "other/cars"}


def test_all_that_is_missing_is_told(tmp_path: Path) -> None:
    draw(tmp_path, COLOR + "x.png,red,train\ny.png,pink,val\n")
    (tmp_path / "cut_train" / "c.png").unlink()
    (tmp_path / "cut_train").rmdir()
    with pytest.raises(ValueError, match="3 problems") as caught:
        heads.read(HEADS, tmp_path)
    text = str(caught.value)
    assert "color.csv, line 5: color 'pink' is not one of red, blue" in text
    assert "cut_train.zip nor the folder" in text
    assert "color.csv: photo 'x.png' does not exist in color_train" in text
