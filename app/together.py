"""The joins of one photo's answers: which of them can be run, in which order, and what became of each."""

import logging
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from pydantic import BaseModel

from app.ask import Answer
from app.errors import Problem
from app.finish import encoded
from app.schemas import AnyPredictor
from models.join import Join, Together
from models.language import Language
from models.photo import Header, Region

log = logging.getLogger("carlens.joins")


@dataclass(slots=True)
class Joined:
    """What the joins made of the answers: these, by the predictors' names; and by the joins' own what is `added` to the
    photo's, or to `each` vehicle's, and why one was left out."""

    answers: dict[str, Answer]
    added: dict[str, BaseModel] = field(default_factory=dict)
    each: dict[str, list[BaseModel]] = field(default_factory=dict)
    left_out: dict[str, str] = field(default_factory=dict)


def applicable(joins: Iterable[Join], predictors: Iterable[AnyPredictor]) -> list[Join]:
    """The joins that these predictors have all for."""
    answers = {one.specification.name: one.specification.answer for one in predictors}
    return [join for join in joins if join.fits(answers)]


def joined(
    joins: Iterable[Join],
    outcomes: Mapping[str, Answer | Problem],
    header: Header,
    language: Language,
    vehicles: Sequence[Region] = (),
) -> Joined:
    """Every join that needs no more than was asked. One that needs what has a problem is left out, with that reason;
    so is one that fails, which the log tells."""
    found = Joined({name: outcome for name, outcome in outcomes.items() if isinstance(outcome, Answer)})
    for join in joins:
        if not set(join.needs) <= set(outcomes) or (join.each and not vehicles):
            continue
        if missing := [name for name in join.needs if name not in found.answers]:
            found.left_out[join.name] = f"{', '.join(missing)} gave no answer"
            continue
        try:
            _run(join, found, Together(header, {n: a.value for n, a in found.answers.items()}, language, vehicles))
        except Exception:
            log.exception("the join %s failed", join.name)
            found.left_out[join.name] = "it failed; the service's log tells why"
    return found


def _run(join: Join, found: Joined, seen: Together) -> None:
    """Runs one join and takes what it gives. Raises where that is not what it declares."""
    given = join.run(seen)
    if join.changes is not None:
        before = found.answers[join.changes]
        if not isinstance(given, type(before.value)):
            raise TypeError(f"{join.name} gave {type(given).__name__}, not {type(before.value).__name__}")
        if given is not before.value:
            found.answers[join.changes] = Answer(given, encoded(given), before.timings)
        return
    several = list(given) if isinstance(given, Sequence) else [given]
    if not all(isinstance(one, join.adds or BaseModel) for one in several):
        raise TypeError(f"{join.name} gave something else than {join.adds}")
    if len(several) != (len(seen.vehicles) if join.each else 1):
        raise ValueError(f"{join.name} told of {len(several)} things, there are {len(seen.vehicles)} vehicles")
    if join.each:
        found.each[join.name] = several
    else:
        found.added[join.name] = several[0]
