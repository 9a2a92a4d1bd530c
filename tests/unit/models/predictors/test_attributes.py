"""`attributes`: three heads, and the direction from which the vehicle is seen as a circular mean."""

import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from models.manifest import WeightsError
from models.photo import Header, Region, whole
from models.predictor import VehicleOptions
from models.predictors.attributes import YAW, Attributes, AttributesAnswer, circular_mean
from tests import weights

HEADER = Header(640, 480, "JPEG")
VIEWS = weights.ORIENTATIONS


def predictor(folder: Path, **changes: Any) -> Attributes:
    weights.write(folder, weights.manifest("attributes", **changes))
    return Attributes(weights_dir=folder)


@pytest.fixture(scope="module")
def attributes(tmp_path_factory: pytest.TempPathFactory) -> Attributes:
    return predictor(tmp_path_factory.mktemp("weights"))


def finish(attributes: Attributes, orientation: dict[str, float], region: Region | None = None) -> AttributesAnswer:
    """The answer for these shares of the views; red at 0.7, and a sedan."""
    shares = np.array([orientation.get(view, 1e-12) for view in attributes.manifest.labels["orientation"]])
    output = {
        "color": np.log(np.array([0.7, 0.2, 0.1])).astype(np.float32),
        "type": np.array([9.0, -9.0], np.float32),
        "orientation": np.log(shares).astype(np.float32),
    }
    return attributes.finish(output, HEADER, region or whole(HEADER), VehicleOptions())


def apart(one: float, other: float) -> float:
    """Degrees between two directions."""
    return abs((one - other + 180) % 360 - 180)


def test_heads_tell_their_labels(attributes: Attributes) -> None:
    answer = finish(attributes, {"front": 1})
    assert (answer.color.label, answer.color.score) == ("red", 0.7)
    assert answer.color.scores == {"red": 0.7, "blue": 0.2, "gray": 0.1}
    assert (answer.type.label, answer.orientation.label) == ("sedan", "front")
    assert list(answer.orientation.scores) == VIEWS


@pytest.mark.parametrize("view", VIEWS)
def test_the_yaw_of_each_view(attributes: Attributes, view: str) -> None:
    degrees = {
        "front": 0,
        "front_left": 45,
        "left": 90,
        "back_left": 135,
        "back": 180,
        "back_right": 225,
        "right": 270,
        "front_right": 315,
    }
    answer = finish(attributes, {view: 1})
    assert answer.orientation.label == view
    assert answer.yaw_degrees == pytest.approx(degrees[view], abs=0.05)
    assert answer.yaw_confidence == 1.0


@pytest.mark.parametrize(
    ("shares", "yaw"),
    [
        ({"front": 0.5, "left": 0.5}, 45),
        ({"front_left": 0.5, "front_right": 0.5}, 0),
        ({"front": 0.5, "front_right": 0.5}, 337.5),
        ({"right": 0.5, "front": 0.5}, 315),
        ({"back_left": 0.5, "back_right": 0.5}, 180),
    ],
)
def test_a_mixture_lies_between_also_over_the_wrap(
    attributes: Attributes, shares: dict[str, float], yaw: float
) -> None:
    answer = finish(attributes, shares)
    assert apart(answer.yaw_degrees, yaw) < 0.1
    assert 0 <= answer.yaw_degrees < 360


def test_the_heavier_view_pulls(attributes: Attributes) -> None:
    answer = finish(attributes, {"front": 0.8, "front_right": 0.2})
    assert 337.5 < answer.yaw_degrees < 360


def test_confidence_is_the_length_of_the_mean(attributes: Attributes) -> None:
    assert finish(attributes, {"front": 0.5, "left": 0.5}).yaw_confidence == pytest.approx(math.sqrt(0.5), abs=1e-3)
    assert finish(attributes, {"front": 0.5, "back": 0.5}).yaw_confidence == 0
    assert finish(attributes, {"front": 0.9, "back": 0.1}).yaw_confidence == pytest.approx(0.8, abs=1e-3)
    even = finish(attributes, dict.fromkeys(VIEWS, 0.125))
    assert even.yaw_confidence == 0
    assert 0 <= even.yaw_degrees < 360


def test_circular_mean_needs_no_normalised_weights() -> None:
    degrees = np.array([350.0, 10.0])
    for weight in (1e-6, 1.0, 1e6):
        yaw, length = circular_mean(degrees, np.full(2, weight))
        assert apart(yaw, 0) < 1e-6
        assert length == pytest.approx(math.cos(math.radians(10)))


def test_a_yaw_just_under_360_is_not_rounded_to_it(attributes: Attributes) -> None:
    answer = finish(attributes, {"front": 0.9995, "front_right": 0.0005})
    assert answer.yaw_degrees == 0.0


def test_temperature_is_each_heads_own(tmp_path: Path) -> None:
    answer = finish(predictor(tmp_path, temperature={"color": 2.0}), {"front": 1})
    roots = np.sqrt([0.7, 0.2, 0.1])
    assert answer.color.score == pytest.approx(roots[0] / roots.sum(), abs=1e-4)
    assert answer.type.score == pytest.approx(1, abs=1e-4)


def test_labels_may_come_in_any_order_and_fewer(tmp_path: Path) -> None:
    labels = {"color": ["red", "blue", "gray"], "type": ["sedan", "bus"], "orientation": ["right", "back", "front"]}
    answer = finish(predictor(tmp_path, labels=labels), {"right": 1})
    assert (answer.orientation.label, answer.yaw_degrees) == ("right", 270.0)


def test_a_view_without_an_angle_is_refused(tmp_path: Path) -> None:
    labels = {"color": ["red"], "type": ["sedan"], "orientation": ["front", "above"]}
    with pytest.raises(WeightsError, match=r"attributes\.json: orientation above has no angle"):
        predictor(tmp_path, labels=labels)


def test_weights_without_a_head_are_refused(tmp_path: Path) -> None:
    with pytest.raises(WeightsError, match="attributes expects labels for type, orientation"):
        predictor(tmp_path, labels={"color": ["red"], "type": []})


def test_every_view_of_the_agreement_has_an_angle() -> None:
    assert set(YAW) == set(VIEWS)
    assert sorted(YAW.values()) == list(range(0, 360, 45))


def test_the_region_that_was_read_is_told(attributes: Attributes) -> None:
    answer = finish(attributes, {"front": 1}, Region(1, 2, 3, 4, "box"))
    assert (answer.region.x1, answer.region.y2, answer.region.source) == (1, 4, "box")


def test_the_example_is_an_answer(attributes: Attributes) -> None:
    example = attributes.specification.example
    assert AttributesAnswer.model_validate(example).model_dump() == example
