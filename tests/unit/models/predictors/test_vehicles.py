"""`vehicles`: what is told of hand-made cells, and the regions that others read."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from models.manifest import WeightsError
from models.photo import Header, Photo, Region, whole
from models.predictors.vehicles import Vehicles, VehiclesAnswer, VehiclesOptions
from tests import weights

WIDE = Header(400, 200, "JPEG")  # scaled by 0.08 to the upper half of the 32 x 32 that the network reads
LABELS = ["car", "bus", "truck", "motorcycle"]
Row = tuple[str, float, tuple[float, float, float, float]]


@pytest.fixture(scope="module")
def vehicles(tmp_path_factory: pytest.TempPathFactory) -> Vehicles:
    folder = tmp_path_factory.mktemp("weights")
    weights.write(folder, weights.manifest("vehicles", thresholds=dict.fromkeys(LABELS, 0.3)))
    return Vehicles(weights_dir=folder)


def output(*rows: Row) -> dict[str, NDArray[np.generic]]:
    """One cell a row, its box given in the photo's pixels, then cells that saw nothing."""
    boxes, scores = np.zeros((len(rows) + 5, 4), np.float32), np.zeros((len(rows) + 5, 4), np.float32)
    for n, (label, score, box) in enumerate(rows):
        boxes[n], scores[n, LABELS.index(label)] = np.array(box) * 0.08, score
    return {"boxes": boxes, "scores": scores}


def finish(vehicles: Vehicles, *rows: Row, **options: Any) -> VehiclesAnswer:
    return vehicles.finish(output(*rows), WIDE, whole(WIDE), VehiclesOptions(**options))


BIG = (50.0, 20.0, 350.0, 180.0)
SMALL = (300.0, 10.0, 340.0, 30.0)


def test_boxes_are_in_the_photo_s_pixels_and_cut_to_it(vehicles: Vehicles) -> None:
    (found,) = finish(vehicles, ("bus", 0.9, BIG)).vehicles
    box = found.box
    assert (box.x1, box.y1, box.x2, box.y2) == pytest.approx(BIG, abs=0.1)
    assert (found.type, found.main) == ("bus", True)
    assert found.score == pytest.approx(0.9, abs=1e-4)
    assert found.area_fraction == pytest.approx(300 * 160 / 80000, abs=1e-3)
    (cut,) = finish(vehicles, ("car", 0.9, (-80, 20, 300, 260))).vehicles
    assert (cut.box.x1, cut.box.y2) == (0, 200)


def test_one_vehicle_seen_as_car_and_truck_is_told_once(vehicles: Vehicles) -> None:
    found = finish(vehicles, ("car", 0.6, BIG), ("truck", 0.7, (55, 22, 352, 178))).vehicles
    assert [(one.type, one.main) for one in found] == [("truck", True)]


def test_the_main_one_comes_first_though_another_is_surer(vehicles: Vehicles) -> None:
    found = finish(vehicles, ("car", 0.78, SMALL), ("car", 0.45, BIG), ("bus", 0.5, (20, 80, 50, 120))).vehicles
    assert [(one.score, one.main) for one in found] == [(0.45, True), (0.78, False), (0.5, False)]


def test_the_main_one_is_told_under_the_lowest_score_and_within_the_most(vehicles: Vehicles) -> None:
    rows: tuple[Row, ...] = (("car", 0.78, SMALL), ("car", 0.2, BIG), ("car", 0.25, (20, 80, 50, 120)))
    assert [one.score for one in finish(vehicles, *rows).vehicles] == [0.2, 0.78]
    assert [one.score for one in finish(vehicles, *rows, min_score=0.9).vehicles] == [0.2]
    assert [one.main for one in finish(vehicles, *rows, max_detections=1).vehicles] == [True]
    assert len(finish(vehicles, *rows, min_score=0.22).vehicles) == 3


def test_the_main_one_does_not_depend_on_what_is_shown(vehicles: Vehicles) -> None:
    rows: tuple[Row, ...] = (("car", 0.05, BIG), ("car", 0.78, (200, 60, 300, 110)))
    for low in (0.0, 0.3, 1.0):
        assert [one.score for one in finish(vehicles, *rows, min_score=low).vehicles if one.main] == [0.78]
    assert len(finish(vehicles, *rows, min_score=0).vehicles) == 2


def test_a_faint_whole_vehicle_is_told_and_read(vehicles: Vehicles) -> None:
    """BIG is cut by no edge; nothing surer is there."""
    answer = finish(vehicles, ("car", 0.03, BIG), ("car", 0.01, SMALL))
    assert [(one.score, one.main) for one in answer.vehicles] == [(0.03, True)]
    assert [one.score for one in vehicles.regions(answer, WIDE)] == [0.03]
    assert [one.main for one in finish(vehicles, ("car", 0.03, BIG), min_score=0.9).vehicles] == [True]


def test_regions_are_the_boxes_and_the_main_vehicle_s_is_first(vehicles: Vehicles) -> None:
    answer = finish(vehicles, ("car", 0.78, SMALL), ("car", 0.45, BIG))
    first, second = vehicles.regions(answer, WIDE)
    assert (first.source, first.score, second.score) == ("vehicle", 0.45, 0.78)
    assert (first.x1, first.y1, first.x2, first.y2) == pytest.approx(BIG, abs=0.3)


def test_regions_are_cut_to_the_photo(vehicles: Vehicles) -> None:
    (found,) = vehicles.regions(finish(vehicles, ("car", 0.9, (0, 0, 400, 200))), WIDE)
    assert found == Region(0, 0, 400, 200, "vehicle", 0.9)


def test_without_a_main_vehicle_the_photo_is_read_whole(vehicles: Vehicles) -> None:
    answer = finish(vehicles, ("car", 0.9, (0, 40, 30, 60)))  # at the edge, small: behind a close-up
    assert [one.main for one in answer.vehicles] == [False]
    assert vehicles.regions(answer, WIDE) == []
    assert vehicles.regions(finish(vehicles), WIDE) == []


def test_a_photo_is_prepared_with_its_shape_kept(vehicles: Vehicles) -> None:
    photo = Photo(WIDE, np.full((200, 400, 3), 250, np.uint8))
    image = vehicles.prepare(photo, whole(WIDE), VehiclesOptions())["image"]
    assert image.shape == (32, 32, 3)
    assert (image[:16] == 250).all()
    assert (image[16:] == 114).all()


def test_the_picture_shows_the_box_and_who_is_meant(vehicles: Vehicles) -> None:
    photo = Photo(WIDE, np.zeros((200, 400, 3), np.uint8))
    drawn = vehicles.draw(photo, finish(vehicles, ("car", 0.9, BIG)))
    assert drawn.shape == (200, 400, 3)
    assert drawn[100, 48:53].any()
    assert not drawn[90:110, 150:250].any()


def test_the_example_is_an_answer(vehicles: Vehicles) -> None:
    VehiclesAnswer.model_validate(vehicles.specification.example)


def test_weights_that_stretch_are_refused(tmp_path: Path) -> None:
    weights.write(tmp_path, weights.manifest("vehicles", fit="stretch"))
    with pytest.raises(WeightsError, match=r"vehicles\.json: fit is 'stretch', vehicles expects 'letterbox'"):
        Vehicles(weights_dir=tmp_path)
