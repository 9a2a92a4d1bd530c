"""The simulation against queueing theory, where there is a formula."""

import math
from itertools import pairwise

import pytest

from tests.bench.simulation.events import Clock, Cores, Line
from tests.bench.simulation.fleet import Fleet
from tests.bench.simulation.replica import Replica, Shape
from tests.bench.simulation.times import Run, Times

SERVICE_S = 0.010


def times(**changes: object) -> Times:
    """A device that takes 10 ms for one photo, and nothing else takes any time."""
    given: dict[str, object] = {
        "predictor": "model",
        "measured_on": "paper",
        "photo_bytes": 100_000,
        "cores": 8,
        "loop_s": 0.0,
        "prepare_s": 0.0,
        "finish_s": 0.0,
        "device": {1: Run(seconds=SERVICE_S, cores=0)},
    }
    return Times.model_validate({**given, **changes})


def patient(of: Times) -> Shape:
    """Nobody is refused, nothing is late."""
    return Shape(of, queue_limit=10**6, deadline_s=math.inf)


@pytest.mark.parametrize(("load", "seconds"), [(0.3, 1_000), (0.5, 1_500), (0.7, 3_000)])
def test_the_mean_wait_is_that_of_an_m_d_1_queue(load: float, seconds: float) -> None:
    fleet = Fleet(patient(times()))
    fleet.open(load / SERVICE_S, seconds)
    waits = [photo.ended - photo.came - SERVICE_S for photo in fleet.photos]
    expected = load * SERVICE_S / (2 * (1 - load))  # Pollaczek and Khinchine, for a constant service time
    assert sum(waits) / len(waits) == pytest.approx(expected, rel=0.03)


def test_the_device_is_busy_as_long_as_little_says() -> None:
    fleet = Fleet(patient(times()))
    fleet.open(50, 2_000)
    assert fleet.replicas[0].device_s / 2_000 == pytest.approx(50 * SERVICE_S, rel=0.03)


def test_an_overloaded_one_answers_all_it_can_and_refuses_the_rest() -> None:
    seen = Fleet(Shape(times(), queue_limit=64, deadline_s=0.3)).open(2 / SERVICE_S, 600)
    assert seen.throughput == pytest.approx(1 / SERVICE_S, rel=0.01)
    assert seen.shares == {"refused": pytest.approx(0.5, abs=0.01)}
    assert 0.25 < seen.p99_s <= 0.3  # what was taken is in time


def test_the_bound_of_the_queue_bounds_the_wait() -> None:
    seen = Fleet(Shape(times(), queue_limit=10)).open(2 / SERVICE_S, 600)
    assert seen.p99_s == pytest.approx(11 * SERVICE_S, rel=0.01)
    assert seen.shares == {"refused": pytest.approx(0.5, abs=0.01)}


def test_clients_that_wait_make_full_batches() -> None:
    device = {size: Run(seconds=0.008 + 0.002 * size, cores=0) for size in (1, 2, 4, 8)}
    seen = Fleet(patient(times(device=device))).closed(16, 100)
    assert seen.batch == pytest.approx(8, rel=0.01)
    assert seen.throughput == pytest.approx(8 / 0.024, rel=0.01)
    assert seen.p50_s == pytest.approx(2 * 0.024, rel=0.01)  # one run before its own


def test_a_batch_takes_what_waits_and_is_padded() -> None:
    device = {size: Run(seconds=0.1, cores=0) for size in (1, 4)}
    fleet = Fleet(patient(times(device=device)))
    for _ in range(4):
        fleet.clock.at(0.0, lambda: fleet._ask(lambda photo, outcome: None))
    fleet.clock.run()
    assert [round(photo.ended, 6) for photo in fleet.photos] == [0.1, 0.2, 0.2, 0.2]


def test_steps_follow_each_other_and_decoders_work_side_by_side() -> None:
    steps = {"loop_s": 0.001, "prepare_s": 0.020, "finish_s": 0.003, "cores": 2}
    assert Fleet(patient(times(**steps))).closed(1, 10).p50_s == pytest.approx(0.034)
    assert Fleet(patient(times(**steps, device={8: Run(seconds=1e-6, cores=0)}))).closed(
        16, 50
    ).throughput == pytest.approx(2 / 0.024, rel=0.03)


