"""Contact sheets of drawn photos."""

from dataclasses import replace

import numpy as np
import pytest
from PIL import Image

from tests.unit.training import found
from training import sheets
from training.sheets import Tile


def colors(image: Image.Image) -> set[tuple[int, int, int]]:
    return {tuple(color) for color in np.asarray(image).reshape(-1, 3).tolist()}


def test_photos_stand_in_rows_with_their_own_shape() -> None:
    tiles = [Tile(found.pixels(n, 60, 40), [f"photo {n}"]) for n in range(5)]
    image = sheets.sheet(tiles, 300, 225)
    assert image.width == 4 * 310 + 10
    assert image.height == 2 * (225 + 20 + 6 + 10) + 10
    pixels = np.asarray(image)
    left = (pixels == found.pixels(0)[0, 0]).all(axis=2)
    rows, columns = np.flatnonzero(left.any(axis=1)), np.flatnonzero(left.any(axis=0))
    assert (rows.size, columns.size) == (200, 300)  # 3:2 fitted into 300 x 225


def test_a_caption_is_cut_to_its_photo() -> None:
    long = sheets.sheet([Tile(found.pixels(0), ["a very long name " * 9]), Tile(found.pixels(0), [""])], 200, 150)
    ink = (np.asarray(long)[150 + 16 :] != sheets.BACKGROUND).any(axis=2).any(axis=0)
    assert ink[10:210].any()
    assert not ink[211:].any()


def test_wrong_photos_are_shown_the_surest_first(monkeypatch: pytest.MonkeyPatch) -> None:
    shown: list[list[str]] = []
    monkeypatch.setattr(sheets, "sheet", lambda tiles: shown.extend(list(tile.lines) for tile in tiles))
    sheets.mistakes(found.head())
    assert shown == [["given red (91%)", "true green (5%)", "1.png"], ["given blue (79%)", "true red (11%)", "3.png"]]


def test_there_is_no_sheet_where_nothing_is_wrong() -> None:
    head = found.head()
    assert sheets.mistakes(replace(head, truth=head.logits.argmax(axis=1))) is None
    right = [found.result(7, 0, 0, 0.9), found.result(7, 1, 50, 0.9), found.result(9, 0, 30, 0.9)]
    of = replace(found.instances(), boxes=right, quiet=[[]] * 4)
    assert sheets.missed(of, of.matched()) is None
    assert sheets.false(of, of.matched()) is None
    assert sheets.alarms(of) is None


def test_missed_objects_are_drawn_white_on_their_photo() -> None:
    of = found.instances()
    image = sheets.missed(of, of.matched())
    assert image is not None
    assert (255, 255, 255) in colors(image)
    assert image.width == 2 * 410 + 10  # a scratch on one photo, a dent on the other


def test_only_false_detections_above_the_threshold_are_drawn() -> None:
    of = found.instances()
    image = sheets.false(of, of.matched())
    assert image is not None
    assert image.width == 410 + 10  # one photo
    assert (230, 159, 0) in colors(image)  # the first label's colour


def test_quiet_photos_that_were_called_something_are_shown(monkeypatch: pytest.MonkeyPatch) -> None:
    shown: list[list[str]] = []
    monkeypatch.setattr(sheets, "sheet", lambda tiles: shown.extend(list(tile.lines) for tile in tiles))
    sheets.alarms(found.instances())
    assert shown == [["scratch (70%)", "b.png"]]
