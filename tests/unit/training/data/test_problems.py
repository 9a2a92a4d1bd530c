"""Problems are told together, up to a count."""

import pytest

from training.data.problems import DataError, Problems


def test_one_problem_is_its_own_text() -> None:
    problems = Problems()
    problems.check()
    problems.add("a.json, annotation 3", "no outline")
    with pytest.raises(DataError, match=r"^a\.json, annotation 3: no outline$"):
        problems.check()


def test_twenty_are_shown_and_the_rest_counted() -> None:
    problems = Problems()
    for number in range(23):
        problems.add(f"line {number}", "broken")
    with pytest.raises(DataError) as caught:
        problems.check()
    lines = str(caught.value).splitlines()
    assert lines[0] == "23 problems:"
    assert lines[20] == "line 19: broken"
    assert lines[21:] == ["… and 3 more"]
    assert len(caught.value.problems) == 23


def test_parts_are_gathered_and_repetitions_told_once() -> None:
    problems = Problems()
    for error in (DataError(["a", "b"]), ValueError("b"), FileNotFoundError("c")):
        with problems.gather():
            raise error
    with pytest.raises(DataError) as caught:
        problems.check()
    assert caught.value.problems == ["a", "b", "c"]


def test_what_is_no_mistake_of_the_data_is_raised() -> None:
    with pytest.raises(ZeroDivisionError), Problems().gather():
        raise ZeroDivisionError
