"""One opinion out of several photos' scores."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from models.claim.pool import pooled

SURE = {"a": 0.9, "b": 0.08, "c": 0.02}


def test_one_photo_gives_back_its_own_scores() -> None:
    assert pooled([(SURE, 1.0)]) == pytest.approx(SURE, abs=0.005)
    assert list(pooled([(SURE, 1.0)])) == ["a", "b", "c"]


def test_what_is_not_listed_is_not_given_to_those_that_are() -> None:
    assert pooled([({"a": 0.3, "b": 0.2}, 1.0)]) == pytest.approx({"a": 0.3, "b": 0.2}, abs=0.005)


def test_photos_that_agree_are_surer_than_each_and_less_than_independent_ones() -> None:
    each = {"a": 0.6, "b": 0.4}
    together = pooled([(each, 1.0)] * 4)["a"]
    assert together == pytest.approx(0.6**2 / (0.6**2 + 0.4**2), abs=0.01)  # four count as two
    assert 0.6 < together < 0.6**4 / (0.6**4 + 0.4**4)


def test_many_photos_outvote_one_that_is_surer() -> None:
    wrong = {"b": 0.999, "a": 0.001}
    right = {"a": 0.8, "b": 0.05, "c": 0.15}
    assert next(iter(pooled([(wrong, 1.0), *[(right, 1.0)] * 4]))) == "a"
    assert next(iter(pooled([(wrong, 1.0), (right, 1.0)]))) == "b"


def test_a_photo_that_counts_little_changes_little() -> None:
    other = {"b": 0.9, "a": 0.1}
    alone, little, whole = (pooled([(SURE, 1.0), (other, weight)])["a"] for weight in (0.0, 0.1, 1.0))
    assert alone > little > whole
    assert alone - little < 0.1
    assert pooled([(SURE, 0.1)])["a"] < 0.7  # and by itself it is sure of nothing


def test_the_order_of_photos_is_of_no_account() -> None:
    votes = [(SURE, 1.0), ({"b": 0.5, "d": 0.3}, 0.5), ({"c": 0.7, "a": 0.2}, 1.0)]
    assert pooled(votes) == pytest.approx(pooled(votes[::-1]))


shares = st.lists(st.floats(0.0001, 1), min_size=1, max_size=6)


@given(st.lists(st.tuples(shares, st.floats(0.1, 1)), min_size=1, max_size=24))
def test_scores_are_always_scores(photos: list[tuple[list[float], float]]) -> None:
    votes = [({str(n): x / sum(some) for n, x in enumerate(some)}, weight) for some, weight in photos]
    told = pooled(votes)
    assert all(0 <= score <= 1 and math.isfinite(score) for score in told.values())
    assert sum(told.values()) <= 1 + 1e-9
    assert list(told.values()) == sorted(told.values(), reverse=True)
