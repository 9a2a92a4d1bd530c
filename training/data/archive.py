"""Photos by name, from a `.zip` or from a folder of the same layout."""

import io
import threading
import zipfile
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from models.photo import Header, Limits, PhotoError, decode, read_header

ENDINGS = (".jpg", ".jpeg", ".jpe", ".mpo", ".png", ".webp", ".gif", ".bmp", ".tif", ".tiff", ".avif", ".heic", ".heif")


def photo_header(data: bytes) -> Header:
    """What a photo says of itself, nothing decoded. `ValueError` says why it cannot be read."""
    try:
        return read_header(data, Limits())
    except PhotoError as error:
        raise ValueError(f"the photo cannot be read: {error}") from None


class Archive:
    """`read(name)` from `PATH.zip`, or from the folder `PATH`; safe to call from several threads."""

    def __init__(self, path: Path) -> None:
        self.path = path
        zipped = path.parent / f"{path.name}.zip"
        if path.is_dir():
            self._zip = None
        elif zipped.exists():
            self._zip = zipfile.ZipFile(zipped)
        else:
            raise FileNotFoundError(f"neither {zipped} nor the folder {path} exists")
        self._lock = threading.Lock()

    def names(self) -> list[str]:
        """Names of all files, sorted."""
        if self._zip is None:
            return sorted(str(p.relative_to(self.path)) for p in self.path.rglob("*") if p.is_file())
        return sorted(name for name in self._zip.namelist() if not name.endswith("/"))

    def photos(self) -> list[str]:
        """Names of the files that are photos by their ending, sorted."""
        return [name for name in self.names() if name.lower().endswith(ENDINGS)]

    def read(self, name: str) -> bytes:
        """The bytes of one file; `FileNotFoundError` names file and archive."""
        try:
            if self._zip is None:
                return (self.path / name).read_bytes()
            with self._lock:
                return self._zip.read(name)
        except (KeyError, FileNotFoundError):
            raise FileNotFoundError(f"{self.path}: no file {name!r}") from None

    def photo(self, name: str) -> NDArray[np.uint8]:
        """RGB pixels (height, width, 3) by the decoder the service uses."""
        data = self.read(name)
        return decode(data, read_header(data, Limits())).pixels

    def size(self, name: str) -> tuple[int, int]:
        """Width and height after EXIF orientation, nothing decoded. `ValueError` says why it cannot be read."""
        found = photo_header(self.read(name))
        return found.width, found.height

    def cutout(self, name: str) -> Image.Image:
        """An image with its alpha channel kept, for pasting."""
        return Image.open(io.BytesIO(self.read(name))).convert("RGBA")


class Crops(Archive):
    """Photos cut to a box each: x1, y1, x2, y2 in the photo's own pixels; one without a box is whole."""

    def __init__(self, path: Path, boxes: Mapping[str, tuple[int, int, int, int]]) -> None:
        super().__init__(path)
        self.boxes = boxes

    def photo(self, name: str) -> NDArray[np.uint8]:
        pixels = super().photo(name)
        if name not in self.boxes:
            return pixels
        x1, y1, x2, y2 = self.boxes[name]
        if x1 >= pixels.shape[1] or y1 >= pixels.shape[0]:
            raise ValueError(f"{self.path}: the box of {name!r} begins outside the photo")
        return np.ascontiguousarray(pixels[y1:y2, x1:x2])


class Several(Archive):
    """Photos of several archives; a name that more than one has is the first one's."""

    def __init__(self, archives: Sequence[Archive]) -> None:
        self.path = archives[0].path
        self._places = {name: one for one in reversed(archives) for name in one.names()}

    def names(self) -> list[str]:
        return sorted(self._places)

    def read(self, name: str) -> bytes:
        if name not in self._places:
            raise FileNotFoundError(f"{self.path} and others: no file {name!r}")
        return self._places[name].read(name)
