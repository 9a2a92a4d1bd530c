"""Photos from a zip or from a folder of the same layout."""

import io
import zipfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from training.data.archive import Archive


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
