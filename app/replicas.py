"""How many replicas each predictor has, and what each of them takes, as the settings say it: `1-4,damage=2-8`."""

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import TypeVar

from models.registry import RegistryError, choose

T = TypeVar("T")

COUNT = re.compile(r"([1-9]\d{0,3})(?:-([1-9]\d{0,3}))?")


@dataclass(frozen=True, slots=True)
class Scale:
    """At least, and at most, so many replicas."""

    least: int
    most: int


def scale(text: str) -> Scale:
    """`2`, or `1-4`. Raises `ValueError`."""
    found = COUNT.fullmatch(text)
    if found is None:
        raise ValueError(f"{text!r} is no number of replicas: say 2, or 1-4")
    least, most = int(found[1]), int(found[2] or found[1])
    if most < least:
        raise ValueError(f"{text!r} ends below its begin: say {most}-{least}")
    return Scale(least, most)


def share(text: str) -> float:
    """`1`, or `0.25`. Raises `ValueError`."""
    if not re.fullmatch(r"\d{1,4}(\.\d{1,4})?", text):
        raise ValueError(f"{text!r} is no share: say 1, or 0.25")
    return float(text)


def each(text: str, read: Callable[[str], T]) -> dict[str, T]:
    """By predictor; `""` is for all that are not named. Raises `ValueError`."""
    pairs = [part.rpartition("=") for part in text.split(",") if part.strip()]
    return {name.strip(): read(value.strip()) for name, _, value in pairs}


def of(name: str, told: Mapping[str, T], default: T) -> T:
    """What holds for that predictor."""
    return told.get(name, told.get("", default))


def check(told: Mapping[str, Iterable[str]], served: Iterable[str]) -> None:
    """`told` has the predictors that each setting names. Raises `RegistryError` where one of them is not served, as its
    replicas would silently be as many as all others have."""
    there = list(served)
    for setting, names in told.items():
        try:
            choose(there, filter(None, names))
        except RegistryError as error:
            raise RegistryError(f"CARLENS_{setting.upper()}: {error}") from None
