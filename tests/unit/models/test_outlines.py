"""Outlines of masks: exact on known shapes, islands kept, holes filled, run lengths that decode to the same area."""

import math

import numpy as np
import pytest
from numpy.typing import NDArray

from models import outlines

SIDE = 28
BOX = (10.0, 20.0, 66.0, 132.0)  # a cell of the mask is 2 x 4 pixels


def blank() -> NDArray[np.float64]:
    return np.zeros((SIDE, SIDE))


def block(y1: int, y2: int, x1: int, x2: int, value: float = 1.0) -> NDArray[np.float64]:
    mask = blank()
    mask[y1:y2, x1:x2] = value
    return mask


def decoded(counts: str, height: int, width: int) -> NDArray[np.bool_]:
    """COCO's compressed run lengths as its C code reads them: five bits each, differences, by columns."""
    runs: list[int] = []
    value = shift = 0
    for character in counts.encode():
        bits = character - 48
        value |= (bits & 0x1F) << shift
        shift += 5
        if not bits & 0x20:
            signed = value - (1 << shift) if bits & 0x10 else value
            runs.append(signed + (runs[-2] if len(runs) > 2 else 0))
            value = shift = 0
    assert sum(runs) == height * width
    values = np.arange(len(runs)) % 2 == 1
    return np.repeat(values, runs).reshape(width, height).T


def extent(ring: NDArray[np.float64]) -> tuple[float, ...]:
    return (*ring.min(axis=0).tolist(), *ring.max(axis=0).tolist())


def disc(radius: float, centre: float = SIDE / 2) -> NDArray[np.float64]:
    """A disc with a soft edge, as a network draws it; the 0.5 line is the circle."""
    y, x = np.mgrid[0:SIDE, 0:SIDE] + 0.5
    soft: NDArray[np.float64] = np.clip(0.5 + (radius - np.hypot(x - centre, y - centre)) / 2, 0, 1)
    return soft


def test_a_full_mask_is_its_box() -> None:
    (ring,) = outlines.trace(np.ones((SIDE, SIDE)), BOX)
    assert extent(ring) == BOX
    # Half a cell is cut off at each corner.
    assert abs(outlines.signed_area(ring)) == pytest.approx(56 * 112 - 4 * (2 * 4) / 8)


def test_a_block_has_its_edges_between_the_cells() -> None:
    (ring,) = outlines.trace(block(7, 21, 4, 14), BOX)
    assert extent(ring) == pytest.approx((10 + 4 * 2, 20 + 7 * 4, 10 + 14 * 2, 20 + 21 * 4))


def test_rows_are_y_and_columns_are_x() -> None:
    (ring,) = outlines.trace(block(0, 2, 0, SIDE), BOX)
    assert extent(ring) == pytest.approx((10, 20, 66, 20 + 2 * 4))


def test_a_soft_disc_is_traced_between_cells() -> None:
    (ring,) = outlines.trace(disc(9), (0, 0, SIDE, SIDE))
    assert abs(outlines.signed_area(ring)) == pytest.approx(math.pi * 81, rel=0.01)
    distance = np.hypot(*(ring - SIDE / 2).T)
    assert distance.min() > 8.9
    assert distance.max() < 9.1


def test_probabilities_move_the_outline_by_less_than_a_cell() -> None:
    edges = []
    for value in (0.25, 0.5, 0.75, 1.0):
        mask = block(0, SIDE, 0, 14)
        mask[:, 14] = value
        (ring,) = outlines.trace(mask, (0, 0, SIDE, SIDE))
        edges.append(extent(ring)[2])
    assert edges == sorted(edges)
    assert len(set(edges)) == 4
    assert edges[-1] == pytest.approx(15)


def test_islands_are_rings_of_their_own() -> None:
    rings = outlines.trace(block(2, 10, 2, 10) + block(14, 24, 14, 26), BOX)
    assert len(rings) == 2
    assert {math.copysign(1, outlines.signed_area(ring)) for ring in rings} in ({1.0}, {-1.0})


def test_holes_are_filled() -> None:
    whole = outlines.trace(block(4, 24, 4, 24), BOX)
    pierced = outlines.trace(block(4, 24, 4, 24) - block(10, 18, 10, 18), BOX)
    assert len(pierced) == 1
    assert outlines.signed_area(pierced[0]) == pytest.approx(outlines.signed_area(whole[0]))


def test_specks_are_left_out() -> None:
    mask = disc(12)
    mask[0, 0] = 0.55
    assert len(outlines.trace(mask, (0, 0, SIDE, SIDE))) == 1
    # The same speck in a large photo is still too small a share of the whole.
    assert len(outlines.trace(mask, (0, 0, SIDE * 10, SIDE * 10))) == 1


