"""Damages are placed on the parts that are found, and held against what was seen by eye; sides by the view."""

import json
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from models.joins.damage_parts import Claim
from models.predictors.attributes import EXAMPLE, AttributesAnswer
from models.predictors.instances import Instance, InstancesOptions
from models.predictors.parts import PartsAnswer
from models.registry import discover
from tests import weights
from tests.unit.models.joins.drawn import damage, part, rectangle
from tests.unit.training.found import instances, result
from training.doubtful import FOLDER
from training.evaluate import summary
from training.findings import Instances
from training.joined import FRESH, PLACES, Place, Placed, placed, places, settled_by
from training.report import document, write

SIDE = 40


class Told:
    """A predictor that says the same of every photo, in the order in which they come."""

    name = "told"
    specification = SimpleNamespace(batch_sizes=(1, 2), options=InstancesOptions)

    def __init__(self, *answers: Any) -> None:
        self.answers, self.asked = answers, 0

    def prepare(self, photo: Any, region: Any, options: Any) -> dict[str, NDArray[np.int64]]:
        self.asked += 1
        return {"number": np.array(self.asked - 1)}

    def run(self, batch: dict[str, NDArray[np.int64]]) -> dict[str, NDArray[np.int64]]:
        return batch

    def finish(self, output: Any, header: Any, region: Any, options: Any) -> Any:
        return self.answers[int(output["number"])]


@pytest.fixture
def pack(tmp_path: Path) -> Path:
    (tmp_path / "val").mkdir()
    annotations = []
    for number in (1, 2, 3):
        Image.new("RGB", (SIDE, SIDE)).save(tmp_path / "val" / f"{number}.png")
        annotations.append({"id": 10 * number, "segmentation": [rectangle(0, 0, 20, 20)]})
    (tmp_path / "val.json").write_text(json.dumps({"annotations": annotations}))
    return tmp_path / "val"


def place(number: int, seen: str) -> Place:
    return Place(f"{number}.png", 10 * number, "dent", seen, True)


def test_damages_are_named_by_the_part_they_lie_on(pack: Path) -> None:
    hood, half = part("hood", rectangle(0, 0, 40, 40)), part("trunk", rectangle(0, 0, 20, 10))
    rows = [place(1, "hood"), place(2, "tailgate"), place(3, "wheel")]
    answers = [PartsAnswer(parts=parts) for parts in ([hood], [half], [])]
    found = placed(Told(*answers), pack, rows)  # type: ignore[arg-type]
    assert [(one.part, one.right) for one in found] == [("hood", True), ("trunk", True), ("", False)]
    assert [[share.share for share in one.told] for one in found] == [[1.0], [0.5], []]
    for answer in answers:
        answer._panels = [part("fender", rectangle(0, 0, 30, 20), score=0.8)]
    assert [one.part for one in placed(Told(*answers), pack, rows)] == ["", "", ""]  # type: ignore[arg-type]


def test_damages_are_named_as_the_view_has_it(pack: Path) -> None:
    area = rectangle(0, 0, 40, 40)
    bumpers = PartsAnswer(parts=[part("back_bumper", area, score=0.6), part("front_bumper", area, score=0.5)])
    doors = PartsAnswer(parts=[part("front_right_door", area)])
    rows, seen = [place(1, "front_bumper"), place(2, "front_left_door")], view(90.0, 0.95)
    seen.orientation.scores = {"front": 0.9, "front_left": 0.1}
    for views, expected in (
        (None, ["back_bumper", "front_right_door"]),
        (Told(seen, seen), [one.part for one in rows]),
    ):
        found = placed(Told(bumpers, doors), pack, rows, views)  # type: ignore[arg-type]
        assert [one.part for one in found] == expected


def test_weights_that_tell_no_parts_are_refused(pack: Path) -> None:
    with pytest.raises(ValueError, match="told: tells no parts"):
        placed(Told([]), pack, [place(1, "hood")])  # type: ignore[arg-type]


def test_a_row_without_its_outline_is_refused(pack: Path) -> None:
    with pytest.raises(ValueError, match=r"val\.json: no annotation 40"):
        placed(Told(), pack, [place(4, "hood")])  # type: ignore[arg-type]


@pytest.mark.parametrize("path", [PLACES, FRESH], ids=lambda path: path.stem)
def test_a_table_that_comes_along_names_parts_that_there_are(path: Path) -> None:
    rows = places(path)
    assert len({row.annotation for row in rows}) == len({row.file for row in rows}) == 60
    known = discover(wanted=["parts"])["parts"].card.labels["label"]
    assert {part for row in rows for part in row.part.split("|")} <= {*known, ""}
    assert {row.label for row in rows} <= set(weights.DAMAGES)
    assert sum(row.sure for row in rows) > 30


def test_fresh_damages_are_on_photos_of_no_other_list() -> None:
    """A photo whose label is doubted is not among them either."""
    lists = [PLACES, FOLDER / "damage.csv"]
    known = {row.split(",")[0] for path in lists for row in path.read_text().splitlines()[1:]}
    for path in PLACES.parent.glob("*_on_damage*.json"):
        known |= {photo["file_name"] for photo in json.loads(path.read_text())["images"]}
    assert len(known) > 1000
    assert not known & {row.file for row in places(FRESH)}


