"""Two answers are held against each other by what they say, not by their last digits."""

from typing import Any

import pytest

from tests.bench.compare.answers import alike, difference, result_of

COLOR: dict[str, Any] = {"color": {"label": "red", "score": 0.9, "scores": {"red": 0.9, "blue": 0.1}}}
DENT: dict[str, Any] = {"label": "dent", "score": 0.8, "box": {"x1": 100.0, "y1": 50.0, "x2": 400.0, "y2": 300.0}}


def test_nearly_the_same_scores_are_alike() -> None:
    near = {"color": {"label": "red", "score": 0.88, "scores": {"red": 0.88, "blue": 0.12}}}
    assert alike(COLOR, near)
    assert difference(COLOR, near) == pytest.approx(0.02)


@pytest.mark.parametrize(
    "other",
    [
        {"color": {"label": "blue", "score": 0.9, "scores": {"red": 0.9, "blue": 0.1}}},
        {"color": {"label": "red", "score": 0.7, "scores": {"red": 0.7, "blue": 0.3}}},
        {"color": {"label": "red", "score": 0.9}},
        {"type": COLOR["color"]},
        {},
    ],
)
def test_another_label_score_or_key_is_not(other: dict[str, Any]) -> None:
    assert not alike(COLOR, other)


def test_angles_meet_at_the_full_circle() -> None:
    assert alike({"yaw_degrees": 359.0}, {"yaw_degrees": 1.0})
    assert not alike({"yaw_degrees": 90.0}, {"yaw_degrees": 270.0})


def test_detections_need_their_fellow_in_any_order_unless_they_are_unsure() -> None:
    crack = {**DENT, "label": "crack", "score": 0.6}
    unsure = {**DENT, "label": "scratch", "score": 0.2}
    assert alike([DENT, crack], [crack, DENT, unsure])
    assert not alike([DENT, crack], [DENT])
    assert not alike([DENT], [DENT, crack])
    assert not alike([DENT], [{**DENT, "box": {**DENT["box"], "x1": 130.0}}])


@pytest.mark.parametrize("body", [b"", b"no json", b"[]", b"{}", b'{"result": {}}', b'{"result": null}'])
def test_a_body_without_a_result_has_none(body: bytes) -> None:
    assert result_of(body) is None


def test_the_result_is_taken_out_of_its_envelope() -> None:
    assert result_of(b'{"request_id": "x", "result": {"a": 1}}') == {"a": 1}
