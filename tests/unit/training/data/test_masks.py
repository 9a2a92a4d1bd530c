"""Run lengths are decoded or refused, and rings cover what the mask covers."""

from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image, ImageDraw
from pycocotools import mask as coco  # type: ignore[import-untyped]

from training.data import masks

WIDTH, HEIGHT = 60, 40


def drawn() -> NDArray[np.uint8]:
    """A square with a hole, a disc beside it, and another at the edge."""
    ys, xs = np.mgrid[:HEIGHT, :WIDTH]
    mask = ((xs >= 5) & (xs < 25) & (ys >= 6) & (ys < 30)) | ((xs - 42) ** 2 + (ys - 15) ** 2 < 60) | (ys + xs > 90)
    mask &= ~((xs >= 12) & (xs < 19) & (ys >= 14) & (ys < 22))
    return np.asarray(mask, np.uint8)


def plain(mask: NDArray[np.uint8]) -> dict[str, Any]:
    """Uncompressed run lengths, column by column, zeros first."""
    flat = mask.ravel(order="F")
    ends = np.flatnonzero(np.diff(flat)) + 1
    counts = np.diff([0, *ends.tolist(), flat.size]).tolist()
    return {"size": [HEIGHT, WIDTH], "counts": [0, *counts] if flat[0] else counts}


def compressed(mask: NDArray[np.uint8]) -> dict[str, Any]:
    code = coco.encode(np.asfortranarray(mask))
    return {"size": code["size"], "counts": code["counts"].decode("ascii")}


@pytest.mark.parametrize("seed", range(4))
def test_both_codes_give_the_mask(seed: int) -> None:
    mask = drawn() if seed == 0 else (np.random.default_rng(seed).random((HEIGHT, WIDTH)) < 0.3 * seed).astype(np.uint8)
    for code in (plain(mask), compressed(mask)):
        assert (masks.decode(code, WIDTH, HEIGHT) == mask).all()


@pytest.mark.parametrize(
    ("code", "expected"),
    [
        ({"size": [60, 40], "counts": [2400]}, r"the mask's size is \[60, 40\], the photo's \[40, 60\]"),
        ({"size": [40, 60], "counts": [2000]}, "run lengths do not add up to 2400 pixels"),
        ({"size": [40, 60], "counts": [2500, -100]}, "do not add up"),
        ({"size": [40, 60], "counts": compressed(drawn())["counts"][:-2]}, "run lengths do not add up to 2400"),
        ({"size": [40, 60], "counts": "PPPPPPPPPPPPPPPPPPPPP"}, "run lengths do not add up to 2400"),
        ({"size": [40, 60], "counts": "é"}, "run lengths do not add up to 2400"),
        ({"size": [40, 60]}, "run lengths do not add up to 2400"),
    ],
)
def test_broken_codes_are_refused(code: dict[str, Any], expected: str) -> None:
    with pytest.raises(ValueError, match=expected):
        masks.decode(code, WIDTH, HEIGHT)


def test_rings_cover_the_mask_and_leave_its_holes_out() -> None:
    mask = drawn()
    rings = masks.rings(mask)
    assert len(rings) == 3
    # Drawn at eight times the size, so that what is at stake is the outline, not how Pillow rounds it.
    again = Image.new("L", (WIDTH * 8, HEIGHT * 8))
    for ring in rings:
        ImageDraw.Draw(again).polygon([(float(x) * 8, float(y) * 8) for x, y in ring], fill=1)
    covered = np.asarray(again)
    whole = np.kron(mask, np.ones((8, 8), np.uint8))
    assert (covered & whole).sum() / (covered | whole).sum() > 0.96
    assert not covered[18 * 8 - 8, 15 * 8]  # the middle of the hole
    assert covered[10 * 8, 8 * 8]


def test_an_empty_mask_has_no_ring() -> None:
    assert masks.rings(np.zeros((HEIGHT, WIDTH), np.uint8)) == []
