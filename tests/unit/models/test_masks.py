"""Masks as pictures: which pixels, which of several, and what the files hold."""

import io
import json
import zipfile

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from models import outlines
from models.masks import Legend, Mask, archive, class_png, classes, mask_pngs, runs

LEGEND: Legend = {"dent": (230, 159, 0), "scratch": (0, 158, 224)}
SQUARE = [2.0, 3.0, 8.0, 3.0, 8.0, 7.0, 2.0, 7.0]


def square(label: str = "dent", score: float = 0.5, shift: float = 0.0) -> Mask:
    return Mask(label, score, [[value + shift for value in SQUARE]])


def test_a_square_covers_the_pixels_whose_centres_it_holds() -> None:
    wanted = np.zeros((10, 12), np.uint8)
    wanted[3:7, 2:8] = 1
    assert np.array_equal(classes([square()], LEGEND, 12, 10), wanted)
    assert np.array_equal(classes([square(shift=0.5)], LEGEND, 12, 10), wanted)
    assert not np.array_equal(classes([square(shift=0.6)], LEGEND, 12, 10), wanted)


@given(
    st.lists(
        st.tuples(st.floats(-40, 80).map(lambda v: round(v, 1)), st.floats(-40, 80).map(lambda v: round(v, 1))),
        min_size=1,
        max_size=12,
    )
)
def test_any_polygon_covers_what_lies_inside_also_where_it_crosses_itself_or_the_photo_s_edge(
    points: list[tuple[float, float]],
) -> None:
    """`inside` tells the same by another way; joins go by it."""
    polygon = [value for point in points for value in point]
    covered = np.zeros((30, 40), bool)
    for row, start, end in runs(polygon, 30, 40):
        covered[row, start:end] = True
    columns, rows = (np.arange(side, dtype=np.float64) + 0.5 for side in (40, 30))
    assert np.array_equal(covered, outlines.inside([polygon], columns, rows))


def test_several_outlines_are_one_mask_and_no_outline_is_none() -> None:
    two = Mask("scratch", 0.5, [SQUARE, [value + 1 for value in SQUARE]])
    picture = classes([two, Mask("dent", 0.9, []), Mask("dent", 0.9, [[]])], LEGEND, 12, 10)
    assert (picture == 2).sum() == 24 + 24 - 15  # where both are is in it, too
    assert not (picture == 1).any()


@pytest.mark.parametrize("order", [1, -1])
def test_where_masks_overlap_the_surer_one_wins(order: int) -> None:
    faint, sure = square("dent", 0.4), square("scratch", 0.6, shift=2)
    picture = classes([faint, sure][::order], LEGEND, 12, 10)
    assert (picture[6, 6], picture[3, 3]) == (2, 1)


def test_of_equally_sure_ones_the_first_wins() -> None:
    one, other = square("dent"), square("scratch", shift=2)
    assert classes([one, other], LEGEND, 12, 10)[6, 6] == 1
    assert classes([other, one], LEGEND, 12, 10)[6, 6] == 2


def test_a_label_that_the_legend_lacks_is_an_error() -> None:
    with pytest.raises(KeyError):
        classes([square("foreign")], LEGEND, 12, 10)


@pytest.mark.parametrize("count", [1, 3, 15, 16, 255])
def test_the_png_keeps_indices_colours_and_legend_of_any_number_of_labels(count: int) -> None:
    legend = {f"label {n}": (n, 255 - n, n // 2) for n in range(count)}
    last = f"label {count - 1}"
    picture = Image.open(io.BytesIO(class_png([square(last)], legend, 12, 10)))
    assert (picture.mode, picture.size) == ("P", (12, 10))
    assert set(np.unique(np.asarray(picture))) == {0, count}
    assert picture.convert("RGB").getpixel((5, 5)) == legend[last]
    assert len(json.loads(picture.info["legend"])) == count


def test_the_legend_may_be_in_any_script() -> None:
    picture = Image.open(io.BytesIO(class_png([], {"вмятина": (1, 2, 3), "凹み": (4, 5, 6)}, 12, 10)))
    assert [one["label"] for one in json.loads(picture.info["legend"])] == ["вмятина", "凹み"]


def test_each_mask_is_a_grey_picture_of_itself_alone() -> None:
    masks = [square(), square(shift=2)]
    pictures = [Image.open(io.BytesIO(png)) for png in mask_pngs(masks, 12, 10)]
    assert [picture.mode for picture in pictures] == ["L", "L"]
    for picture, mask in zip(pictures, masks, strict=True):
        alone = classes([mask], LEGEND, 12, 10)
        assert np.array_equal(np.asarray(picture), alone * np.uint8(255))


def test_an_archive_is_the_same_every_time_and_its_names_are_harmless() -> None:
    masks = [Mask("../a b/ü", 0.9, [SQUARE]), square("dent")]
    legend = {"../a b/ü": (1, 2, 3), **LEGEND}
    data = archive(masks, legend, 12, 10, b"{}")
    assert data == archive(masks, legend, 12, 10, b"{}")
    packed = zipfile.ZipFile(io.BytesIO(data))
    assert packed.namelist() == ["answer.json", "classes.png", "00__a_b_ü.png", "01_dent.png"]
    assert packed.read("answer.json") == b"{}"
    assert packed.getinfo("classes.png").external_attr >> 16 == 0o644


def test_an_archive_of_many_large_masks_never_holds_many_of_them() -> None:
    """Forty masks of 3 megapixels are 120 MB when they are all there at once."""
    import tracemalloc

    width, height = 2000, 1500
    masks = [square(shift=40.0 * n) for n in range(40)]
    tracemalloc.start()
    try:
        archive(masks, LEGEND, width, height, b"{}")
        _, most = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert most < 5 * width * height
