"""The supervisor's rules, with workers that are nobody and a clock that the test turns."""

from collections.abc import Callable

import pytest
from prometheus_client.parser import text_string_to_metric_families

from app.changes import Change, Outcome
from app.link import Asks, Did, Do, Figures, Order, Said, Settled, Stop, Sum, Tell, Told, Wanted
from app.metrics import Metrics
from app.rounds import LONGEST_S
from app.supervisor import GATHER_S, Supervisor

STOP_S = 20.0


class Fake:
    """A worker that does nothing but note what it was told."""

    def __init__(self, number: int, at_once: bool, hear: Callable[[Said | int], None]) -> None:
        self.number, self.at_once, self.hear = number, at_once, hear
        self.orders: list[Order] = []
        self.killed = False

    def send(self, order: Order) -> None:
        self.orders.append(order)

    def kill(self) -> None:
        self.killed = True


class House:
    """A supervisor and all the workers it started, the newest last."""

    def __init__(self, count: int) -> None:
        self.now = 0.0
        self.started: list[Fake] = []
        self.announced = 0
        self.supervisor = Supervisor(count, self.start, self.announce, STOP_S, lambda: self.now)
        self.supervisor.slots[0].due = 0.0
        self.supervisor.tick()

    def start(self, number: int, at_once: bool, hear: Callable[[Said | int], None]) -> Fake:
        self.started.append(Fake(number, at_once, hear))
        return self.started[-1]

    def announce(self) -> None:
        self.announced += 1

    def say(self, worker: Fake, *said: Said | int) -> None:
        for one in said:
            self.supervisor.handle((self.supervisor.slots[worker.number], one))
            self.supervisor.tick()

    def wait(self, seconds: float) -> None:
        self.now += seconds
        self.supervisor.tick()

    def settle(self) -> list[Fake]:
        """Every worker ready."""
        for worker in self.started:
            self.say(worker, Settled(True))
        return self.started[:]


def figures(requests: int) -> Figures:
    metrics = Metrics()
    for _ in range(requests):
        metrics.request_started()
        metrics.request_finished("/v1/damage", "POST", 200, 0.01)
    return Figures(list(metrics.registry.collect()))


def told(worker: Fake) -> dict[str, float]:
    """The last sums that a worker was sent."""
    text = next(order.text for order in reversed(worker.orders) if isinstance(order, Sum))
    families = text_string_to_metric_families(text.decode())
    return {one.name: one.value for family in families for one in family.samples}


def sums(worker: Fake) -> int:
    return sum(isinstance(order, Sum) for order in worker.orders)


def test_the_first_starts_alone_and_all_are_announced_once() -> None:
    house = House(3)
    assert [one.number for one in house.started] == [0]
    house.say(house.started[0], Settled(True))
    assert [one.number for one in house.started] == [0, 1, 2]
    house.say(house.started[1], Settled(True))
    assert house.announced == 0
    house.say(house.started[2], Settled(True))
    assert house.announced == 1
    house.say(house.started[2], -9)
    house.wait(0.5)
    house.say(house.started[3], Settled(True))
    assert house.announced == 1


def test_a_worker_with_a_failed_predictor_is_not_announced_and_holds_up_nobody() -> None:
    house = House(2)
    house.say(house.started[0], Settled(False))
    house.say(house.started[1], Settled(True))
    assert house.announced == 0


def test_who_accepts_before_it_can_serve() -> None:
    house = House(2)
    house.settle()
    first, second = house.settle()
    assert (first.at_once, second.at_once) == (True, False)
    house.say(second, -9)
    house.wait(0.5)
    assert not house.started[-1].at_once  # the first one serves
    house.say(first, -9)
    house.wait(0.5)
    assert house.started[-1].number == 0
    assert house.started[-1].at_once  # nobody else accepts


def test_a_dead_worker_starts_again_after_its_pause(caplog: pytest.LogCaptureFixture) -> None:
    house = House(2)
    house.settle()
    _, second = house.settle()
    house.say(second, -9)
    assert "worker 1 ended with exit code -9" in caplog.text
    house.wait(0.4)
    assert len(house.started) == 2
    assert house.supervisor.patience() == pytest.approx(0.1)
    house.wait(0.1)
    assert [one.number for one in house.started] == [0, 1, 1]
    house.say(house.started[-1], Settled(True), -9)
    house.wait(0.9)
    assert len(house.started) == 3
    house.wait(0.1)
    house.say(house.started[-1], Settled(True))
    house.wait(60)
    house.say(house.started[-1], -9)
    house.wait(0.5)  # it was steady: the first pause again
    assert len(house.started) == 5


