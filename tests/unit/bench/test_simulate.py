"""What the simulation tells of capacity, and how it is held against what was measured."""

from pathlib import Path

import pytest

from tests.bench import simulate
from tests.bench.compare.rows import Cell, Open, Results, Row
from tests.bench.simulation import capacity
from tests.bench.simulation.capacity import Goal, carried, loads, need
from tests.bench.simulation.fleet import Fleet
from tests.bench.simulation.replica import Shape
from tests.bench.simulation.times import Run, Times

CELL = Cell("user", "model", "web", "raw")
TIMES = Times(
    predictor="model",
    measured_on="paper",
    photo_bytes=250_000,
    cores=4,
    loop_s=0.001,
    prepare_s=0.004,
    finish_s=0.0005,
    device={1: Run(seconds=0.010, cores=0), 8: Run(seconds=0.040, cores=0)},
)
SHAPE, GOAL = Shape(TIMES), Goal(p99_s=0.3, zones=3, price=3.6)


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(capacity, "PHOTOS", 2_000)
    monkeypatch.setattr(capacity, "GROUP", 6)


def test_one_replica_gives_what_its_narrowest_part_passes_and_refuses_the_rest() -> None:
    told = dict(loads(SHAPE, GOAL))
    assert told[0.5].throughput == pytest.approx(100, rel=0.1)
    assert told[0.5].shares == {}
    assert told[1.5].throughput == pytest.approx(200, rel=0.05)
    assert told[1.5].shares["refused"] == pytest.approx(1 / 3, abs=0.04)
    assert told[0.5].p99_s < told[0.9].p99_s < told[1.5].p99_s


def test_what_is_carried_is_in_time_and_a_little_more_is_not() -> None:
    each = carried(SHAPE, GOAL)
    assert 150 < each < 200
    assert Fleet(SHAPE, 6, seed=1).open(each * 6 * 1.15, 5).unanswered > 0.001
    assert carried(SHAPE, Goal(p99_s=0.06)) < each
    with pytest.raises(ValueError, match="allow more"):
        carried(SHAPE, Goal(p99_s=0.01))


def test_needs_grow_with_the_load() -> None:
    small, large = (need(rate, SHAPE, GOAL, 180) for rate in (100, 18_000))
    assert (small.least, small.replicas) == (1, 3)  # one in each of three zones: two are left
    assert (large.least, large.replicas) == (100, 150)
    assert large.gbit == pytest.approx(36)
    assert large.paid_s == pytest.approx(150 / 18_000 * 1e6)
    assert large.price == pytest.approx(large.paid_s / 3600 * 3.6)
    assert 1e6 * 0.040 / 8 < large.used_s < small.used_s  # at two thirds of the load batches are not full


def test_with_a_spare_zone_all_is_answered_after_a_loss_and_without_one_it_is_not() -> None:
    found = need(18_000, SHAPE, GOAL, 180)
    assert found.usual.shares == {}
    assert found.meanwhile.shares["lost"] > 1 / 3
    assert found.after.unanswered < 0.01
    assert found.lean is not None
    assert found.lean.shares["refused"] == pytest.approx(1 - 200 / 180 * 2 / 3, abs=0.04)


def test_the_tables_name_what_was_asked() -> None:
    text = simulate.tell(TIMES, GOAL, [100, 18_000])
    assert "the narrowest first: device 200, cores 727, decoders 889, event loop 1,000, network 5,000." in text
    assert "| 18,000 | " in text
    widths = [{line.count("|") for line in block.splitlines()} for block in text.split("\n\n") if block.startswith("|")]
    assert [len(width) for width in widths] == [1, 1, 1]


def results(closed: float, opened: float, late: float = 1.0) -> Results:
    """What a machine would have measured that answers so many times as much as the simulation, with one p99 `late`."""
    alone, rushed = Fleet(SHAPE).closed(16, 60), Fleet(SHAPE).open(150, 60)
    rest = {"cpu_ms": 1.0, "memory_mib": 1.0, "failed": 0, "refused": 0, "settled": True}
    row = Row(CELL, "carlens", "", 16, 0, alone.throughput * closed, 1.0, 1.0, alone.p99_s * 1000 * late, **rest)  # type: ignore[arg-type]
    one = Open(CELL, 0.9, 150, rushed.throughput * opened, 1.0, rushed.p99_s * 1000, 0, 0, 0.0, 0.0, 0.0, 1.0, 1.0)
    return Results(rows=[row], opens=[one])


@pytest.mark.parametrize(
    ("closed", "opened", "late", "near"),
    [
        (1.0, 1.0, 1.0, 2),
        (1.1, 0.9, 0.9, 2),
        (1.3, 1.0, 1.0, 1),
        (1.0, 0.7, 1.0, 1),
        (1.3, 0.7, 1.0, 0),
        (1, 1, 1.3, 1),
    ],
)
def test_what_was_measured_is_near_or_not(closed: float, opened: float, late: float, near: int) -> None:
    text, good = simulate.against(TIMES, results(closed, opened, late), "web")
    assert text.endswith(f"within 15%: {near} of 2")
    assert good == (near == 2)


def test_other_photos_are_not_compared(tmp_path: Path) -> None:
    results(1.0, 1.0).save(tmp_path / "results.json")
    (tmp_path / "times.json").write_text(TIMES.model_dump_json())
    with pytest.raises(SystemExit) as ended:
        simulate.main([str(tmp_path / "times.json"), "--against", str(tmp_path / "results.json"), "--photo", "small"])
    assert ended.value.code == 1
    with pytest.raises(SystemExit) as ended:
        simulate.main([str(tmp_path / "times.json"), "--against", str(tmp_path / "results.json")])
    assert ended.value.code == 0
