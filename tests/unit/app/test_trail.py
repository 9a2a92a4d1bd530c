"""What a request went through, as times by step."""

import time

from app.lane import Batch
from app.trail import Trail


def test_steps_that_were_done_several_times_are_summed_in_their_order() -> None:
    trail = Trail()
    trail.add("decode", 1.0, 1.5)
    assert trail.add("prepare", 2.0, 2.25, "damage") == 250.0
    trail.add("device", 3.0, 3.5, "damage", Batch(2, 3.0, 3.5))
    trail.add("prepare", 4.0, 4.25, "damage")
    assert trail.milliseconds == {"decode": 500.0, "damage.prepare": 500.0, "damage.device": 500.0}
    assert trail.predictors == ["damage"]


def test_the_clocks_times_are_told_as_the_worlds() -> None:
    trail = Trail()
    before = time.time_ns()
    assert abs(trail.wall_ns(time.monotonic()) - before) < 60e9  # the same minute, on any machine
    assert trail.wall_ns(3.5) - trail.wall_ns(1.0) == 2_500_000_000


def test_several_photos_write_on_one_trail() -> None:
    trail = Trail()
    trail.add("receive", 1.0, 1.5)
    trail.of(0).add("decode", 2.0, 2.5)
    trail.of(1).add("decode", 2.0, 2.25)
    assert [(step.stage, step.photo) for step in trail.steps] == [("receive", None), ("decode", 0), ("decode", 1)]
    assert trail.milliseconds == {"receive": 500.0, "decode": 750.0}
