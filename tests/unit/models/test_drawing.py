"""Drawing on photos: colours, places and sizes, from 200 to 8000 pixels."""

import io
import itertools

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from models import drawing
from models.drawing import Box, Drawn, MediaType, draw_caption, draw_instances, encode, palette

Pixels = NDArray[np.uint8]


def gray(width: int, height: int, tone: int = 128) -> Pixels:
    return np.full((height, width, 3), tone, dtype=np.uint8)


def changed(before: Pixels, after: Pixels) -> Box:
    rows, columns = np.nonzero((before != after).any(axis=2))
    return float(columns.min()), float(rows.min()), float(columns.max() + 1), float(rows.max() + 1)


def labels(width: int, height: int, instances: list[Drawn], monkeypatch: pytest.MonkeyPatch) -> list[Box]:
    """Where the labels were put."""
    boxes: list[Box] = []
    draw_label = drawing._draw_label

    def watched(*arguments: object) -> Box:
        boxes.append(draw_label(*arguments))  # type: ignore[arg-type]
        return boxes[-1]

    monkeypatch.setattr(drawing, "_draw_label", watched)
    draw_instances(gray(width, height), instances)
    return boxes


SQUARE = [100.0, 80.0, 200.0, 80.0, 200.0, 160.0, 100.0, 160.0]


def test_the_photo_itself_is_left_alone() -> None:
    pixels = gray(400, 300)
    pixels.flags.writeable = False
    drawn = draw_instances(pixels, [Drawn("dent", 0.9, (100, 80, 200, 160), [SQUARE])])
    assert (pixels == 128).all()
    assert drawn.shape == pixels.shape
    assert drawn.dtype == np.uint8
    assert drawn.flags.writeable
    assert np.array_equal(draw_instances(pixels, []), pixels)


def test_a_mask_is_translucent_and_its_outline_is_not() -> None:
    drawn = draw_instances(gray(400, 300), [Drawn("", None, None, [SQUARE], (255, 0, 0))])
    red, green, blue = drawn[120, 150].astype(int)
    assert 150 < red < 200
    assert 60 < green == blue < 110
    assert drawn[120, 100].tolist() == [255, 0, 0]
    assert drawn[50, 50].tolist() == [128] * 3


def test_what_lies_under_a_mask_shines_through() -> None:
    pixels = gray(400, 300)
    pixels[:, 150:] = 40
    drawn = draw_instances(pixels, [Drawn("", None, None, [SQUARE], (0, 0, 255))]).astype(int)
    assert drawn[120, 130].sum() - drawn[120, 170].sum() > 100


def test_without_polygons_the_box_is_drawn_empty() -> None:
    drawn = draw_instances(gray(400, 300), [Drawn("", None, (100, 80, 200, 160), color=(0, 255, 0))])
    assert drawn[120, 150].tolist() == [128] * 3
    assert drawn[120, 100].tolist() == [0, 255, 0]
    assert drawn[80, 150].tolist() == [0, 255, 0]


def test_outlines_are_smooth() -> None:
    slanted = [20.0, 20.0, 380.0, 60.0, 380.0, 280.0, 20.0, 240.0]
    drawn = draw_instances(gray(400, 300, 0), [Drawn("", None, None, [slanted], (255, 255, 255))])
    column = {int(value) for value in drawn[25:60, 200:260, 0].ravel()}
    assert len(column) > 8


def test_a_shape_of_several_parts() -> None:
    parts = [SQUARE, [x + 150 for x in SQUARE]]
    drawn = draw_instances(gray(500, 400), [Drawn("", None, None, parts, (255, 0, 0))])
    assert drawn[120, 150, 0] > 150
    assert drawn[270, 300, 0] > 150
    assert drawn[200, 225].tolist() == [128] * 3


def test_a_class_keeps_its_colour() -> None:
    one, other = Drawn("", None, (10, 10, 90, 90), color=3), Drawn("", None, (110, 10, 190, 90), color=5)
    drawn = draw_instances(gray(300, 200), [one, other])
    assert tuple(drawn[50, 10]) == palette(3)
    assert tuple(drawn[50, 110]) == palette(5)
    assert tuple(draw_instances(gray(300, 200), [other, one])[50, 10]) == palette(3)


