"""A join says what it needs and gives, and comes after those that change what it reads."""

from typing import Any

import pytest
from pydantic import BaseModel

from models.join import Join, ordered


class One(BaseModel):
    told: int | None = None


class Other(BaseModel):
    needed: int


class Narrower(One):
    more: int = 0


def join(name: str, needs: str, **given: Any) -> Join:
    return Join(name, dict.fromkeys(needs, One), lambda seen: One(), **(given or {"adds": One}))


@pytest.mark.parametrize(
    ("needs", "given", "said"),
    [
        ("", {"adds": One}, "needs names no predictor"),
        ("a", {"changes": None}, "either changes an answer or adds"),
        ("a", {"changes": "a", "adds": One}, "either changes an answer or adds"),
        ("a", {"changes": "b"}, "changes one of the answers that it needs, a"),
        ("a", {"changes": "a", "each": True}, "changes one of the answers"),
        ("a", {"adds": Other}, "the field 'needed' has no value"),
    ],
)
def test_a_join_that_contradicts_itself_is_refused(needs: str, given: dict[str, Any], said: str) -> None:
    with pytest.raises(ValueError, match=f"join x: .*{said}"):
        join("x", needs, **given)


def test_it_fits_where_all_it_needs_is_there_and_of_its_type() -> None:
    one = join("x", "ab")
    assert one.fits({"a": One, "b": Narrower, "c": Other})
    assert not one.fits({"a": One})
    assert not one.fits({"a": One, "b": Other})


def names(*joins: Join) -> list[str]:
    return [one.name for one in ordered(joins)]


def test_readers_come_after_those_that_change_what_they_read() -> None:
    reader, changer, first = join("reader", "a"), join("changer", "ab", changes="a"), join("first", "bc", changes="b")
    assert names(reader, changer, first) == ["first", "changer", "reader"]
    assert names(first, changer, reader) == ["first", "changer", "reader"]


def test_the_order_is_otherwise_that_given() -> None:
    assert names(join("b", "a"), join("a", "b")) == ["b", "a"]
    assert names(join("y", "a", changes="a"), join("x", "a", changes="a")) == ["y", "x"]
    assert names() == []


def test_a_circle_is_refused() -> None:
    with pytest.raises(ValueError, match="wait for each other: x, y"):
        ordered([join("x", "ab", changes="a"), join("y", "ab", changes="b")])
