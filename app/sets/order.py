"""What is asked of every photo of a set, and the shards that it is cut into."""

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from pydantic import BaseModel, ConfigDict

from app.schemas import AnyPredictor
from app.settings import Settings


@dataclass(frozen=True, slots=True)
class Order:
    """`tasks` are asked of every photo with the query parameters `given`; texts are in `language`. `weights` are those
    of all predictors that are loaded for it, by name: who answers must have the same."""

    settings: Settings
    tasks: Sequence[str]
    weights: Mapping[str, str]
    language: str
    given: Mapping[str, str | float] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Shard:
    """Photos that are answered and written together."""

    number: int
    names: Sequence[str]


class Model(BaseModel):
    """A version of a predictor."""

    version: str
    weights: str


class Manifest(BaseModel):
    """What a folder of results is of. Parts of two that differ do not belong together."""

    model_config = ConfigDict(extra="forbid")

    photos: int
    listing: str
    """SHA-256 over the photos' names, in their order."""
    shard: int
    """Photos of a part."""
    tasks: list[str]
    options: dict[str, str | float]
    language: str
    backend: str
    models: dict[str, Model]

    @classmethod
    def of(cls, names: Sequence[str], size: int, order: Order, predictors: Mapping[str, AnyPredictor]) -> "Manifest":
        digest = hashlib.sha256()
        for name in names:
            digest.update(name.encode("utf-8", "surrogateescape") + b"\n")
        return cls(
            photos=len(names),
            listing=f"sha256:{digest.hexdigest()}",
            shard=size,
            tasks=list(order.tasks),
            options=dict(order.given),
            language=order.language,
            backend=order.settings.backend,
            models={
                name: Model(version=one.card.version, weights=one.card.weights) for name, one in predictors.items()
            },
        )

    def differences(self, other: "Manifest") -> list[str]:
        """Each field in which `other` differs, as it was and as it is now."""
        before, now = self.model_dump(), other.model_dump()
        return [f"{name} (was {before[name]}, is {now[name]})" for name in before if before[name] != now[name]]


def shards(names: Sequence[str], size: int) -> Iterator[Shard]:
    """Of `size` photos each, the last one of what is left."""
    for number, start in enumerate(range(0, len(names), size)):
        yield Shard(number, names[start : start + size])