def test_a_worker_that_cannot_start_ends_the_service_with_its_code() -> None:
    house = House(2)
    house.settle()
    first, second = house.settle()
    for pause in (0.5, 1.0, 2.0):  # the first of them had served
        house.say(house.started[-1], 1)
        house.wait(pause)
    assert not house.supervisor.over
    house.say(house.started[-1], 1)
    assert first.orders == [Stop()]
    assert second.orders == []
    house.say(first, 0)
    assert house.supervisor.over
    assert house.supervisor.code == 1


def test_idle_there_is_nothing_to_wake_for() -> None:
    house = House(2)
    house.settle()
    house.settle()
    assert house.supervisor.patience() is None


def test_stop_reaches_every_worker_and_none_starts_again() -> None:
    house = House(3)
    house.settle()
    first, second, third = house.settle()
    house.say(third, -9)
    house.supervisor.handle(None)
    assert first.orders == second.orders == [Stop()]
    house.supervisor.handle(None)  # who asks twice will not wait
    assert first.orders == second.orders == [Stop(), Stop(at_once=True)]
    house.say(first, 0)
    assert not house.supervisor.over
    house.say(second, 0)
    house.wait(5)
    assert house.supervisor.over
    assert house.supervisor.code == 0
    assert len(house.started) == 3
    assert not first.killed


def test_what_does_not_stop_is_killed_after_the_grace_time() -> None:
    house = House(2)
    house.settle()
    first, second = house.settle()
    house.supervisor.handle(None)
    house.say(first, 0)
    house.wait(STOP_S - 0.1)
    assert not second.killed
    house.wait(0.1)
    assert second.killed
    assert not first.killed
    assert house.supervisor.patience() is None
    house.say(second, -9)
    assert house.supervisor.over


def test_whoever_is_asked_tells_the_sums_of_all() -> None:
    house = House(2)
    house.settle()
    first, second = house.settle()
    house.say(second, Wanted())
    assert first.orders == second.orders == [Tell()]
    house.say(second, figures(2))
    assert sums(second) == 0
    house.say(first, figures(3))
    assert sums(first) == 0
    assert told(second)["carlens_http_requests_total"] == 5
    assert told(second)["carlens_workers_ready"] == 2


def test_one_who_asks_meanwhile_gets_figures_that_are_no_older_than_its_question() -> None:
    house = House(2)
    house.settle()
    first, second = house.settle()
    house.say(second, Wanted(), figures(2))
    house.say(first, Wanted())
    assert first.orders == [Tell()]
    house.say(first, figures(3))
    assert (sums(first), sums(second)) == (0, 1)
    house.say(first, figures(4))
    house.say(second, figures(2))
    assert told(first)["carlens_http_requests_total"] == 6


def test_a_worker_that_tells_nothing_is_not_waited_for_long_nor_asked_twice() -> None:
    house = House(2)
    house.settle()
    first, second = house.settle()
    house.say(first, Wanted(), figures(1))
    house.say(second, figures(2))
    house.say(first, Wanted(), figures(3))
    house.wait(GATHER_S)
    assert told(first)["carlens_http_requests_total"] == 5  # the last that it told
    house.say(first, Wanted(), figures(3))
    house.wait(GATHER_S)
    assert sums(first) == 3
    assert second.orders == [Tell(), Tell()]


def test_a_death_takes_no_count_away_and_holds_up_no_answer() -> None:
    house = House(2)
    house.settle()
    first, second = house.settle()
    house.say(first, Wanted(), figures(1))
    house.say(second, figures(2))
    house.say(first, Wanted(), figures(1))
    house.say(second, -9)
    found = told(first)
    assert found["carlens_http_requests_total"] == 3
    assert found["carlens_worker_restarts_total"] == 1
    assert found["carlens_workers_ready"] == 1


def test_a_change_asked_of_one_worker_is_made_in_all_and_so_is_one_by_a_signal() -> None:
    house = House(2)
    house.settle()
    first, second = house.settle()
    change = Change("reload", "damage")
    house.say(second, Asks(4, change))
    assert first.orders == second.orders == [Do(1, change)]
    house.say(first, Did(1, Outcome("ready", "2")))
    house.say(second, Did(1, Outcome("ready", "2")))
    assert second.orders[-1] == Told(4, [Outcome("ready", "2", worker=0), Outcome("ready", "2", worker=1)])
    house.supervisor.handle(Change("reload"))
    assert first.orders[-1] == Do(2, Change("reload"))
    assert house.supervisor.patience() == LONGEST_S
    house.say(first, Did(2, Outcome("ready")))
    house.wait(LONGEST_S)
    assert house.supervisor.patience() is None
