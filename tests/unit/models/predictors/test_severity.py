"""`severity`: the grade of the whole photo, and the mean grade."""

from pathlib import Path

import numpy as np
import pytest

from models.manifest import WeightsError
from models.photo import Header, whole
from models.predictor import Options
from models.predictors.severity import Severity, SeverityAnswer
from tests import weights

HEADER = Header(320, 160, "PNG")
OUTPUT = {"label": np.log(np.array([0.2, 0.5, 0.3])).astype(np.float32)}


def severity(folder: Path, temperature: float = 1.0) -> Severity:
    weights.write(folder, weights.manifest("severity", temperature={"label": temperature}))
    return Severity(weights_dir=folder)


def test_the_grade_is_the_mean_under_the_scores(tmp_path: Path) -> None:
    found = severity(tmp_path).finish(OUTPUT, HEADER, whole(HEADER), Options())
    assert (found.severity.label, found.severity.score) == ("moderate", 0.5)
    assert found.severity.scores == {"minor": 0.2, "moderate": 0.5, "severe": 0.3}
    assert found.grade == pytest.approx(0.5 + 2 * 0.3)


def test_scores_and_grade_are_calibrated(tmp_path: Path) -> None:
    found = severity(tmp_path, temperature=2.0).finish(OUTPUT, HEADER, whole(HEADER), Options())
    roots = np.sqrt([0.2, 0.5, 0.3])
    shares = roots / roots.sum()
    assert found.severity.score == pytest.approx(shares[1], abs=1e-4)
    assert found.grade == pytest.approx(shares[1] + 2 * shares[2], abs=1e-3)


def test_it_reads_the_whole_photo_and_takes_no_options(tmp_path: Path) -> None:
    specification = severity(tmp_path).specification
    assert specification.regions == ("photo",)
    assert specification.options is Options
    assert SeverityAnswer.model_validate(dict(specification.example)).grade == 0.92


def test_the_picture_says_it(tmp_path: Path) -> None:
    predictor = severity(tmp_path)
    found = predictor.finish(OUTPUT, HEADER, whole(HEADER), Options())
    assert not predictor.shapes(found)
    assert predictor.caption(found) == ["severity: moderate (50%)"]


def test_one_grade_is_none(tmp_path: Path) -> None:
    weights.write(tmp_path, weights.manifest("severity", labels={"label": ["bad"]}))
    with pytest.raises(WeightsError, match=r"severity\.json: labels: severity expects two grades or more"):
        Severity(weights_dir=tmp_path)
