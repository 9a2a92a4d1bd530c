"""`car_details`: candidates, the roll-up of makes, and when a car counts as recognised."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from models.manifest import WeightsError
from models.photo import Header, Photo, Region, whole
from models.predictors.car_details import CarDetails, CarDetailsAnswer, CarDetailsOptions
from tests import weights

HEADER = Header(640, 480, "JPEG")


def predictor(folder: Path, **changes: Any) -> CarDetails:
    weights.write(folder, weights.manifest("car_details", **changes))
    return CarDetails(weights_dir=folder)


def finish(car_details: CarDetails, shares: list[float], region: Region | None = None, **options: Any) -> Any:
    logits = np.log(np.array(shares, np.float64)).astype(np.float32)
    return car_details.finish({"label": logits}, HEADER, region or whole(HEADER), CarDetailsOptions(**options))


@pytest.fixture(scope="module")
def car_details(tmp_path_factory: pytest.TempPathFactory) -> CarDetails:
    return predictor(tmp_path_factory.mktemp("weights"), thresholds={"recognised": 0.6})


def test_the_best_and_the_candidates_come_first_to_last(car_details: CarDetails) -> None:
    answer = finish(car_details, [0.2, 0.3, 0.45, 0.05])
    assert answer.best.model_dump() == {
        "label": "BMW M3 Coupe 2012",
        "make": "BMW",
        "model": "M3 Coupe",
        "year": 2012,
        "score": 0.45,
    }
    assert answer.best == answer.candidates[0]
    assert [c.score for c in answer.candidates] == [0.45, 0.3, 0.2, 0.05]


def test_makes_are_summed_over_their_models(car_details: CarDetails) -> None:
    answer = finish(car_details, [0.2, 0.3, 0.45, 0.05])
    # Audi is likelier than BMW though the likeliest model is a BMW; a label without a make counts for none.
    assert [(m.make, m.score) for m in answer.makes] == [("Audi", 0.5), ("BMW", 0.45)]


def test_a_label_without_parts_has_nulls(car_details: CarDetails) -> None:
    best = finish(car_details, [0.1, 0.1, 0.1, 0.7]).best
    assert (best.label, best.make, best.model, best.year) == ("something else", None, None, None)


@pytest.mark.parametrize(("best", "recognised"), [(0.7, True), (0.601, True), (0.599, False)])
def test_recognised_from_the_threshold_on(car_details: CarDetails, best: float, recognised: bool) -> None:
    rest = (1 - best) / 3
    answer = finish(car_details, [best, rest, rest, rest])
    assert answer.recognised is recognised
    assert answer.best.label == "Audi R8 Coupe 2012"


def test_recognised_asks_the_calibrated_score(tmp_path: Path) -> None:
    soft = predictor(tmp_path, thresholds={"recognised": 0.6}, temperature={"label": 2.0})
    answer = finish(soft, [0.64, 0.04, 0.16, 0.16])
    # The roots of the shares: 0.8, 0.2, 0.4, 0.4.
    assert [c.score for c in answer.candidates] == pytest.approx([0.8 / 1.8, 0.4 / 1.8, 0.4 / 1.8, 0.2 / 1.8], abs=1e-4)
    assert answer.recognised is False


@pytest.mark.parametrize(("top_k", "candidates", "makes"), [(1, 1, 1), (2, 2, 2), (20, 4, 2)])
def test_top_k_bounds_candidates_and_makes(car_details: CarDetails, top_k: int, candidates: int, makes: int) -> None:
    answer = finish(car_details, [0.4, 0.3, 0.2, 0.1], top_k=top_k)
    assert (len(answer.candidates), len(answer.makes)) == (candidates, makes)
    # The roll-up is over all labels, not only over the candidates told.
    assert answer.makes[0].score == 0.7


def test_equal_scores_keep_the_order_of_the_labels(car_details: CarDetails) -> None:
    answer = finish(car_details, [0.25] * 4)
    assert [c.label for c in answer.candidates] == [row.label for row in weights.CARS]


def test_weights_without_a_table_tell_labels_alone(tmp_path: Path) -> None:
    answer = finish(predictor(tmp_path, table=[]), [0.7, 0.1, 0.1, 0.1])
    assert answer.best.label == "Audi R8 Coupe 2012"
    assert (answer.best.make, answer.best.model, answer.best.year, answer.makes) == (None, None, None, [])


def test_a_table_of_another_length_is_refused(tmp_path: Path) -> None:
    with pytest.raises(WeightsError, match=r"car_details\.json: table: 3 rows, expected one for each of the 4 labels"):
        predictor(tmp_path, table=weights.CARS[:3])


def test_the_region_that_was_read_is_told(car_details: CarDetails) -> None:
    answer = finish(car_details, [0.25] * 4, Region(10, 20, 300, 400, "box"))
    told = {"x1": 10, "y1": 20, "x2": 300, "y2": 400, "source": "box", "score": None, "fallback": False}
    assert answer.region.model_dump() == told


def test_the_example_is_an_answer(car_details: CarDetails) -> None:
    example = car_details.specification.example
    assert CarDetailsAnswer.model_validate(example).model_dump() == example


def test_a_real_network_reads_the_region_alone(tmp_path: Path) -> None:
    manifest = weights.manifest("car_details")
    weights.write(tmp_path, manifest, weights.random_state(manifest))
    car_details = CarDetails(weights_dir=tmp_path)
    car_details.load("cpu")
    pixels = np.zeros((480, 640, 3), np.uint8)
    pixels[100:300, 200:500] = np.random.default_rng(0).integers(0, 256, (200, 300, 3), np.uint8)
    photo, options = Photo(HEADER, pixels), CarDetailsOptions()
    inside = car_details.prepare(photo, Region(200, 100, 500, 300, "box"), options)
    outside = car_details.prepare(photo, Region(0, 0, 150, 90, "box"), options)
    assert inside["image"].shape == (32, 32, 3)
    assert not np.asarray(outside["image"]).any()
    found = car_details.run({"image": np.stack([inside["image"], outside["image"]])})
    assert found["label"].shape == (2, 4)
    assert not np.allclose(np.asarray(found["label"][0]), np.asarray(found["label"][1]))
