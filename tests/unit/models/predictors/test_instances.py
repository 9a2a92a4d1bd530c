"""The kind `instances`: any labels, answered and drawn under the manifest's name."""

from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from models.drawing import draw_instances
from models.manifest import WeightsError
from models.photo import Header, Photo, whole
from models.predictors.instances import Instances, InstancesAnswer, InstancesOptions, strength
from tests import weights

HEADER = Header(320, 160, "PNG")  # 10 and 5 times the 32 x 32 the network reads


@pytest.fixture(scope="module")
def balloons(tmp_path_factory: pytest.TempPathFactory) -> Instances:
    folder = tmp_path_factory.mktemp("weights")
    weights.write(folder, weights.manifest("balloons", thresholds={"balloon": 0.6, "string": 0.2}))
    return Instances(weights_dir=folder, name="balloons")


def output(*rows: tuple[int, float]) -> dict[str, NDArray[np.generic]]:
    """Rows of (label, score), all of the same box, and one unused row."""
    count = len(rows) + 1
    scores, labels = np.zeros(count, np.float32), np.zeros(count, np.int64)
    for n, (label, score) in enumerate(rows):
        labels[n], scores[n] = label, score
    boxes = np.tile(np.array([8, 8, 24, 16], np.float32), (count, 1))
    return {"boxes": boxes, "scores": scores, "labels": labels, "masks": np.ones((count, 28, 28), np.float32)}


def answer(balloons: Instances, *rows: tuple[int, float]) -> InstancesAnswer:
    return balloons.finish(output(*rows), HEADER, whole(HEADER), InstancesOptions())


def test_what_its_label_is_sure_of_is_told(balloons: Instances) -> None:
    found = answer(balloons, (0, 0.5), (1, 0.3), (0, 0.7), (1, 0.1))
    assert [(one.label, one.score) for one in found.instances] == [("balloon", 0.7), ("string", 0.3)]
    assert found.counts == {"balloon": 1, "string": 1}
    assert found.instances[0].box.model_dump() == {"x1": 80.0, "y1": 40.0, "x2": 240.0, "y2": 80.0}
    assert found.instances[0].area_fraction == pytest.approx(160 * 40 / (320 * 160), rel=0.01)
    assert answer(balloons).counts == {"balloon": 0, "string": 0}


def test_it_is_drawn_where_it_lies(balloons: Instances) -> None:
    photo = Photo(HEADER, np.full((160, 320, 3), 90, np.uint8))
    drawn = draw_instances(photo.pixels, balloons.shapes(answer(balloons, (0, 0.7))))
    assert (drawn[45:75, 90:230] != 90).any(axis=2).all()
    assert (drawn[100:, :] == 90).all()


def test_its_documentation_names_its_labels(balloons: Instances) -> None:
    specification = balloons.specification
    assert (specification.name, specification.drawable) == ("balloons", True)
    assert "balloon, string" in specification.description
    example = InstancesAnswer.model_validate(dict(specification.example))
    assert example.counts == {"balloon": 1, "string": 0}


def test_another_kind_is_refused(tmp_path: Path) -> None:
    weights.write(tmp_path, weights.manifest("brands"))
    with pytest.raises(WeightsError, match=r"brands\.json: kind is 'classifier', brands expects 'instances'"):
        Instances(weights_dir=tmp_path, name="brands")


@pytest.mark.parametrize(
    ("scores", "thresholds", "expected"),
    [
        ([], [], 0.0),
        ([0.0], [0.6], 0.0),
        ([0.3], [0.6], 0.25),
        ([0.6], [0.6], 0.5),
        ([0.8], [0.6], 0.75),
        ([1.0], [0.6], 1.0),
        ([0.3, 0.2], [0.6, 0.2], 0.5),
        ([0.5], [1.0], 0.25),
        ([0.5], [0.0], 0.75),
    ],
)
def test_strength_is_measured_by_the_threshold(scores: list[float], thresholds: list[float], expected: float) -> None:
    assert strength(np.array(scores), np.array(thresholds)) == pytest.approx(expected)
