"""A change of what is served, as it is asked for, and what came of it; told between workers as it stands here."""

from dataclasses import dataclass, field
from typing import Literal

from models.predictor import State

Action = Literal["reload", "load", "unload"]


@dataclass(frozen=True, slots=True)
class Change:
    """One predictor, or without a name all that are loaded, to be read anew from its files, brought in, or put away."""

    action: Action
    name: str | None = None


@dataclass(frozen=True, slots=True)
class Outcome:
    """What is served under the name after a change, by one worker: the version that answers, and all that can be asked
    for. `failure` tells why nothing was changed."""

    state: State
    version: str = ""
    versions: list[str] = field(default_factory=list)
    failure: str | None = None
    worker: int = 0
