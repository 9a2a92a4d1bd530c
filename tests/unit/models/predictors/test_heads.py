"""The kind `heads`: each head of any manifest is a field of the answer."""

from pathlib import Path

import numpy as np
import pytest

from models.drawing import draw_instances
from models.manifest import WeightsError
from models.photo import Header, Region, whole
from models.predictor import RegionOptions
from models.predictors.heads import Heads
from tests import weights

HEADER = Header(320, 160, "PNG")
OUTPUT = {
    "finish": np.log(np.array([0.25, 0.75])).astype(np.float32),
    "paint_color": np.log(np.array([0.9, 0.1])).astype(np.float32),
}


def paint(folder: Path, **changes: object) -> Heads:
    weights.write(folder, weights.manifest("paint", **changes))
    return Heads(weights_dir=folder, name="paint")


def test_every_head_is_told(tmp_path: Path) -> None:
    predictor = paint(tmp_path, temperature={"finish": 2.0})
    found = predictor.finish(OUTPUT, HEADER, whole(HEADER), RegionOptions()).model_dump()
    assert found["paint_color"] == {"label": "red", "score": 0.9, "scores": {"red": 0.9, "blue": 0.1}}
    share = 3**0.5 / (1 + 3**0.5)  # odds of 3, halved in their logarithm
    assert found["finish"]["label"] == "glossy"
    assert found["finish"]["score"] == pytest.approx(share, abs=1e-4)
    assert found["region"]["source"] == "whole"


def test_its_answer_is_typed_by_the_manifest(tmp_path: Path) -> None:
    specification = paint(tmp_path).specification
    schema = specification.answer.model_json_schema()
    assert (schema["title"], schema["required"]) == ("PaintAnswer", ["finish", "paint_color", "region"])
    specification.answer.model_validate(dict(specification.example))


def test_the_heads_are_written_on_the_photo(tmp_path: Path) -> None:
    predictor = paint(tmp_path)
    answer = predictor.finish(OUTPUT, HEADER, Region(150, 10, 310, 60, "box"), RegionOptions())
    drawn = draw_instances(np.full((160, 320, 3), 90, np.uint8), predictor.shapes(answer))
    assert (drawn[8:13, 150:310] != 90).any()  # the region's frame
    assert (drawn[:6] == 90).all()
    caption = predictor.caption(answer)
    assert [line.partition(":")[0] for line in caption] == ["finish", "paint color"]
    assert caption[0].endswith(f"({answer.model_dump()['finish']['score']:.0%})")


@pytest.mark.parametrize("head", ["region", "Finish", "_finish", "json", "9", "model_dump", ""])
def test_a_head_that_cannot_be_a_field_is_refused(tmp_path: Path, head: str) -> None:
    with pytest.raises(WeightsError, match=f"paint.json: labels: a head cannot be called '{head}'"):
        paint(tmp_path, labels={head: ["matt"]})


@pytest.mark.parametrize("labels", [{}, {"finish": []}])
def test_heads_without_labels_are_refused(tmp_path: Path, labels: dict[str, list[str]]) -> None:
    with pytest.raises(WeightsError, match=r"paint\.json: labels: expected one head or more"):
        paint(tmp_path, labels=labels)
