"""Photos from a zip or from a folder of the same layout."""

import io
import zipfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from training.data.archive import Archive, Crops


def image(color: tuple[int, ...], mode: str = "RGB", kind: str = "PNG") -> bytes:
    file = io.BytesIO()
    Image.new(mode, (6, 4), color).save(file, kind)
    return file.getvalue()


FILES = {
    "val/red.png": image((255, 0, 0)),
    "val/blue.png": image((0, 0, 255)),
    "half.png": image((9, 8, 7, 60), "RGBA"),
}


@pytest.fixture(params=["zip", "folder"])
def archive(request: pytest.FixtureRequest, tmp_path: Path) -> Archive:
    path = tmp_path / "car.photos" / "val.v2"
    path.parent.mkdir()
    if request.param == "zip":
        with zipfile.ZipFile(path.parent / "val.v2.zip", "w") as file:
            file.mkdir("val")
            for name, data in FILES.items():
                file.writestr(name, data)
    else:
        for name, data in FILES.items():
            (path / name).parent.mkdir(parents=True, exist_ok=True)
            (path / name).write_bytes(data)
    return Archive(path)


def test_names_are_those_of_files_sorted(archive: Archive) -> None:
    assert archive.names() == sorted(FILES)


def test_photos_are_told_by_their_ending(tmp_path: Path) -> None:
    for name in ("b.JPG", "a.heic", "notes.txt", "c.jpg.json"):
        (tmp_path / name).touch()
    assert Archive(tmp_path).photos() == ["a.heic", "b.JPG"]


def test_photos_are_rgb(archive: Archive) -> None:
    photo = archive.photo("val/red.png")
    assert photo.shape == (4, 6, 3)
    assert photo.dtype == np.uint8
    assert (photo == (255, 0, 0)).all()


def test_a_cutout_keeps_its_alpha(archive: Archive) -> None:
    cutout = archive.cutout("half.png")
    assert cutout.mode == "RGBA"
    assert cutout.getpixel((0, 0)) == (9, 8, 7, 60)
    assert archive.cutout("val/red.png").getpixel((0, 0)) == (255, 0, 0, 255)


def test_a_missing_file_is_told_with_its_archive(archive: Archive) -> None:
    with pytest.raises(FileNotFoundError, match=r"val\.v2: no file 'val/green\.png'"):
        archive.read("val/green.png")


def test_threads_read_together(archive: Archive) -> None:
    names = sorted(FILES) * 20
    with ThreadPoolExecutor(8) as pool:
        assert list(pool.map(archive.read, names)) == [FILES[name] for name in names]


def test_neither_zip_nor_folder(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match=r"neither .*train\.zip nor the folder .*train exists"):
        Archive(tmp_path / "train")


def test_sizes_are_read_and_broken_photos_told(archive: Archive, tmp_path: Path) -> None:
    assert archive.size("val/red.png") == (6, 4)
    (tmp_path / "broken").mkdir()
    (tmp_path / "broken" / "a.png").write_bytes(FILES["half.png"][:20])
    with pytest.raises(ValueError, match="the photo cannot be read: "):
        Archive(tmp_path / "broken").size("a.png")


def test_crops_are_cut_to_their_box(tmp_path: Path) -> None:
    pixels = np.arange(4 * 6 * 3, dtype=np.uint8).reshape(4, 6, 3)
    (tmp_path / "cars").mkdir()
    for name in ("a.png", "b.png", "c.png"):
        Image.fromarray(pixels).save(tmp_path / "cars" / name)
    crops = Crops(tmp_path / "cars", {"a.png": (1, 2, 5, 4), "c.png": (6, 0, 9, 4)})
    assert (crops.photo("a.png") == pixels[2:4, 1:5]).all()
    assert (crops.photo("b.png") == pixels).all()
    with pytest.raises(ValueError, match=r"cars: the box of 'c\.png' begins outside the photo"):
        crops.photo("c.png")
