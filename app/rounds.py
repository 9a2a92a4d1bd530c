"""Changes of models as the supervisor has them made: one after another, each in every worker."""

from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass, field

from app.changes import Change, Outcome
from app.link import Changes, Do, Told

LONGEST_S = 600.0
"""No longer is a worker waited for that tells nothing of a change; loading takes seconds, on a busy machine minutes."""


@dataclass(slots=True)
class Round:
    """One change: who asked for it (worker, and the number of its question), who still owes word, and what was told."""

    change: Change
    askers: list[tuple[int, int]] = field(default_factory=list)
    owes: set[int] = field(default_factory=set)
    outcomes: dict[int, Outcome] = field(default_factory=dict)


class Rounds:
    """`workers` are those that live, by number; it changes. Times in seconds of the supervisor's clock. Those who ask
    for a change that has not begun share it."""

    def __init__(self, workers: Mapping[int, Changes]) -> None:
        self.until: float | None = None
        self._workers = workers
        self._waiting: deque[Round] = deque()
        self._now: Round | None = None
        self._number = 0
        self._away: set[str] = set()

    def ask(self, change: Change, now: float, asker: tuple[int, int] | None = None) -> None:
        """`asker` is told the outcomes of all workers."""
        wanted = next((one for one in self._waiting if one.change == change), None)
        if wanted is None:
            wanted = Round(change)
            self._waiting.append(wanted)
        if asker is not None:
            wanted.askers.append(asker)
        self._go_on(now)

    def began(self, worker: int) -> None:
        """A worker has started, with all that its settings say: what was put away since is put away in it too."""
        for name in sorted(self._away):
            self._workers[worker].send(Do(0, Change("unload", name)))

    def told(self, worker: int, number: int, outcome: Outcome, now: float) -> None:
        if self._now is not None and number == self._number and worker in self._now.owes:
            self._note(worker, outcome)
            self._go_on(now)

    def ended(self, worker: int, now: float) -> None:
        """It reads the files anew when it starts again."""
        if self._now is not None and worker in self._now.owes:
            failure = f"worker {worker} ended meanwhile; it is started again"
            self._note(worker, Outcome("failed", worker=worker, failure=failure))
            self._go_on(now)

    def overdue(self, now: float) -> None:
        """The time is over for those that have told nothing."""
        for worker in sorted(self._now.owes) if self._now is not None else ():
            silent = f"worker {worker} told nothing within {LONGEST_S:g} s"
            self._note(worker, Outcome("loading", worker=worker, failure=silent))
        self._go_on(now)

    def _note(self, worker: int, outcome: Outcome) -> None:
        assert self._now is not None
        self._now.owes.discard(worker)
        self._now.outcomes[worker] = outcome

    def _go_on(self, now: float) -> None:
        while True:
            if self._now is not None:
                if self._now.owes:
                    return
                self._answer(self._now)
            self._now, self.until = None, None
            if not self._waiting:
                return
            self._begin(self._waiting.popleft(), now)

    def _begin(self, one: Round, now: float) -> None:
        self._number += 1
        self._now, self.until = one, now + LONGEST_S
        one.owes = set(self._workers)
        if one.change.name is not None:
            (self._away.add if one.change.action == "unload" else self._away.discard)(one.change.name)
        for worker in self._workers.values():
            worker.send(Do(self._number, one.change))

    def _answer(self, one: Round) -> None:
        outcomes = [one.outcomes[worker] for worker in sorted(one.outcomes)]
        for worker, number in one.askers:
            if worker in self._workers:
                self._workers[worker].send(Told(number, outcomes))
