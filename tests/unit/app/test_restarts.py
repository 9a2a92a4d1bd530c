"""The pause grows while a worker keeps dying, and hopeless ones are given up."""

from app.restarts import LONGEST_PAUSE_S, STEADY_S, Restarts


def test_the_pause_doubles_up_to_its_longest() -> None:
    restarts = Restarts()
    assert [restarts.after(-9, None) for _ in range(8)] == [0.5, 1, 2, 4, 8, 16, LONGEST_PAUSE_S, LONGEST_PAUSE_S]


def test_a_steady_worker_starts_from_the_first_pause() -> None:
    restarts = Restarts()
    assert [restarts.after(-9, 1.0) for _ in range(3)] == [0.5, 1, 2]
    assert restarts.after(-9, STEADY_S - 1) == 4
    assert restarts.after(-9, STEADY_S) == 0.5


def test_three_errors_before_it_serves_are_enough() -> None:
    restarts = Restarts()
    assert [restarts.after(1, None) for _ in range(3)] == [0.5, 1, None]


def test_only_errors_in_a_row_before_it_serves_count() -> None:
    restarts = Restarts()
    ends = [
        (1, None),
        (1, None),
        (-9, None),
        (1, None),
        (1, None),
        (1, 0.1),
        (1, None),
        (0, None),
        (1, None),
        (1, None),
    ]
    assert None not in [restarts.after(code, served) for code, served in ends]
    assert restarts.after(1, None) is None
