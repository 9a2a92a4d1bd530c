"""Damage and parts: which parts of the car each damage lies on, and how much of it on each."""

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from models import outlines
from models.join import Join, Together
from models.joins.parts_orientation import inside
from models.predictors.attributes import AttributesAnswer
from models.predictors.damage import DamageAnswer, PartShare
from models.predictors.instances import Instance
from models.predictors.parts import UNSURE, PartsAnswer

GRID = 64
"""Points a side, over a damage's box, at which it is asked what lies there."""
LEAST = 0.05
"""Share of a damage that must lie on a part for the part to be told: outlines touch their neighbours."""
PANEL = 2.0
"""How much more a panel's score counts than a part's: on few of the photos that were learnt from were they outlined.
This and `VIEW` were chosen on 158 damages of training photos that no training saw."""
VIEW = 0.3
"""Power of the share of front or back in the orientation's scores by which a part of that end is believed."""
DOUBT = 0.1
"""Added to both shares: on close-ups the orientation is at times sure and wrong."""
ENDS = {"hood": "front", "trunk": "back", "tailgate": "back"}
SIDED = ("door", "mirror")
"""Of these a camera sees the front and the back ones together."""


@dataclass(frozen=True, slots=True)
class Claim:
    """What may be at a place: an instance, how much its claim weighs, and whether it is a part; else it is a panel."""

    instance: Instance
    weight: float
    part: bool = True


def claims(parts: PartsAnswer, view: AttributesAnswer | None = None) -> list[Claim]:
    """All that may lie under a damage, however unsure: parts, those of the end that `view` sees rather than those of
    the other, and panels."""
    found = [one for one in (*parts.parts, *parts.unsure) if one.score >= UNSURE]
    return [
        *(Claim(one, one.score * _seen(one, view)) for one in found),
        *(Claim(one, one.score * PANEL, part=False) for one in parts.panels),
    ]


def _seen(part: Instance, view: AttributesAnswer | None) -> float:
    """What the view makes of a part's score: about 1.2 times at an end that is surely seen, 0.6 at the other."""
    end, _, kind = part.label.partition("_")
    end = ENDS.get(part.label, "" if kind.endswith(SIDED) else end)
    if view is None or end not in ("front", "back") or not inside(part, view.region):
        return 1.0
    shares = {"front": DOUBT, "back": DOUBT}
    for label, score in view.orientation.scores.items():
        if (seen := label.partition("_")[0]) in shares:
            shares[seen] += score
    return float((2 * shares[end] / sum(shares.values())) ** VIEW)


def shares(damage: Instance, claims: Iterable[Claim]) -> list[PartShare]:
    """The share of the damage's mask that lies on parts of each label, the largest first. Each point of the mask is of
    what claims it with most weight; so a damage is on no part where more of it is a panel's."""
    box = damage.box
    xs, ys = _points(box.x1, box.x2), _points(box.y1, box.y2)
    mask = outlines.inside(damage.outline, xs, ys)
    if not mask.any():
        return []
    near = [one for one in sorted(claims, key=lambda one: one.weight) if _touches(one.instance, damage)]
    owner = np.full(mask.shape, -1)
    for number, one in enumerate(near):
        owner[outlines.inside(one.instance.outline, xs, ys)] = number
    points: Counter[tuple[bool, str]] = Counter()
    for number, count in zip(*np.unique(owner[mask], return_counts=True), strict=True):
        if number >= 0:
            points[near[number].part, near[number].instance.label] += int(count)
    if not points or not max(points, key=lambda one: points[one])[0]:
        return []
    told = [(label, count / int(mask.sum())) for (part, label), count in points.most_common() if part]
    return [PartShare(label=label, share=round(share, 3)) for label, share in told if share >= LEAST]


def _touches(instance: Instance, damage: Instance) -> bool:
    one, other = instance.box, damage.box
    return one.x1 < other.x2 and one.x2 > other.x1 and one.y1 < other.y2 and one.y2 > other.y1


def _points(low: float, high: float) -> NDArray[np.float64]:
    """The middles of equal steps from `low` to `high`."""
    return low + (np.arange(GRID) + 0.5) * (high - low) / GRID


def run(seen: Together) -> DamageAnswer:
    damage: DamageAnswer = seen.answers["damage"]
    view: Any = seen.answers.get("attributes")
    there: Sequence[Claim] = claims(seen.answers["parts"], view if isinstance(view, AttributesAnswer) else None)
    lying = [one.model_copy(update={"parts": shares(one, there)}) for one in damage.detections]
    return damage.model_copy(update={"detections": lying})


damage_parts = Join("damage_parts", {"damage": DamageAnswer, "parts": PartsAnswer}, run, changes="damage")
