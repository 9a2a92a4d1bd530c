"""What a replica tells the ingress of one item: its row or the reason why there is none, and what it ran meanwhile."""

from dataclasses import dataclass, field

from app import lane as lanes
from models.predictor import Arrays


@dataclass(frozen=True, slots=True)
class Run:
    """One run on a replica's device, failed ones too: items, rows with padding, seconds."""

    size: int
    padded: int
    seconds: float


@dataclass(frozen=True, slots=True)
class Row:
    """The item's row, without the batch axis. Times in seconds after the item came to the replica; `number` tells the
    replica's batches apart."""

    output: Arrays
    taken: float
    started: float
    ended: float
    number: int
    size: int


@dataclass(frozen=True, slots=True)
class Refusal:
    """An `Unanswered` in words, as exceptions with causes do not cross well: its class's name, its text, the cause's
    traceback, and what else it carries."""

    kind: str
    detail: str
    cause: str | None = None
    label: str = ""
    retry_after_s: float = 0.0

    def error(self) -> lanes.Unanswered:
        """The exception it was."""
        error: lanes.Unanswered
        match self.kind:
            case "QueueFull":
                error = lanes.QueueFull(self.retry_after_s, self.detail, self.label)
            case "NotServing":
                error = lanes.NotServing("failed", self.detail)
            case kind:
                error = getattr(lanes, kind)(self.detail)
        if self.cause is not None:
            error.__cause__ = ReplicaError(self.cause)
        return error


@dataclass(frozen=True, slots=True)
class Reply:
    """`replica` names who answered, with which `weights`; `runs` are those since its last reply to anybody."""

    replica: str
    weights: str
    outcome: Row | Refusal
    runs: list[Run] = field(default_factory=list)
    seconds: float = 0.0
    """From the item's coming to this reply."""


class ReplicaError(Exception):
    """What was raised in a replica; the text is its traceback."""
