"""Damage and vehicles: which damages lie on which of the photo's vehicles."""

from collections.abc import Sequence

import numpy as np
from pydantic import BaseModel, Field

from models.boxes import areas, intersections
from models.join import Join, Together
from models.photo import Region
from models.predictors.damage import DamageAnswer, Detection

LEAST_SHARE = 0.5
"""Of a damage's box that must lie in a vehicle's for the damage to be on it."""
ALIKE = 0.02
"""Shares that differ by no more are taken for equal."""


class Damaged(BaseModel):
    """What a vehicle has of the photo's damages."""

    damages: list[int] | None = Field(
        default=None, description="The damages on it, by index in `results.damage.detections`; null: not asked."
    )


def damages_by_vehicle(vehicles: Sequence[Region], detections: Sequence[Detection]) -> list[list[int]]:
    """For each vehicle, the indices of the damages that lie on it, in their order; each damage on one at most.

    It lies on the vehicle that holds the largest share of its box, half of it at least. Where two hold the same, one
    stands before the other: then on the one that reaches further down in the photo, which is the nearer one.
    """
    found: list[list[int]] = [[] for _ in vehicles]
    if not vehicles:
        return found
    boxes = np.array([(one.x1, one.y1, one.x2, one.y2) for one in vehicles], np.float64)
    for index, detection in enumerate(detections):
        box = np.array([detection.box.x1, detection.box.y1, detection.box.x2, detection.box.y2], np.float64)
        share = intersections(box, boxes) / max(areas(box[None])[0], 1e-9)
        if share.max() >= LEAST_SHARE:
            alike = np.flatnonzero(share >= share.max() - ALIKE)
            found[int(alike[boxes[alike, 3].argmax()])].append(index)
    return found


def run(seen: Together) -> list[Damaged]:
    damage: DamageAnswer = seen.answers["damage"]
    return [Damaged(damages=indices) for indices in damages_by_vehicle(seen.vehicles, damage.detections)]


damage_vehicles = Join("damage_vehicles", {"damage": DamageAnswer}, run, adds=Damaged, each=True)
