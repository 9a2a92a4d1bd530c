"""The kind `classifier`: any labels, ranked under the manifest's name."""

from pathlib import Path

import numpy as np
import pytest

from models.drawing import draw_instances
from models.photo import Header, Region, whole
from models.predictors.classifier import Classifier, ClassifierAnswer, ClassifierOptions
from tests import weights

HEADER = Header(320, 160, "PNG")
OUTPUT = {"label": np.log(np.array([0.2, 0.7, 0.1])).astype(np.float32)}


def brands(folder: Path, temperature: float = 1.0) -> Classifier:
    weights.write(folder, weights.manifest("brands", temperature={"label": temperature}))
    return Classifier(weights_dir=folder, name="brands")


def test_labels_are_ranked(tmp_path: Path) -> None:
    found = brands(tmp_path).finish(OUTPUT, HEADER, whole(HEADER), ClassifierOptions(top_k=2))
    assert [(one.label, one.score) for one in found.candidates] == [("BMW", 0.7), ("Audi", 0.2)]
    assert found.best == found.candidates[0]
    assert found.region.source == "whole"


def test_scores_are_calibrated(tmp_path: Path) -> None:
    found = brands(tmp_path, temperature=2.0).finish(OUTPUT, HEADER, whole(HEADER), ClassifierOptions())
    roots = np.sqrt([0.2, 0.7, 0.1])
    assert found.best.score == pytest.approx(roots[1] / roots.sum(), abs=1e-4)
    assert len(found.candidates) == 3


def test_the_region_that_was_read_is_told_and_drawn(tmp_path: Path) -> None:
    predictor = brands(tmp_path)
    found = predictor.finish(OUTPUT, HEADER, Region(100, 20, 300, 140, "box"), ClassifierOptions())
    told = {"x1": 100, "y1": 20, "x2": 300, "y2": 140, "source": "box", "score": None, "fallback": False}
    assert found.region.model_dump() == told
    drawn = draw_instances(np.full((160, 320, 3), 90, np.uint8), predictor.shapes(found))
    assert (drawn[20:140, 98:103] != 90).any()
    assert (drawn[:10] == 90).all()
    assert predictor.caption(found)[0] == f"{found.best.label} ({found.best.score:.0%})"
    assert len(predictor.caption(found)) == 3


def test_its_example_is_an_answer(tmp_path: Path) -> None:
    specification = brands(tmp_path).specification
    assert ClassifierAnswer.model_validate(dict(specification.example)).best.label == "Audi"
    assert "3 labels" in specification.description
