"""Changes in every worker: one after another, told to whoever asked, whatever becomes of the workers."""

from app.changes import Change, Outcome
from app.link import Do, Order, Told
from app.rounds import LONGEST_S, Rounds

RELOAD = Change("reload", "damage")


class Fake:
    def __init__(self) -> None:
        self.orders: list[Order] = []

    def send(self, order: Order) -> None:
        self.orders.append(order)

    @property
    def told(self) -> list[Told]:
        return [order for order in self.orders if isinstance(order, Told)]


def done(worker: int, version: str = "2") -> Outcome:
    return Outcome("ready", version, [version], worker=worker)


def test_every_worker_makes_the_change_and_who_asked_is_told_of_each() -> None:
    workers = {0: Fake(), 1: Fake()}
    rounds = Rounds(workers)
    rounds.ask(RELOAD, 0.0, (1, 7))
    assert workers[0].orders == workers[1].orders == [Do(1, RELOAD)]
    rounds.told(1, 1, done(1), 1.0)
    assert workers[1].told == []
    rounds.told(0, 1, done(0), 2.0)
    assert workers[1].told == [Told(7, [done(0), done(1)])]
    assert workers[0].told == []
    assert rounds.until is None


def test_changes_take_turns_and_those_not_begun_are_shared() -> None:
    workers = {0: Fake()}
    rounds = Rounds(workers)
    rounds.ask(RELOAD, 0.0, (0, 1))
    for number in (2, 3):
        rounds.ask(RELOAD, 0.0, (0, number))
    rounds.ask(Change("unload", "parts"), 0.0, (0, 4))
    assert workers[0].orders == [Do(1, RELOAD)]
    rounds.told(0, 1, done(0), 1.0)
    assert workers[0].orders[1:] == [Told(1, [done(0)]), Do(2, RELOAD)]
    rounds.told(0, 1, done(0), 1.0)  # late word of the first changes nothing
    rounds.told(0, 2, done(0), 1.0)
    assert [one.number for one in workers[0].told] == [1, 2, 3]
    assert workers[0].orders[-1] == Do(3, Change("unload", "parts"))


def test_one_that_ends_holds_up_nobody() -> None:
    workers = {0: Fake(), 1: Fake()}
    rounds = Rounds(workers)
    rounds.ask(RELOAD, 0.0, (0, 1))
    rounds.told(0, 1, done(0), 1.0)
    del workers[1]
    rounds.ended(1, 2.0)
    (told,) = workers[0].told
    assert [(one.worker, one.failure) for one in told.outcomes] == [
        (0, None),
        (1, "worker 1 ended meanwhile; it is started again"),
    ]


def test_one_that_asked_and_ended_is_told_nothing() -> None:
    workers = {0: Fake(), 1: Fake()}
    rounds = Rounds(workers)
    rounds.ask(RELOAD, 0.0, (1, 1))
    gone = workers.pop(1)
    rounds.ended(1, 1.0)
    rounds.told(0, 1, done(0), 1.0)
    assert gone.told == []
    assert rounds.until is None


def test_one_that_tells_nothing_is_not_waited_for_for_ever() -> None:
    workers = {0: Fake(), 1: Fake()}
    rounds = Rounds(workers)
    rounds.ask(RELOAD, 5.0, (0, 1))
    rounds.told(0, 1, done(0), 6.0)
    assert rounds.until == 5.0 + LONGEST_S
    rounds.overdue(rounds.until)
    (told,) = workers[0].told
    assert [one.failure is None for one in told.outcomes] == [True, False]


def test_what_was_put_away_is_put_away_in_a_new_worker_until_it_is_brought_back() -> None:
    workers = {0: Fake()}
    rounds = Rounds(workers)
    unload = Change("unload", "parts")
    rounds.ask(unload, 0.0)
    rounds.told(0, 1, done(0), 0.0)
    workers[1] = Fake()
    rounds.began(1)
    assert workers[1].orders == [Do(0, unload)]
    rounds.ask(Change("load", "parts"), 0.0)
    workers[2] = Fake()
    rounds.began(2)
    assert workers[2].orders == []


def test_without_workers_there_is_nothing_to_wait_for() -> None:
    rounds = Rounds({})
    rounds.ask(Change("reload"), 0.0)
    assert rounds.until is None
