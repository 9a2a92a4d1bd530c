"""Whether two answers say the same: labels alike, scores and places nearly."""

import json
import math
from collections.abc import Mapping, Sequence
from typing import Any

SURE = 0.3
"""An item of a list that scores less may be missing from the other one: it stands at the edge of being told."""

SCORE = 0.05
PLACE = 0.02
LEFT_OUT = frozenset({"mask", "parts", "severity", "area_fraction", "damaged_score", "counts"})
"""Outlines and what is counted from them differ with every rounding; the boxes tell as much. Who completes an answer is
not part of every arm."""


def result_of(body: bytes) -> Mapping[str, Any] | None:
    """The `result` of an answer; None where the body holds none, or an empty one."""
    try:
        found = json.loads(body)
    except ValueError:
        return None
    result = found.get("result") if isinstance(found, dict) else None
    return result if isinstance(result, dict) and result else None


def alike(expected: Any, given: Any, score: float = SCORE) -> bool:
    """Whether `given` says what `expected` does: the same keys and words; numbers of 0 to 1 within `score`, others
    within 2 %, or 4; of lists of scored items each one has its fellow in the other list, but for unsure ones."""
    if expected == given:
        return True
    if isinstance(expected, dict) and isinstance(given, dict):
        names = expected.keys() - LEFT_OUT
        return names == given.keys() - LEFT_OUT and all(_field(n, expected[n], given[n], score) for n in names)
    if isinstance(expected, list) and isinstance(given, list):
        return _lists(expected, given, score)
    if _number(expected) and _number(given):
        return _near(float(expected), float(given), score)
    return False


def difference(expected: Any, given: Any) -> float:
    """The largest difference between scores, 0 to 1, that both answers tell under the same keys."""
    if isinstance(expected, dict) and isinstance(given, dict):
        return max((difference(expected[n], given[n]) for n in expected.keys() & given.keys() - LEFT_OUT), default=0.0)
    if isinstance(expected, float) and isinstance(given, float) and max(expected, given) <= 1.0:
        return abs(expected - given)
    return 0.0


def _field(name: str, expected: Any, given: Any, score: float) -> bool:
    if name == "yaw_degrees" and _number(expected) and _number(given):  # an angle: 359 is near 1
        return bool(abs((expected - given + 180) % 360 - 180) <= 360 * score)
    return alike(expected, given, score)


def _lists(expected: Sequence[Any], given: Sequence[Any], score: float) -> bool:
    if all(isinstance(one, dict) and "score" in one for one in (*expected, *given)):
        return _found(expected, given, score) and _found(given, expected, score)
    return len(expected) == len(given) and all(alike(a, b, score) for a, b in zip(expected, given, strict=True))


def _found(wanted: Sequence[Any], there: Sequence[Any], score: float) -> bool:
    return all(one["score"] < SURE or any(alike(one, other, score) for other in there) for one in wanted)


def _number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _near(expected: float, given: float, score: float) -> bool:
    if not (math.isfinite(expected) and math.isfinite(given)):
        return False
    if max(abs(expected), abs(given)) <= 1.0:
        return abs(expected - given) <= score
    return abs(expected - given) <= max(4.0, PLACE * abs(expected))