def test_either_of_two_parts_that_cannot_be_told_apart_is_right() -> None:
    area = rectangle(0, 0, 20, 20)
    for part_named, expected in (("back_bumper", True), ("front_bumper", True), ("hood", False)):
        one = Placed(place(1, "front_bumper|back_bumper"), damage("dent", area), [Claim(part(part_named, area), 0.9)])
        assert (one.part, one.right) == (part_named, expected)
    assert not Placed(place(1, "front_bumper|back_bumper"), damage("dent", area), []).right


@pytest.mark.parametrize("line", ["a.png,x,dent,hood,yes", "a.png,1,dent,hood,maybe", "a.png,1"])
def test_a_bad_row_is_named_by_its_line(tmp_path: Path, line: str) -> None:
    path = tmp_path / "places.csv"
    path.write_text(PLACES.read_text().splitlines()[0] + f"\nb.png,1,dent,,no\n{line}\n")
    with pytest.raises(ValueError, match="line 3"):
        places(path)


def view(yaw: float, confidence: float) -> AttributesAnswer:
    region = {"x1": 0, "y1": 0, "x2": SIDE, "y2": SIDE, "source": "whole"}
    return AttributesAnswer.model_validate(
        {**EXAMPLE, "yaw_degrees": yaw, "yaw_confidence": confidence, "region": region}
    )


def test_a_sure_view_settles_sides_and_an_unsure_one_does_not() -> None:
    door: list[Instance] = [part("front_right_door", rectangle(0, 0, 20, 20))]
    photos = [np.zeros((SIDE, SIDE, 3), np.uint8)] * 3
    views = Told(view(90.0, 0.95), view(90.0, 0.85), view(270.0, 0.95))
    found = settled_by(views, photos, [door] * 3)  # type: ignore[arg-type]
    assert [one[0].label for one in found] == ["front_left_door", "front_right_door", "front_right_door"]


def test_who_tells_no_orientation_is_refused() -> None:
    with pytest.raises(ValueError, match="told: tells no orientation"):
        settled_by(Told([]), [np.zeros((SIDE, SIDE, 3), np.uint8)], [[]])  # type: ignore[arg-type]


def with_joins() -> Instances:
    """Of two damages one is named rightly; of three sided detections one is on the wrong side until it is settled."""
    area = rectangle(0, 0, 20, 20)
    dent, hood = damage("dent", area), Claim(part("hood", area), 0.9)
    named = [
        Placed(place(1, "hood"), dent, [hood]),
        Placed(place(2, ""), dent, []),
        Placed(place(3, "wheel"), dent, [hood]),
        Placed(place(4, "wheel"), dent, []),
    ]
    plain = replace(instances(), mirror=[1, 0])
    plain = replace(plain, boxes=[result(7, 0, 0, 0.9), result(7, 0, 50, 0.9), result(9, 0, 30, 0.9)])
    settled = replace(plain, boxes=[result(7, 0, 0, 0.9), result(7, 1, 50, 0.9), result(9, 0, 30, 0.9)])
    fresh = [Placed(place(5, "hood"), dent, [hood]), Placed(place(6, "hood|wheel"), dent, []), named[1]]
    return replace(plain, settled=settled, placed=named, fresh=fresh)


def test_figures_of_joins() -> None:
    manifest = weights.manifest("damage", labels={"label": ["dent", "scratch"]})
    found = summary(manifest, with_joins())
    assert (found["damage_part_right"], found["damage_part_right_where_labelled"]) == (0.5, 0.3333)
    assert (found["damage_part_right_fresh"], found["damage_part_right_fresh_where_labelled"]) == (0.6667, 0.5)
    assert (found["sides_mixed_up"], found["sides_mixed_up_settled"]) == (0.3333, 0.0)
    assert "close_sides_mixed_up" not in found


def test_other_thresholds_hold_wherever_they_count() -> None:
    """Of the dents (0.9) none reaches 0.95, nor of the close-ups, nor of those that were settled."""
    manifest = weights.manifest("damage", labels={"label": ["dent", "scratch"]})
    found = with_joins()
    found = replace(found, close=found, more=found)
    high = manifest.model_copy(update={"thresholds": {"dent": 0.95, "scratch": 0.95}})
    before, after = summary(manifest, found), summary(high, found)
    assert (before["close_sides_mixed_up"], before["more_sides_mixed_up"]) == (0.3333, 0.3333)
    sides = {f"{which}sides_mixed_up{settled}" for which in ("", "close_", "more_") for settled in ("", "_settled")}
    assert {after[name] for name in sides} == {0.0}


def test_the_report_lists_every_damage(tmp_path: Path) -> None:
    manifest = weights.manifest("damage", labels={"label": ["dent", "scratch"]})
    found = with_joins()
    told = document(manifest, found, summary(manifest, found), "carlens evaluate x", None)
    page = write(tmp_path, told, found).read_text()
    assert "Damages on parts" in page
    assert "Of 4 damages, whose part was written down by looking, 2 are named rightly" in page
    assert "Of 3 damages, whose part was written down by looking, 2 are named rightly" in page
    assert "hood or wheel" in page
    assert [one["right"] for one in told["instances"]["placed"]] == [True, True, False, False]
    assert [one["right"] for one in told["instances"]["placed_fresh"]] == [True, False, True]
