"""An answer in a few words, for a table's cell: works for any predictor's answer by the shape of its fields."""

from collections import Counter
from typing import Any

MOST = 6
"""Parts of an answer shown at most; the rest is in `--json`."""


def label(value: Any) -> str | None:
    """What a scored thing is called; None for anything else."""
    if not isinstance(value, dict) or "score" not in value:
        return None
    name = value.get("label", value.get("type"))
    return name if isinstance(name, str) else None


def part(key: str, value: Any) -> str | None:
    """One field: a label with its score, labels counted, yes or no, a number, a short text; None for the rest."""
    if name := label(value):
        return f"{name} {value['score']:.2f}"
    names = [label(item) for item in value] if isinstance(value, list) else []
    if names and all(names):
        counted = Counter(name for name in names if name)
        return ", ".join(f"{count} x {name}" if count > 1 else name for name, count in counted.items())
    if isinstance(value, bool):
        return key if value else f"not {key}"
    if isinstance(value, int | float):
        return f"{key} {value:.4g}"
    return value if isinstance(value, str) and len(value) <= 40 else None


def summary(result: dict[str, Any] | None) -> str:
    """A line for each field that can be told in a few words; a list beside a `best` repeats it and is left out."""
    if result is None:
        return "-"
    fields = [(key, value) for key, value in result.items() if not (isinstance(value, list) and "best" in result)]
    told = [text for key, value in fields if (text := part(key, value))]
    return "\n".join(told[:MOST]) or "-"
