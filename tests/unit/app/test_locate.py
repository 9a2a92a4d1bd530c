"""The caller's box, and how fine the photo must be decoded for it."""

import dataclasses

import pytest

from app.errors import InvalidOption
from app.locate import Box, check, named, parse_box, scale_for, source
from app.schemas import AnyPredictor
from models.photo import Header, Region
from models.predictor import Options
from tests.fakes import Brightness, Finder, Scores, VehicleScores, reader

SPECIFICATION = Brightness().specification
HEADER = Header(width=100, height=50, format="JPEG")


@pytest.mark.parametrize(
    ("text", "box"),
    [
        ("1,2,3,4", (1, 2, 3, 4)),
        (" 1 , 2.5 ,3e1,+4. ", (1, 2.5, 30, 4)),
        ("-5,-.5,1e3,1E+3", (-5, -0.5, 1000, 1000)),
    ],
)
def test_four_numbers_are_a_box(text: str, box: tuple[float, ...]) -> None:
    assert parse_box(text) == box


@pytest.mark.parametrize(
    "text",
    [
        *("", ",,,", "1,2,3", "1,2,3,4,", "1;2;3;4", "nan,0,1,1", "0,0,Infinity,1", "0,0,1e400,1", "1_0,0,20,1"),
        *("0x1,0,9,9", "0,0,٣,٤", "3,0,3,1", "4,0,3,1", "0,1,1,1", "0,2,1,1", "-0,0,0,1"),
    ],
)
def test_anything_else_is_an_invalid_option(text: str) -> None:
    with pytest.raises(InvalidOption):
        parse_box(text)


@pytest.mark.parametrize(
    ("box", "expected"),
    [
        ((10.5, 5, 20, 15), (10.5, 5, 20, 15)),
        ((-10, -10, 1000, 1000), (0, 0, 100, 50)),
        ((99, 49, 1000, 1000), (99, 49, 100, 50)),
    ],
)
def test_a_box_is_cut_to_the_photo(box: tuple[float, float, float, float], expected: tuple[float, ...]) -> None:
    region = named(box, HEADER)
    assert (region.x1, region.y1, region.x2, region.y2) == expected
    assert region.source == "box"


@pytest.mark.parametrize(
    "box", [(100, 0, 200, 50), (-9, 0, 0, 50), (0, 50, 100, 99), (0, 0, 0.5, 50), (0, 0, 1e-300, 9)]
)
def test_less_than_a_pixel_is_nothing(box: tuple[float, float, float, float]) -> None:
    with pytest.raises(InvalidOption, match="100 x 50"):
        named(box, HEADER)


def test_without_a_box_it_is_the_whole_photo() -> None:
    assert named(None, HEADER) == Region(0, 0, 100, 50, "whole")


@pytest.mark.parametrize(
    ("sources", "box", "options", "expected"),
    [
        (("box", "vehicles", "photo"), (1, 1, 9, 9), VehicleScores(), "box"),
        (("box", "vehicles", "photo"), None, VehicleScores(), "vehicles"),
        (("box", "vehicles", "photo"), None, VehicleScores(vehicle="whole"), "photo"),
        (("box", "vehicles", "photo"), (1, 1, 9, 9), VehicleScores(vehicle="whole"), "box"),
        (("box", "boats", "vehicles"), None, Options(), "vehicles"),  # boats are not served
        (("boats",), None, Options(), "photo"),
        (("box", "photo"), None, Scores(), "photo"),
        (("photo",), (1, 1, 9, 9), Scores(), "photo"),
    ],
)
def test_the_first_source_that_there_is(
    sources: tuple[str, ...], box: Box | None, options: Options, expected: str
) -> None:
    specification = dataclasses.replace(SPECIFICATION, regions=sources)
    assert source(specification, box, options, {"vehicles", "brightness"}) == expected


def test_who_waits_for_whom_is_no_circle() -> None:
    chain: dict[str, AnyPredictor] = {
        "a": reader("a", regions=("b",)),
        "b": reader("b", regions=("vehicles", "photo")),
        "vehicles": Finder(),
    }
    check(chain)
    check({"a": reader("a", regions=("elsewhere",))})
    with pytest.raises(ValueError, match="in a circle: a <- b <- vehicles <- a"):
        check({**chain, "vehicles": Finder(regions=("a",))})
    with pytest.raises(ValueError, match="a <- a"):
        check({"a": reader("a", regions=("a", "photo"))})


@pytest.mark.parametrize(
    ("region", "scale"),
    [(Region(0, 0, 80, 80), 0.1), (Region(0, 0, 80, 40), 0.2), (Region(0, 0, 8, 80), 1), (Region(0, 0, 2, 2), 1)],
)
def test_the_scale_leaves_the_pixels_that_are_read(region: Region, scale: float) -> None:
    assert scale_for(SPECIFICATION, region) == pytest.approx(scale)
