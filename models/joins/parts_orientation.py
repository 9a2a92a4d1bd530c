"""Parts and orientation: a part of the side that the camera cannot see is its twin on the side that it can."""

from collections.abc import Sequence

import numpy as np

from models.answers import RegionRead
from models.boxes import suppress
from models.join import Join, Together
from models.predictors.attributes import AttributesAnswer
from models.predictors.instances import Instance
from models.predictors.parts import PartsAnswer, twin

SURE = 0.9
"""Length of the orientation's mean direction (`yaw_confidence`) from which it is believed. On close-ups of validation
photos fewer sides were right than without from 0.6 on, and more from 0.8 on."""
HIDDEN = 100.0
"""Degrees between where a part faces and where the camera stands from which the part cannot be seen."""
SAME = 0.5
"""Intersection over union of two boxes of one label from which they are one part."""

FACES = {
    "back_left_door": 90.0,
    "front_left_door": 90.0,
    "back_left_light": 150.0,
    "front_left_light": 30.0,
    "left_mirror": 45.0,
}
"""Where a part of the left side faces, in degrees as `yaw_degrees`; its twin faces as much to the other side."""


def settled(parts: Sequence[Instance], yaw_degrees: float, region: RegionRead) -> list[Instance]:
    """The parts as they can be seen from `yaw_degrees`: of the vehicle in `region`, one that the camera cannot see
    while it would see its twin is the twin; where that was found too, the surer of the two is told. Best first."""
    found = [_settled(part, yaw_degrees) if inside(part, region) else part for part in parts]
    if found == list(parts):
        return found
    labels = {label: number for number, label in enumerate({part.label for part in found})}
    boxes = np.array([(one.box.x1, one.box.y1, one.box.x2, one.box.y2) for one in found], np.float64)
    # boxes of different labels are moved apart, so that only those of one label compete
    apart = boxes + np.array([[labels[one.label] * (boxes.max() + 1)] for one in found])
    return [found[index] for index in suppress(apart, np.array([one.score for one in found]), SAME)]


def _settled(part: Instance, yaw_degrees: float) -> Instance:
    other = twin(part.label)
    if other is None:
        return part
    faces = FACES[part.label] if part.label in FACES else -FACES[other]
    if _between(yaw_degrees, faces) < HIDDEN or _between(yaw_degrees, -faces) >= HIDDEN:
        return part
    return part.model_copy(update={"label": other})


def _between(one: float, other: float) -> float:
    """Degrees from one direction to another, 0 to 180."""
    return abs((one - other + 180) % 360 - 180)


def inside(part: Instance, region: RegionRead) -> bool:
    """Whether the part's middle lies in the region."""
    x, y = (part.box.x1 + part.box.x2) / 2, (part.box.y1 + part.box.y2) / 2
    return region.x1 <= x <= region.x2 and region.y1 <= y <= region.y2


def by_view(parts: Sequence[Instance], attributes: AttributesAnswer) -> list[Instance]:
    """The parts, settled where the orientation is sure, else as they are."""
    if attributes.yaw_confidence < SURE:
        return list(parts)
    return settled(parts, attributes.yaw_degrees, attributes.region)


def run(seen: Together) -> PartsAnswer:
    parts: PartsAnswer = seen.answers["parts"]
    return parts.model_copy(update={"parts": by_view(parts.parts, seen.answers["attributes"])})


parts_orientation = Join(
    "parts_orientation", {"parts": PartsAnswer, "attributes": AttributesAnswer}, run, changes="parts"
)
