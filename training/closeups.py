"""Close-ups of annotated photos, the same ones every time: what a detector is worth from half a metre."""

from collections.abc import Sequence

import numpy as np

from training.data import masks
from training.data.annotated import Annotated, Instance
from training.data.archive import Archive
from training.frames import Part, close_frame
from training.rasters import rasterise

EACH = 2
"""Close-ups of each photo."""

LEAST = 0.25
"""Share of an object's box that must be left for it to be asked for; what shows less counts neither way."""


class CloseUps:
    """Parts of photos with the instances in them, cut to the part; `photos` have files of their own, which `photo`
    reads."""

    def __init__(self, photos: Sequence[Annotated], archive: Archive, seed: int = 0) -> None:
        self._archive = archive
        self._parts: dict[str, tuple[str, Part]] = {}
        self.photos: list[Annotated] = []
        for number, photo in enumerate(one for one in photos if one.instances):
            rng = np.random.default_rng((seed, number))
            for n in range(EACH):
                self._add(photo, f"{photo.file}#{n + 1}", rng)

    def _add(self, photo: Annotated, file: str, rng: np.random.Generator) -> None:
        x1, y1, x2, y2 = photo.instances[rng.integers(len(photo.instances))].box()
        point = rng.uniform(x1, x2), rng.uniform(y1, y2)
        left, top, right, bottom = (round(v) for v in close_frame((photo.width, photo.height), point, rng))
        self._parts[file] = photo.file, (left, top, right, bottom)
        width, height = right - left, bottom - top
        cut = [found for one in photo.instances if (found := clipped(one, left, top, width, height))]
        self.photos.append(Annotated(len(self.photos) + 1, file, width, height, cut))

    def photo(self, file: str) -> np.ndarray:
        """RGB pixels (height, width, 3) of one close-up."""
        whole, (left, top, right, bottom) = self._parts[file]
        return np.ascontiguousarray(self._archive.photo(whole)[int(top) : int(bottom), int(left) : int(right)])


def clipped(instance: Instance, left: int, top: int, width: int, height: int) -> Instance | None:
    """The instance in a part of its photo, in the part's pixels; None where none of it is there. One of which too
    little is left is a crowd: neither right nor wrong to find."""
    rings = masks.rings(rasterise([ring - (left, top) for ring in instance.rings], width, height))
    if not rings:
        return None
    found = Instance(instance.label, rings, instance.crowd, instance.attributes)
    x1, y1, x2, y2 = found.box()
    full = instance.box()
    share = (x2 - x1) * (y2 - y1) / max((full[2] - full[0]) * (full[3] - full[1]), 1e-9)
    return found if share >= LEAST else Instance(instance.label, rings, True, instance.attributes)
