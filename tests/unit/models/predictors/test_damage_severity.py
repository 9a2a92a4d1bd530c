"""`damage_severity`: what it reads of a damage, and the grade it gives."""

from pathlib import Path

import numpy as np
import pytest

from models.manifest import WeightsError
from models.photo import Header, Photo, Region
from models.predictor import Options
from models.predictors.damage_severity import KINDS, KNOWN, DamageSeverity, known, surroundings
from tests import weights

HEADER = Header(400, 200, "JPEG")
DENT = Region(100.0, 50.0, 140.0, 70.0, "damage", 0.9, "dent")


@pytest.fixture(scope="module")
def predictor(tmp_path_factory: pytest.TempPathFactory) -> DamageSeverity:
    folder = tmp_path_factory.mktemp("weights")
    made = weights.manifest("damage_severity", temperature={"label": 2.0})
    weights.write(folder, made, weights.random_state(made))
    return DamageSeverity(weights_dir=folder)


def test_surroundings_are_half_a_side_each_way_and_stay_in_the_photo() -> None:
    found = surroundings(DENT, HEADER)
    assert (found.x1, found.y1, found.x2, found.y2) == (80, 40, 160, 80)
    corner = surroundings(Region(0.0, 180.0, 40.0, 200.0), HEADER)
    assert (corner.x1, corner.y1, corner.x2, corner.y2) == (0, 170, 60, 200)


def test_class_and_size_are_known() -> None:
    numbers = known(DENT, HEADER)
    assert numbers.dtype == np.float32
    assert numbers.shape == (KNOWN,)
    assert numbers[:3].tolist() == [1, 0, 0]
    np.testing.assert_allclose(np.exp(numbers[3:]) - 1e-4, [0.1, 0.1, 0.01], rtol=1e-3)


def test_classes_of_damage_are_of_the_kinds_that_were_graded() -> None:
    found = {label: known(Region(0, 0, 9, 9, label=label), HEADER)[:3].tolist() for label in weights.DAMAGES}
    assert found["scratch"] == [0, 1, 0]
    assert found["crack"] == found["glass_shatter"] == found["lamp_broken"] == [0, 0, 1]
    assert found["tire_flat"] == [0, 0, 0]  # nothing of the sort was graded
    assert set(KINDS.values()) == {0, 1, 2}


def test_what_is_prepared_is_what_its_specification_says(predictor: DamageSeverity) -> None:
    pixels = np.zeros((200, 400, 3), np.uint8)
    pixels[40:80, 80:160] = 255
    item = predictor.prepare(Photo(HEADER, pixels), DENT, Options())
    inputs = predictor.specification.inputs
    assert {name: (value.shape, str(value.dtype)) for name, value in item.items()} == {
        name: (tensor.shape, tensor.dtype) for name, tensor in inputs.items()
    }
    assert (item["image"].astype(int) > 200).all()  # the outermost ones have a little of what is around in them
    np.testing.assert_array_equal(item["known"], known(DENT, HEADER))


def test_the_network_is_told_the_class(predictor: DamageSeverity) -> None:
    predictor.load("cpu")
    photo = Photo(HEADER, np.full((200, 400, 3), 90, np.uint8))
    scratch = Region(DENT.x1, DENT.y1, DENT.x2, DENT.y2, "damage", 0.9, "scratch")
    items = [predictor.prepare(photo, region, Options()) for region in (DENT, scratch)]
    found = predictor.run({name: np.stack([item[name] for item in items]) for name in items[0]})["label"]
    assert found.shape == (2, 3)
    assert not np.allclose(found[0].astype(float), found[1].astype(float))


def test_the_best_grade_is_told_with_its_calibrated_score(predictor: DamageSeverity) -> None:
    output = {"label": np.log(np.array([0.2, 0.3, 0.5])).astype(np.float32)}
    found = predictor.finish(output, HEADER, DENT, Options())
    roots = np.sqrt([0.2, 0.3, 0.5])
    assert found.label == "severe"
    assert found.score == pytest.approx(roots[2] / roots.sum(), abs=1e-4)


def test_weights_that_are_told_nothing_are_refused(tmp_path: Path) -> None:
    weights.write(tmp_path, weights.manifest("damage_severity", network={}))
    with pytest.raises(WeightsError, match="network: beside is None, damage_severity expects 6"):
        DamageSeverity(weights_dir=tmp_path)
