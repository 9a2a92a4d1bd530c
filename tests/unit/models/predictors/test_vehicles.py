"""`vehicles`: what is told of hand-made cells, and the regions that others read."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from models.drawing import draw_instances
from models.manifest import WeightsError
from models.photo import Header, Photo, Region, whole
from models.predictor import Input
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


FIRST, FARTHER, CLOSER = 64, 32, 96


class Looks:
    """A backend that is sure (0.9) or not (0.1) of its one cell as a photo's brightness says: 100 and more in the first
    look, 50 to 99 in the farther one, and below in the closer one. The box is large where the brightness is even; its
    last edge is the brightness, so that a row shows which photo it came from."""

    name = "looks"

    def __init__(self) -> None:
        self.asked: list[tuple[int, int]] = []

    def run(self, batch: dict[str, NDArray[np.uint8]]) -> dict[str, NDArray[np.generic]]:
        image = batch["image"]
        self.asked.append((len(image), image.shape[1]))
        light = image[:, 0, 0, 0].astype(np.float32)
        sure = {FIRST: light >= 100, FARTHER: (light >= 50) & (light < 100), CLOSER: light < 50}[image.shape[1]]
        scores = np.full((len(image), 1, 4), 0.1, np.float32)
        scores[:, 0, 0] = np.where(sure, 0.9, 0.1)
        boxes = np.zeros((len(image), 1, 4), np.float32)
        boxes[:, 0, 2], boxes[:, 0, 3] = np.where(light % 2, 1, 60), light
        return {"boxes": boxes, "scores": scores}


@pytest.fixture
def looks(tmp_path: Path) -> Vehicles:
    thresholds = dict.fromkeys(LABELS, 0.3)
    size = Input(width=FIRST, height=FIRST)
    weights.write(tmp_path, weights.manifest("vehicles", input=size, thresholds=thresholds))
    predictor = Vehicles(weights_dir=tmp_path)
    predictor.backend = Looks()  # type: ignore[assignment]
    return predictor


def asked(predictor: Vehicles) -> list[tuple[int, int]]:
    return predictor.backend.asked  # type: ignore[attr-defined, no-any-return]


def batch(*brightness: int) -> dict[str, NDArray[np.uint8]]:
    light = np.array(brightness, np.uint8)[:, None, None, None]
    looks = {"image": FIRST, "farther": FARTHER, "closer": CLOSER}
    return {name: np.broadcast_to(light, (len(brightness), side, side, 3)) for name, side in looks.items()}


def test_a_photo_with_something_sure_and_large_is_looked_at_once(looks: Vehicles) -> None:
    assert set(looks.run(batch(200, 210))) == {"boxes", "scores"}
    assert asked(looks) == [(2, FIRST)]


def test_photos_without_something_sure_and_large_are_looked_at_from_farther(looks: Vehicles) -> None:
    found = looks.run(batch(200, 60, 211, 62))
    assert asked(looks) == [(4, FIRST), (4, FARTHER)]
    assert found["boxes"][:, 0, 3].tolist() == [200, 60, 211, 62]
    assert found["farther_boxes"][:, 0, 3].tolist() == [0, 60, 211, 62]
    assert found["farther_scores"].max(axis=(1, 2)).tolist() == pytest.approx([0, 0.9, 0, 0.9])
    assert "closer_scores" not in found


def test_what_is_small_or_faint_from_farther_counts_for_nothing(looks: Vehicles) -> None:
    found = looks.run(batch(60, 61, 40))
    assert asked(looks) == [(3, FIRST), (4, FARTHER), (2, CLOSER)]
    assert found["farther_scores"].max(axis=(1, 2)).tolist() == pytest.approx([0.9, 0, 0])


def test_numbers_that_are_none_stay_so(looks: Vehicles, monkeypatch: pytest.MonkeyPatch) -> None:
    plain = looks.backend.run

    def broken(batch: dict[str, NDArray[np.uint8]]) -> dict[str, NDArray[np.generic]]:
        found = dict(plain(batch))
        if batch["image"].shape[1] == FARTHER:
            found["scores"] = np.full_like(found["scores"], np.nan)
        return found

    monkeypatch.setattr(looks.backend, "run", broken)
    assert np.isnan(looks.run(batch(60))["farther_scores"]).all()


def test_photos_with_nothing_sure_at_either_size_are_looked_at_closer(looks: Vehicles) -> None:
    found = looks.run(batch(200, 20, 211, 60))
    assert asked(looks) == [(4, FIRST), (4, FARTHER), (1, CLOSER)]
    assert found["closer_boxes"][:, 0, 3].tolist() == [0, 20, 0, 0]
    assert found["closer_scores"].max(axis=(1, 2)).tolist() == pytest.approx([0, 0.9, 0, 0])


@pytest.mark.parametrize(("unsure", "size"), [(1, 1), (3, 4), (5, 8), (8, 8)])
def test_further_looks_are_at_sizes_that_were_warmed(looks: Vehicles, unsure: int, size: int) -> None:
    dark = range(10, 10 + unsure)
    found = looks.run(batch(*dark, *[250] * (8 - unsure)))
    assert asked(looks)[1:] == [(size, FARTHER), (size, CLOSER)]
    assert found["closer_boxes"][:, 0, 3].tolist() == [*dark, *[0] * (8 - unsure)]


def test_warming_up_sees_every_size() -> None:
    """The device is warmed with black photos: in these nothing may be seen."""
    shipped = Vehicles()
    shipped.load("cpu")
    inputs = shipped.specification.inputs
    assert inputs["farther"].shape == (224, 224, 3)
    assert inputs["closer"].shape == (640, 640, 3)
    found = shipped.run({name: np.zeros((1, *one.shape), one.dtype) for name, one in inputs.items()})
    cells = [found[name].shape[1] for name in ("farther_boxes", "boxes", "closer_boxes")]
    assert cells == sorted(set(cells))


def test_what_several_looks_found_is_told_once_and_what_one_found_too(vehicles: Vehicles) -> None:
    seen = output(("car", 0.2, BIG))
    farther = output(("car", 0.4, (48, 22, 349, 179)))  # in the pixels of 32 x 32, as the first
    closer = output(("car", 0.5, (52, 21, 351, 181)), ("bus", 0.4, SMALL))
    closer["boxes"] = closer["boxes"] * 2  # in the pixels of 64 x 64
    seen |= {f"farther_{name}": value for name, value in farther.items()}
    seen |= {f"closer_{name}": value for name, value in closer.items()}
    answer = vehicles.finish(seen, WIDE, whole(WIDE), VehiclesOptions())
    assert [(one.type, round(one.score, 4), one.main) for one in answer.vehicles] == [
        ("car", 0.5, True),
        ("bus", 0.4, False),
    ]
    box = answer.vehicles[1].box
    assert (box.x1, box.y1, box.x2, box.y2) == pytest.approx(SMALL, abs=0.1)


def test_a_vehicle_seen_from_farther_is_where_the_first_look_had_it(vehicles: Vehicles) -> None:
    first, farther = (
        output(("car", 0.05, BIG), ("car", 0.03, (70, 40, 330, 160))),
        output(("bus", 0.6, (40, 30, 360, 190))),
    )
    first |= {f"farther_{name}": value for name, value in farther.items()}
    (found,) = vehicles.finish(first, WIDE, whole(WIDE), VehiclesOptions()).vehicles
    assert (found.type, round(found.score, 4)) == ("bus", 0.6)
    box = found.box
    assert (box.x1, box.y1, box.x2, box.y2) == pytest.approx(BIG, abs=0.1)


def test_a_frame_filling_vehicle_seen_from_farther_is_meant_and_not_a_surer_one_behind(vehicles: Vehicles) -> None:
    """What the first look alone would have taken for the main one."""
    first, farther = output(("car", 0.5, (0, 10, 110, 90))), output(("car", 0.35, (30, 10, 380, 195)))
    alone = vehicles.finish(first, WIDE, whole(WIDE), VehiclesOptions()).vehicles
    assert [(one.score, one.main) for one in alone] == [(0.5, True)]
    first |= {f"farther_{name}": value for name, value in farther.items()}
    both = vehicles.finish(first, WIDE, whole(WIDE), VehiclesOptions()).vehicles
    assert [(round(one.score, 4), one.main) for one in both] == [(0.35, True), (0.5, False)]


def test_a_photo_is_prepared_with_its_shape_kept(vehicles: Vehicles) -> None:
    photo = Photo(WIDE, np.full((200, 400, 3), 250, np.uint8))
    prepared = vehicles.prepare(photo, whole(WIDE), VehiclesOptions())
    for name, side in (("image", 32), ("farther", 32), ("closer", 64)):
        assert prepared[name].shape == vehicles.specification.inputs[name].shape == (side, side, 3)
        assert (prepared[name][: side // 2] == 250).all()
        assert (prepared[name][side // 2 :] == 114).all()
    assert vehicles.specification.reads == (64, 64)


def test_the_picture_shows_the_box_and_who_is_meant(vehicles: Vehicles) -> None:
    photo = Photo(WIDE, np.zeros((200, 400, 3), np.uint8))
    drawn = draw_instances(photo.pixels, vehicles.shapes(finish(vehicles, ("car", 0.9, BIG))))
    assert drawn.shape == (200, 400, 3)
    assert drawn[100, 48:53].any()
    assert not drawn[90:110, 150:250].any()


def test_the_example_is_an_answer(vehicles: Vehicles) -> None:
    VehiclesAnswer.model_validate(vehicles.specification.example)


def test_weights_that_stretch_are_refused(tmp_path: Path) -> None:
    weights.write(tmp_path, weights.manifest("vehicles", fit="stretch"))
    with pytest.raises(WeightsError, match=r"vehicles\.json: fit is 'stretch', vehicles expects 'letterbox'"):
        Vehicles(weights_dir=tmp_path)


@pytest.mark.parametrize("name", ["boxes", "scores"])
@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_what_is_no_number_is_an_error_and_not_an_empty_road(vehicles: Vehicles, name: str, value: float) -> None:
    broken = output(("car", 0.9, BIG))
    broken[name][0, 0] = value
    with pytest.raises(ValueError, match="finite"):
        vehicles.finish(broken, WIDE, whole(WIDE), VehiclesOptions())


def test_the_box_of_a_cell_that_saw_nothing_may_be_endless(vehicles: Vehicles) -> None:
    seen = output(("car", 0.9, BIG))
    seen["boxes"][-1] = np.inf
    assert len(vehicles.finish(seen, WIDE, whole(WIDE), VehiclesOptions()).vehicles) == 1
