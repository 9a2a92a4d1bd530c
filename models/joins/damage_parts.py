"""Damage and parts: which parts of the car each damage lies on, and how much of it on each."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from models import outlines
from models.answers import Box
from models.join import Join, Together
from models.predictors.damage import DamageAnswer, PartShare
from models.predictors.instances import Instance
from models.predictors.parts import PartsAnswer

GRID = 64
"""Points a side, over a damage's box, at which it is asked what lies there."""
LEAST = 0.05
"""Share of a damage that must lie on a part for the part to be told: outlines touch their neighbours."""


def shares(damage: Instance, parts: Sequence[Instance], panels: Sequence[Instance] = ()) -> list[PartShare]:
    """The share of the damage's mask that lies on parts of each label, the largest first; of one label's parts
    together, so that a damage across two is counted once. None where more of it lies on one of the `panels`, which are
    no parts: outlines of parts reach over to what has no label."""
    box = damage.box
    xs, ys = _points(box.x1, box.x2), _points(box.y1, box.y2)
    mask = outlines.inside(damage.outline, xs, ys)
    if not mask.any():
        return []
    on_parts = _covered(mask, parts, box, xs, ys)
    claimed = max(_covered(mask, panels, box, xs, ys).values(), default=0.0)
    found = [PartShare(label=label, share=round(share, 3)) for label, share in on_parts.items() if share >= LEAST]
    if max(on_parts.values(), default=0.0) < claimed:
        return []
    return sorted(found, key=lambda one: -one.share)


def _covered(
    mask: NDArray[np.bool_], instances: Sequence[Instance], box: Box, xs: NDArray[Any], ys: NDArray[Any]
) -> dict[str, float]:
    """By label, the share of a damage's `mask` (points at `ys` by `xs`, in `box`) that lies on instances of it."""
    there: dict[str, NDArray[np.bool_]] = {}
    for one in instances:
        if one.box.x1 < box.x2 and one.box.x2 > box.x1 and one.box.y1 < box.y2 and one.box.y2 > box.y1:
            lies = outlines.inside(one.outline, xs, ys) & mask
            there[one.label] = there[one.label] | lies if one.label in there else lies
    return {label: float(lies.sum() / mask.sum()) for label, lies in there.items()}


def _points(low: float, high: float) -> NDArray[np.float64]:
    """The middles of equal steps from `low` to `high`."""
    return low + (np.arange(GRID) + 0.5) * (high - low) / GRID


def run(seen: Together) -> DamageAnswer:
    damage: DamageAnswer = seen.answers["damage"]
    parts: PartsAnswer = seen.answers["parts"]
    lying = [one.model_copy(update={"parts": shares(one, parts.parts, parts.panels)}) for one in damage.detections]
    return damage.model_copy(update={"detections": lying})


damage_parts = Join("damage_parts", {"damage": DamageAnswer, "parts": PartsAnswer}, run, changes="damage")
