"""What goes wrong on the path, as the problem that a caller is told and the reason that is counted."""

import pytest

from app import batcher
from app.failures import problem_of


@pytest.mark.parametrize(
    ("error", "code", "reason"),
    [
        (batcher.QueueFull(1.0), "overloaded", "full"),
        (batcher.QueueFull(1.0, "too late", "deadline"), "overloaded", "deadline"),
        (batcher.Expired("late"), "deadline_exceeded", None),
        (batcher.Stopping("it stops"), "shutting_down", None),
        (batcher.NotServing("loading"), "not_ready", None),
        (batcher.DeviceDied("it died"), "not_ready", None),
        (RuntimeError("secret"), "prediction_failed", None),
    ],
)
def test_each_failure_is_a_problem_with_its_reason(error: Exception, code: str, reason: str | None) -> None:
    problem = problem_of(error, "damage", "r-1")
    assert (problem.code, problem.reason) == (code, reason)
    assert "damage" in problem.detail or code == "shutting_down"
    assert "secret" not in problem.detail
