"""What stays between the parts of a detector, by drawn boxes and parts that say what they are told to say."""

from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from models.rcnn import MASK_SIDE, OUTLINED, Limits, Numbers, Rcnn

FAR = [100.0, 100, 120, 120]


class Drawn:
    """A detector's three parts: two levels of candidates, one region's class by its left edge, outlines of one half."""

    def __init__(self, boxes: list[list[float]], scores: list[float], counts: tuple[int, ...]) -> None:
        self.candidates, self.logits, self.counts = np.array(boxes, np.float32), np.array(scores, np.float32), counts
        self.outlined: list[int] = []

    def dense(self, batch: Numbers) -> Numbers:
        count = len(batch["image"])
        return {
            "features": np.zeros((count, 1, 2, 3, 3), np.float32),
            "boxes": np.stack([self.candidates] * count),
            "scores": np.stack([self.logits] * count),
            "counts": np.array(self.counts),
        }

    def boxes(self, given: Numbers) -> Numbers:
        """Class 0 for regions that begin left of 50, else class 1; one without an area is sure of nothing."""
        left, wide = given["boxes"][:, 0], given["boxes"][:, 2] - given["boxes"][:, 0]
        scores = np.where((left < 50)[:, None], [0.9, 0.01], [0.02, 0.6]) - left[:, None] / 1000
        moved = np.repeat(given["boxes"][:, None], 2, axis=1)
        return {"scores": np.where(wide[:, None] > 0, scores, 0).astype(np.float32), "moved": moved}

    def masks(self, given: Numbers) -> Numbers:
        assert len(given["features"]) == 1
        assert set(given) == {"features", "boxes", "photo", "label"}
        self.outlined.append(len(given["boxes"]))
        return {"masks": np.full((len(given["boxes"]), MASK_SIDE, MASK_SIDE), 0.5, np.float32)}

    def network(self, **limits: Any) -> Rcnn:
        return Rcnn(self.dense, self.boxes, self.masks, Limits(**limits))


def photos(count: int = 1) -> dict[str, NDArray[Any]]:
    return {"image": np.zeros((count, 8, 8, 3), np.uint8)}


def told(found: Numbers, photo: int = 0) -> list[tuple[int, float]]:
    """Label and left edge of a photo's detections."""
    number = int((found["scores"][photo] > 0).sum())
    assert not found["scores"][photo, number:].any()
    return [(int(found["labels"][photo, n]), float(found["boxes"][photo, n, 0])) for n in range(number)]


def test_of_candidates_that_overlap_the_surest_goes_on() -> None:
    drawn = Drawn([[0, 0, 20, 20], [1, 0, 21, 20], FAR], [1.0, 3.0, 2.0], (3,))
    assert told(drawn.network(overlap=0.99)(photos())) == [(0, 1.0), (1, 100.0)]


def test_levels_do_not_suppress_each_other() -> None:
    drawn = Drawn([[0, 0, 20, 20], [1, 0, 21, 20]], [3.0, 1.0], (1, 1))
    assert told(drawn.network(overlap=0.99)(photos())) == [(0, 0.0), (0, 1.0)]
    assert told(drawn.network()(photos())) == [(0, 0.0)]  # of one class, one stays in the end


def test_classes_do_not_suppress_each_other() -> None:
    drawn = Drawn([[0, 0, 20, 20], FAR], [3.0, 1.0], (2,))
    found = drawn.network(min_score=0.0)(photos())
    assert sorted(told(found)) == [(0, 0.0), (1, 0.0), (1, 100.0)]
    assert list(found["scores"][0]) == sorted(found["scores"][0], reverse=True)


def test_no_more_than_the_limits_and_nothing_that_has_no_size() -> None:
    boxes = [[30.0 * n, 0, 30.0 * n + 20, 20] for n in range(6)]
    drawn = Drawn([*boxes, [5, 5, 5, 9]], [6, 5, 4, 3, 2, 1, 9], (7,))
    assert len(told(drawn.network(proposals=4)(photos()))) == 4
    found = drawn.network(detections=2)(photos())
    assert found["scores"].shape == (1, 2)
    assert told(found) == [(0, 0.0), (0, 30.0)]
    assert told(Drawn([[5, 5, 5, 9]], [9], (1,)).network()(photos())) == []