def test_the_first_instance_lies_on_top() -> None:
    below, above = Drawn("", None, (50, 50, 150, 150), color=1), Drawn("", None, (50, 50, 150, 150), color=2)
    assert tuple(draw_instances(gray(300, 200), [above, below])[100, 50]) == palette(2)


def as_seen(color: tuple[int, int, int], matrix: list[list[float]]) -> NDArray[np.float64]:
    """The colour as somebody without one kind of cone sees it (Viénot, Brettel and Mollon, 1999), as Lab."""
    linear = np.array([channel / 12.92 if channel <= 0.04045 else ((channel + 0.055) / 1.055) ** 2.4
                       for channel in np.array(color) / 255])  # fmt: skip
    linear = np.clip(np.array(matrix) @ linear, 0, 1)
    xyz = np.array([[0.4124, 0.3576, 0.1805], [0.2126, 0.7152, 0.0722], [0.0193, 0.1192, 0.9505]]) @ linear
    x, y, z = np.cbrt(xyz / (0.9505, 1.0, 1.089))
    return np.array([116 * y - 16, 500 * (x - y), 200 * (y - z)])


SIGHT = {
    "all": [[1.0, 0.0, 0.0], [0.0, 1.0, 0.0], [0.0, 0.0, 1.0]],
    "no red": [[0.11238, 0.88762, 0.0], [0.11238, 0.88762, 0.0], [0.00401, -0.00401, 1.0]],
    "no green": [[0.29275, 0.70725, 0.0], [0.29275, 0.70725, 0.0], [-0.02234, 0.02234, 1.0]],
}


@pytest.mark.parametrize("sight", SIGHT)
def test_the_six_first_colours_stay_apart_for_the_colour_blind(sight: str) -> None:
    seen = [as_seen(palette(index), SIGHT[sight]) for index in range(6)]
    assert min(float(np.linalg.norm(one - other)) for one, other in itertools.combinations(seen, 2)) > 10


def test_the_palette_repeats() -> None:
    assert len({palette(index) for index in range(12)}) == 12
    assert palette(12) == palette(0)
    assert all(0 <= channel <= 255 for index in range(12) for channel in palette(index))


def luminance(color: tuple[int, int, int]) -> float:
    linear = [channel / 12.92 if channel <= 0.04045 else ((channel + 0.055) / 1.055) ** 2.4
              for channel in np.array(color) / 255]  # fmt: skip
    return float(np.dot(linear, (0.2126, 0.7152, 0.0722)))


@pytest.mark.parametrize("color", [*(palette(index) for index in range(12)), (0, 0, 0), (255, 255, 255), (0, 0, 255)])
def test_text_stands_out_on_every_colour(color: tuple[int, int, int]) -> None:
    light, dark = sorted((luminance(color), luminance(drawing._ink(color))), reverse=True)
    assert (light + 0.05) / (dark + 0.05) >= 4.5


@pytest.mark.parametrize("size", [(200, 150), (640, 480), (1200, 800), (3024, 4032)])
def test_sizes_follow_the_photo(size: tuple[int, int]) -> None:
    style = drawing._Style.of(gray(*size))
    side = (size[0] * size[1]) ** 0.5
    assert style.line <= max(2, side / 300)
    assert max(10, 0.015 * side) <= style.line_height <= max(15, 0.04 * side)
    top, bottom = style.font.getbbox("dent")[1::2]
    assert bottom - top >= 7


def test_the_font_scales() -> None:
    assert drawing._font(60).getlength("scratch") == pytest.approx(3 * drawing._font(20).getlength("scratch"), rel=0.1)


@pytest.mark.parametrize("size", [(200, 150), (1200, 800)])
@pytest.mark.parametrize("place", [(0, 0), (1, 0), (0, 1), (1, 1), (0.5, 0.5)])
def test_labels_stay_inside(size: tuple[int, int], place: tuple[float, float], monkeypatch: pytest.MonkeyPatch) -> None:
    width, height = size
    x, y = place[0] * (width - 20), place[1] * (height - 20)
    [label] = labels(width, height, [Drawn("glass_shatter", 0.5, (x, y, x + 20, y + 20))], monkeypatch)
    assert label[0] >= 0
    assert label[1] >= 0
    assert label[2] <= width
    assert label[3] <= height


def test_a_label_says_the_class_and_the_score_above_its_shape(monkeypatch: pytest.MonkeyPatch) -> None:
    [label] = labels(800, 600, [Drawn("dent", 0.876, (300, 200, 400, 300))], monkeypatch)
    assert label[0] == 300
    assert label[3] == 200


