"""Damage and parts: which parts of the car each damage lies on, and how much of it on each."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from models import outlines
from models.join import Join, Together
from models.predictors.damage import DamageAnswer, PartShare
from models.predictors.instances import Instance
from models.predictors.parts import PartsAnswer

GRID = 64
"""Points a side, over a damage's box, at which it is asked what lies there."""
LEAST = 0.05
"""Share of a damage that must lie on a part for the part to be told: outlines touch their neighbours."""


def shares(damage: Instance, parts: Sequence[Instance]) -> list[PartShare]:
    """The share of the damage's mask that lies on parts of each label, the largest first; of one label's parts
    together, so that a damage across two is counted once."""
    box = damage.box
    xs, ys = _points(box.x1, box.x2), _points(box.y1, box.y2)
    mask = outlines.inside(damage.outline, xs, ys)
    if not mask.any():
        return []
    there: dict[str, NDArray[np.bool_]] = {}
    for part in parts:
        if part.box.x1 < box.x2 and part.box.x2 > box.x1 and part.box.y1 < box.y2 and part.box.y2 > box.y1:
            lies = outlines.inside(part.outline, xs, ys) & mask
            there[part.label] = there[part.label] | lies if part.label in there else lies
    found = [PartShare(label=label, share=round(float(lies.sum() / mask.sum()), 3)) for label, lies in there.items()]
    return sorted((one for one in found if one.share >= LEAST), key=lambda one: -one.share)


def _points(low: float, high: float) -> NDArray[np.float64]:
    """The middles of equal steps from `low` to `high`."""
    return low + (np.arange(GRID) + 0.5) * (high - low) / GRID


def run(seen: Together) -> DamageAnswer:
    damage: DamageAnswer = seen.answers["damage"]
    parts: PartsAnswer = seen.answers["parts"]
    lying = [one.model_copy(update={"parts": shares(one, parts.parts)}) for one in damage.detections]
    return damage.model_copy(update={"detections": lying})


damage_parts = Join("damage_parts", {"damage": DamageAnswer, "parts": PartsAnswer}, run, changes="damage")
