"""Joins of a photo's answers: run in order, left out with a reason, never the answer's ruin."""

from typing import Any

import pytest
from pydantic import BaseModel

from app.ask import Answer
from app.errors import NotReady
from app.finish import encoded
from app.schemas import TaskTimings
from app.together import Joined, applicable, joined
from models.join import Join, Together
from models.language import language
from models.photo import Header, Region
from tests.fakes import Brightness, Finder

HEADER = Header(100, 50, "JPEG")
CARS = (Region(0, 0, 50, 50), Region(50, 0, 100, 50))


class Number(BaseModel):
    value: int = 0


class Told(BaseModel):
    text: str | None = None


def told(value: int) -> Answer:
    number = Number(value=value)
    return Answer(number, encoded(number), TaskTimings(prepare=1, queue=2, device=3, finish=4))


def double(seen: Together) -> Number:
    return Number(value=2 * seen.answers["a"].value)


def tell(seen: Together) -> Told:
    return Told(text=f"{seen.language.code}: {seen.answers['a'].value} of {seen.header.width}")


def count(seen: Together) -> list[Told]:
    return [Told(text=f"{number} of {seen.answers['a'].value}") for number in range(len(seen.vehicles))]


def join(name: str, run: Any, *needs: str, **gives: Any) -> Join:
    return Join(name, dict.fromkeys(needs or ("a",), Number), run, **gives)


DOUBLE = join("double", double, "a", changes="a")
TELL = join("tell", tell, adds=Told)
COUNT = join("count", count, adds=Told, each=True)


def run(*joins: Join, vehicles: tuple[Region, ...] = (), **outcomes: Any) -> Joined:
    return joined(joins, outcomes or {"a": told(7)}, HEADER, language("de"), vehicles)


def test_without_joins_the_answers_are_as_they_were() -> None:
    answer = told(7)
    assert run(a=answer, b=NotReady("not yet")) == Joined({"a": answer})


def test_a_changed_answer_is_seen_by_those_after_it_and_keeps_its_timings() -> None:
    found = run(DOUBLE, DOUBLE, TELL)
    assert found.answers["a"].value == Number(value=28)
    assert found.answers["a"].json == b'{"value":28}'
    assert found.answers["a"].timings == told(7).timings
    assert found.added == {"tell": Told(text="de: 28 of 100")}
    assert found.left_out == {}


def test_an_answer_that_is_left_alone_is_not_written_anew() -> None:
    answer = told(7)
    assert run(join("same", lambda seen: seen.answers["a"], changes="a"), a=answer).answers["a"] is answer


def test_each_vehicle_has_its_own_and_without_any_nobody_is_asked() -> None:
    assert run(COUNT, vehicles=CARS).each == {"count": [Told(text="0 of 7"), Told(text="1 of 7")]}
    assert run(COUNT) == run()


def test_what_was_not_asked_leaves_its_joins_out_in_silence() -> None:
    assert run(join("both", tell, "a", "b", adds=Told)) == run()


def test_what_failed_leaves_its_joins_out_with_the_reason() -> None:
    found = run(join("both", tell, "a", "b", adds=Told), TELL, a=told(7), b=NotReady("not yet"))
    assert found.left_out == {"both": "b gave no answer"}
    assert list(found.added) == ["tell"]


def fail(seen: Together) -> Told:
    raise ValueError("secret")


@pytest.mark.parametrize(
    "bad",
    [
        join("bad", fail, adds=Told),
        join("bad", fail, changes="a"),
        join("bad", double, adds=Told),
        join("bad", tell, changes="a"),
        join("bad", count, adds=Told),
        join("bad", tell, adds=Told, each=True),
        join("bad", lambda seen: [Told()], adds=Told, each=True),
        join("bad", lambda seen: None, changes="a"),
    ],
)
def test_one_that_fails_is_left_out_and_the_others_run(bad: Join, caplog: pytest.LogCaptureFixture) -> None:
    found = run(bad, DOUBLE, TELL, vehicles=CARS)
    assert list(found.left_out) == ["bad"]
    assert "secret" not in found.left_out["bad"]
    assert "bad" in caplog.text
    assert found.answers["a"].value == Number(value=14)
    assert found.added == {"tell": Told(text="de: 14 of 100")}
    assert found.each == {}


def test_only_joins_of_what_is_served_are_kept() -> None:
    bright, finder = Brightness("a"), Finder(name="b")
    answer = bright.specification.answer
    needs = {"fitting": {"a": answer}, "foreign": {"a": answer, "b": answer}, "lacking": {"a": answer, "c": answer}}
    joins = [Join(name, wanted, tell, adds=Told) for name, wanted in needs.items()]
    assert [one.name for one in applicable(joins, [bright, finder])] == ["fitting"]