def test_labels_do_not_overlap_where_there_is_room(monkeypatch: pytest.MonkeyPatch) -> None:
    same = [Drawn("scratch", 0.9 - 0.1 * step, (300, 250, 420, 300), color=step) for step in range(8)]
    placed = labels(800, 600, same, monkeypatch)
    assert len(placed) == 8
    assert all(drawing._overlap(one, other) == 0 for one, other in itertools.combinations(placed, 2))


def test_fifty_instances_in_a_small_photo() -> None:
    crowd = [
        Drawn("lamp_broken", 0.5, (3.0 * step, 2.0 * step, 3.0 * step + 30, 2.0 * step + 30)) for step in range(50)
    ]
    assert draw_instances(gray(200, 150), crowd).shape == (150, 200, 3)


@pytest.mark.parametrize(
    "instance",
    [
        Drawn("dent"),
        Drawn("dent", 0.5, None, [[1.0, 2.0]]),
        Drawn("dent", 0.5, None, [[]]),
        Drawn("dent", 0.5, (5, 5, 5, 5)),
        Drawn("dent", 0.5, (-500, -500, -400, -400)),
        Drawn("dent", 0.5, (900, 900, 999, 999)),
        Drawn("dent", 0.5, (-50, -50, 900, 900), [[-50.0, -50.0, 900.0, -50.0, 400.0, 900.0]]),
        Drawn("a very long label that has no room in a photo as narrow as this", 1.0, (1, 1, 9, 9)),
        Drawn("", 0.5, (1, 1, 9, 9)),
    ],
)
@pytest.mark.parametrize("size", [(1, 1), (40, 30), (300, 2)])
def test_odd_shapes_and_photos(instance: Drawn, size: tuple[int, int]) -> None:
    assert draw_instances(gray(*size), [instance]).shape == (size[1], size[0], 3)


def test_a_large_photo_is_drawn_whole() -> None:
    pixels = gray(5000, 400)
    shape = [0.0, 0.0, 5000.0, 0.0, 5000.0, 400.0, 0.0, 400.0]
    drawn = draw_instances(pixels, [Drawn("", None, None, [shape], (255, 0, 0))])
    assert drawn[200, 2500, 0] > 150
    assert drawn[200, 4990, 0] > 150


def test_a_caption_is_legible_in_the_lower_left() -> None:
    pixels = gray(800, 600, 250)
    drawn = draw_caption(pixels, ["Audi TTS Coupe 2012 (71%)", "red sedan"])
    assert (pixels == 250).all()
    left, top, right, bottom = changed(pixels, drawn)
    assert left < 20
    assert bottom > 580
    assert top > 500
    assert right < 500
    panel = drawn[int(top) : int(bottom), int(left) : int(right)]
    assert panel.min() < 90
    assert panel.max() > 245


@pytest.mark.parametrize("size", [(1, 1), (60, 20), (200, 150)])
def test_a_caption_never_leaves_the_photo(size: tuple[int, int]) -> None:
    lines = ["a line much longer than any photo of this size could ever show in one row"] * 20
    assert draw_caption(gray(*size), lines).shape == (size[1], size[0], 3)
    assert np.array_equal(draw_caption(gray(*size), []), gray(*size))


FORMATS: list[tuple[MediaType, str]] = [("image/jpeg", "JPEG"), ("image/png", "PNG"), ("image/webp", "WEBP")]


@pytest.mark.parametrize(("media_type", "format"), FORMATS)
def test_encode(media_type: MediaType, format: str) -> None:
    pixels = np.asarray(Image.linear_gradient("L").convert("RGB"))[:, ::-1]
    with Image.open(io.BytesIO(encode(pixels, media_type, 90))) as image:
        assert image.format == format
        assert image.size == (256, 256)
        apart = np.abs(np.asarray(image.convert("RGB")).astype(int) - pixels).max()
    assert apart == 0 if format == "PNG" else apart < 12


def test_less_quality_is_smaller() -> None:
    pixels = np.asarray(Image.effect_noise((200, 200), 60).convert("RGB"))
    for media_type in ("image/jpeg", "image/webp"):
        assert len(encode(pixels, media_type, 30)) < len(encode(pixels, media_type, 95))