def test_a_faint_mask_is_traced_below_its_peak() -> None:
    (ring,) = outlines.trace(block(7, 21, 7, 21, 0.3), (0, 0, SIDE, SIDE))
    left, top, right, bottom = extent(ring)
    assert 6.5 < left < 7.5
    assert 20.5 < right < 21.5
    assert (left, right) == pytest.approx((top, bottom))


@pytest.mark.parametrize("box", [BOX, (5.0, 5.0, 5.0, 90.0)])
def test_nothing_has_no_outline(box: tuple[float, float, float, float]) -> None:
    mask = blank() if box == BOX else np.ones((SIDE, SIDE))
    assert outlines.trace(mask, box) == []


def test_outlines_stay_in_their_box() -> None:
    rng = np.random.default_rng(0)
    for _ in range(20):
        for ring in outlines.trace(rng.random((SIDE, SIDE)), BOX):
            x1, y1, x2, y2 = extent(ring)
            assert (x1 >= BOX[0], y1 >= BOX[1], x2 <= BOX[2], y2 <= BOX[3]) == (True,) * 4


def test_signed_area_of_a_square_turns_with_its_direction() -> None:
    square = np.array([[0.0, 0.0], [4.0, 0.0], [4.0, 4.0], [0.0, 4.0]])
    assert outlines.signed_area(square) == 16
    assert outlines.signed_area(square[::-1]) == -16


def test_polygons_are_flat_and_not_closed_twice() -> None:
    (ring,) = outlines.trace(block(7, 21, 4, 14), BOX)
    (flat,) = outlines.polygons([ring]).polygons
    assert len(flat) == 2 * (len(ring) - 1)
    assert flat[:2] != flat[-2:]
    assert flat[:2] == pytest.approx(ring[0].tolist(), abs=0.05)
    assert all(value == round(value, 1) for value in flat)


@pytest.mark.parametrize("shape", ["disc", "islands", "full"])
def test_run_lengths_decode_to_the_same_area(shape: str) -> None:
    masks = {"disc": disc(9), "islands": block(2, 10, 2, 10) + block(14, 24, 14, 26), "full": np.ones((SIDE, SIDE))}
    rings = outlines.trace(masks[shape], (30, 10, 170, 150))
    code = outlines.run_lengths(rings, 200, 160)
    assert code.size == [160, 200]
    mask = decoded(code.counts, 160, 200)
    assert mask.sum() == pytest.approx(sum(abs(outlines.signed_area(ring)) for ring in rings), rel=0.02)
    ys, xs = np.nonzero(mask)
    corners = np.concatenate(rings)
    assert (xs.min(), ys.min()) == pytest.approx(corners.min(axis=0), abs=1)
    assert (xs.max() + 1, ys.max() + 1) == pytest.approx(corners.max(axis=0), abs=1)


def test_no_rings_are_an_empty_code() -> None:
    code = outlines.run_lengths([], 30, 20)
    assert code.size == [20, 30]
    assert not decoded(code.counts, 20, 30).any()


def test_points_in_a_triangle_and_in_islands() -> None:
    triangle, island = [0.0, 0.0, 4.0, 0.0, 0.0, 4.0], [6.0, 0.0, 8.0, 0.0, 8.0, 2.0, 6.0, 2.0]
    found = outlines.inside([triangle, island], np.arange(0.4, 8), np.arange(0.4, 3))
    expected = ["XXXX..XX", "XXX...XX", "XX......"]
    assert ["".join(".X"[int(one)] for one in row) for row in found] == expected


def test_points_in_a_polygon_that_crosses_itself_by_the_even_odd_rule() -> None:
    twice = [0.0, 0.0, 4.0, 0.0, 4.0, 4.0, 0.0, 4.0]
    assert not outlines.inside([twice + twice], np.array([1.0]), np.array([1.0])).any()
    assert outlines.inside([twice, twice], np.array([1.0]), np.array([1.0])).all()


def test_points_of_a_traced_mask_cover_its_area() -> None:
    rings = outlines.trace(block(4, 24, 8, 20), BOX)
    xs, ys = np.arange(10.5, 66.5), np.arange(20.5, 132.5)
    found = outlines.inside(outlines.polygons(rings).polygons, xs, ys).sum()
    assert found == pytest.approx(sum(abs(outlines.signed_area(ring)) for ring in rings), rel=0.02)


@pytest.mark.parametrize("polygons", [[], [[]], [[3.0, 3.0]], [[3.0, 3.0, 9.0, 3.0]]])
def test_no_points_in_what_has_no_area(polygons: list[list[float]]) -> None:
    assert not outlines.inside(polygons, np.arange(10.0), np.arange(10.0)).any()
