"""Outlines to pixels: where they lie, united, and cut to the frame."""

import numpy as np

from training.rasters import rasterise


def test_a_rectangle_is_rasterised_where_it_lies() -> None:
    mask = rasterise([np.array([[2, 3], [9, 3], [9, 6], [2, 6]], np.float32)], 12, 12)
    assert mask.shape == (12, 12)
    assert set(np.unique(mask)) == {0, 1}
    ys, xs = np.nonzero(mask)
    assert (xs.min(), xs.max(), ys.min(), ys.max()) == (2, 9, 3, 6)


def test_rings_are_united_and_cut_to_the_frame() -> None:
    one = np.array([[-5, -5], [3, -5], [3, 3], [-5, 3]], np.float32)
    other = np.array([[8, 8], [20, 8], [20, 20], [8, 20]], np.float32)
    mask = rasterise([one, other], 12, 12)
    assert mask[0, 0] == mask[3, 3] == mask[8, 8] == mask[11, 11] == 1
    assert mask[5, 5] == 0


def test_a_mask_is_as_wide_and_high_as_asked() -> None:
    mask = rasterise([np.array([[0, 0], [20, 0], [20, 2], [0, 2]], np.float32)], 20, 6)
    assert mask.shape == (6, 20)
    assert mask[:3].all()
    assert not mask[3:].any()