def test_a_device_on_the_cores_shares_them() -> None:
    shared = times(cores=1, prepare_s=0.010, device={1: Run(seconds=0.010, cores=1)})
    assert Fleet(patient(shared)).closed(8, 50).throughput == pytest.approx(1 / 0.020, rel=0.02)


def test_jobs_share_the_cores_there_are() -> None:
    clock, ended = Clock(), dict[str, float]()
    cores = Cores(clock, 2)
    for name, seconds, many in (("wide", 1.0, 2.0), ("short", 0.5, 2.0), ("elsewhere", 1.2, 0.0)):
        cores.run(seconds, many, lambda name=name: ended.update({name: clock.now}))  # type: ignore[misc]
    clock.run()
    assert ended == {"short": pytest.approx(1.0), "elsewhere": pytest.approx(1.2), "wide": pytest.approx(1.5)}
    assert cores.busy_s == pytest.approx(3.0)


def test_a_line_serves_in_the_order_of_coming() -> None:
    clock, ended = Clock(), list[tuple[int, float]]()
    line = Line(Cores(clock, 4), 1)
    for number, seconds in enumerate((0.3, 0.1, 0.2)):
        line.serve(seconds, lambda number=number: ended.append((number, round(clock.now, 6))))  # type: ignore[misc]
    clock.run()
    assert ended == [(0, 0.3), (1, 0.4), (2, 0.6)]


def test_every_photo_has_one_outcome() -> None:
    fleet = Fleet(Shape(times(), queue_limit=8, deadline_s=0.05), 6, 3)
    fleet.without_a_zone(900, 5, 20)
    assert {photo.outcome for photo in fleet.photos} == {"good", "refused", "lost"}
    assert not any(replica.inside for replica in fleet.replicas)
    assert all(before.came <= after.came for before, after in pairwise(fleet.photos))


def test_a_zone_takes_what_is_in_it_until_the_balancer_knows() -> None:
    fleet = Fleet(Shape(times(), queue_limit=64, deadline_s=1), 9, 3)
    meanwhile, after = fleet.without_a_zone(450, 20, 100)  # 75 % of what six replicas can
    # a dead replica looks idle: of two that are drawn it is chosen, but where the other is idle and was drawn first
    assert list(meanwhile.shares) == ["lost"]
    assert 1 / 3 < meanwhile.shares["lost"] < 1 - (2 / 3) ** 2
    assert after.shares == {}
    assert after.throughput == pytest.approx(450, rel=0.02)


def test_too_few_left_refuse_what_they_cannot() -> None:
    _, after = Fleet(Shape(times(), queue_limit=64, deadline_s=1), 9, 3).without_a_zone(800, 20, 100)
    assert after.throughput == pytest.approx(600, rel=0.01)
    assert after.shares == {"refused": pytest.approx(0.25, abs=0.02)}


def test_which_part_is_full_first() -> None:
    steps = {"loop_s": 0.001, "prepare_s": 0.010, "finish_s": 0.002, "cores": 4}
    device = {1: Run(seconds=0.01, cores=2), 8: Run(seconds=0.02, cores=2)}
    limits = times(**steps, device=device, photo_bytes=250_000).limits(4, 1.0)
    assert limits == {
        "device": pytest.approx(400),
        "network": pytest.approx(500),
        "event loop": pytest.approx(1000),
        "decoders": pytest.approx(4 / 0.012),
        "cores": pytest.approx(4 / (0.013 + 0.02 * 2 / 8)),
    }


def test_the_doors_estimate_is_that_of_the_batcher() -> None:
    replica = Replica(Clock(), Shape(times(), queue_limit=64, deadline_s=0.035))
    fleet = Fleet(replica.shape)
    for _ in range(6):
        fleet.clock.at(0.0, lambda: fleet._ask(lambda photo, outcome: None))
    fleet.clock.run()
    # one runs for 10 ms, two more fit before 35 ms, and the fourth would be answered after 40
    assert [photo.outcome for photo in fleet.photos] == ["good"] * 3 + ["refused"] * 3
