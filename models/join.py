"""The contract of a join: what several predictors' answers to one photo tell together."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from pydantic import BaseModel

from models.language import Language
from models.photo import Header, Region


@dataclass(frozen=True, slots=True)
class Together:
    """What was said of one photo: the answers by the predictors' names, as the joins before this one left them;
    `vehicles` are the regions of those that were each read for themselves, the main one first, with `vehicle=all`
    alone. Every text is in `language`."""

    header: Header
    answers: Mapping[str, Any]
    language: Language
    vehicles: Sequence[Region] = field(default_factory=tuple)


@dataclass(frozen=True, slots=True)
class Join:
    """A pure function over several predictors' answers, run by `/v1/inspect` where all of them answered. `needs` says
    whose, by name, and of which type; a predictor of that name with other answers is not meant.

    It either gives a new answer in the place of one (`changes` is that predictor's name, among `needs`), or adds the
    fields of the model `adds` to what `inspect` tells; with `each`, one such model for every vehicle. Fields that are
    added are null where the join was not run, so they must allow it. A join that reads an answer runs after those that
    change it.
    """

    name: str
    needs: Mapping[str, type[BaseModel]]
    run: Callable[[Together], BaseModel | Sequence[BaseModel]]
    changes: str | None = None
    adds: type[BaseModel] | None = None
    each: bool = False

    def __post_init__(self) -> None:
        """Raises `ValueError` where the join says two things, or none, of what it gives."""
        if not self.needs:
            raise ValueError(f"join {self.name}: needs names no predictor")
        if (self.changes is None) == (self.adds is None):
            raise ValueError(f"join {self.name}: it either changes an answer or adds fields")
        if self.changes is not None and (self.changes not in self.needs or self.each):
            raise ValueError(f"join {self.name}: it changes one of the answers that it needs, {', '.join(self.needs)}")
        for name, one in (self.adds.model_fields if self.adds else {}).items():
            if one.is_required():
                raise ValueError(f"join {self.name}: the field {name!r} has no value for when it is not run")

    def fits(self, answers: Mapping[str, type[BaseModel]]) -> bool:
        """Whether there is all that it needs among predictors with these answers."""
        return all(name in answers and issubclass(answers[name], needed) for name, needed in self.needs.items())


def ordered(joins: Iterable[Join]) -> list[Join]:
    """The joins so that each comes after those that change what it reads, else in the order given.

    Raises `ValueError` where some wait for each other.
    """
    rest, found = list(joins), list[Join]()
    while rest:
        free = [one for one in rest if not any(_waits(one, other) for other in rest)]
        if not free:
            raise ValueError(f"joins wait for each other: {', '.join(one.name for one in rest)}")
        found.append(free[0])
        rest.remove(free[0])
    return found


def _waits(join: Join, other: Join) -> bool:
    """Whether the other must have run before: it changes what this one reads without changing it itself."""
    return other is not join and other.changes in join.needs and other.changes != join.changes