def test_outlines_are_made_of_what_is_asked_for() -> None:
    drawn = Drawn([[0, 0, 20, 20], FAR], [3.0, 1.0], (2,))
    network = drawn.network(detections=5)
    every = network(photos())["masks"]
    assert every.shape == (1, 5, MASK_SIDE, MASK_SIDE)
    assert every.any(axis=(2, 3)).tolist() == [[True, True, False, False, False]]
    least = {"least": np.array([[0.45, 0.45], [0.95, 0.1], [0.95, 0.55]], np.float32)}
    some = network({**photos(3), **least})["masks"][:, :2].any(axis=(2, 3))
    assert some.tolist() == [[True, True], [False, True], [False, False]]
    assert drawn.outlined[0] == 2


def test_outlines_are_asked_for_in_few_sizes_which_were_warmed() -> None:
    boxes = [[30.0 * (n % 8), 30.0 * (n // 8), 30.0 * (n % 8) + 20, 30.0 * (n // 8) + 20] for n in range(40)]
    drawn = Drawn(boxes, list(range(40, 0, -1)), (40,))
    network = drawn.network(detections=40)
    network.warm(photos())
    warmed = set(drawn.outlined)
    assert warmed == set(OUTLINED)
    for number in (1, 2, 3, 8, 9, 31, 32, 33, 40):
        Drawn.__init__(drawn, boxes[:number], list(range(number, 0, -1)), (number,))
        found = network(photos())
        assert len(told(found)) == number
        assert found["masks"][0].any(axis=(1, 2)).tolist() == [n < number for n in range(40)]
        assert set(drawn.outlined) <= warmed
    assert drawn.outlined == [32, 8]


def test_without_a_part_for_outlines_they_are_zero() -> None:
    drawn = Drawn([FAR], [1.0], (1,))
    network = Rcnn(drawn.dense, drawn.boxes, None, Limits(detections=3))
    network.warm(photos())
    assert network(photos(2))["masks"].shape == (2, 3, MASK_SIDE, MASK_SIDE)
    assert not network(photos())["masks"].any()


@pytest.mark.parametrize("count", [1, 2, 3])
def test_photos_of_a_batch_are_told_apart(count: int) -> None:
    drawn = Drawn([[0, 0, 20, 20], FAR], [3.0, 1.0], (2,))
    plain = drawn.dense

    def shifted(batch: Numbers) -> Numbers:
        found = dict(plain(batch))
        found["boxes"] = found["boxes"] + 10 * np.arange(len(batch["image"]), dtype=np.float32)[:, None, None]
        return found

    found = Rcnn(shifted, drawn.boxes, drawn.masks, Limits())(photos(count))
    assert [told(found, n)[0][1] for n in range(count)] == [10.0 * n for n in range(count)]


@pytest.mark.parametrize(
    ("part", "name"),
    [("dense", "boxes"), ("dense", "scores"), ("boxes", "scores"), ("boxes", "moved"), ("masks", "masks")],
)
@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_what_is_no_number_is_told_of_its_photo_alone(part: str, name: str, value: float) -> None:
    drawn = Drawn([[0, 0, 20, 20], FAR], [3.0, 2.0], (2,))
    network, calls = drawn.network(), 0
    whole = getattr(network, part)

    def broken(given: Numbers) -> Numbers:
        nonlocal calls
        calls += 1
        made = dict(whole(given))
        made[name] = np.array(made[name])
        if part == "masks":
            made[name][0] = value if calls == 2 else made[name][0]
        else:
            made[name].reshape(2, -1)[1, 0] = value
        return made

    setattr(network, part, broken)
    with np.errstate(invalid="ignore"):
        found = network(photos(2))
    assert told(found) == [(0, 0.0), (1, 100.0)]
    assert np.isnan(found["scores"][1]).all()
