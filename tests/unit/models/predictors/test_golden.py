"""The shipped weights still say what they said when they were shipped, by every backend."""

import numpy as np
import pytest
from numpy.typing import NDArray

from models.backends import INT8, NAMES
from models.boxes import overlaps
from models.graphs import quantized
from models.manifest import find
from tests import golden

# Kernels differ between machines in the last digits; what is stored is rounded to three of them. A detection that only
# just reaches the network's own lowest score may come or go with them, so the faintest are not compared.
TOLERANCE = {"boxes": 1.0, "scores": 0.02, "labels": 0.0, "mask_means": 0.02}
LOGITS = 0.05
FAINT = 0.06
# Where `openvino` computes in bf16 (8 bits of mantissa) it is held to what is told of a photo: the scores behind an
# answer, and of detections those that are sure.
BF16_LOGITS, BF16_SCORES, BF16_OVERLAP, SURE = 0.15, 0.1, 0.8, 0.5
# In int8 the logits of a drawing, which is like none of the photos that ranges are from, move by as much as this, of
# logits that are some ten apart; what it does to photos stands in the manifests.
INT8_LOGITS, INT8_SCORES, INT8_OVERLAP = 0.6, 0.2, 0.7


def kept(name: str) -> dict[str, NDArray[np.generic]]:
    """The golden file."""
    path = golden.path(name)
    if not path.exists():
        pytest.fail(f"{path.name} is missing: run python -m tests.golden")
    with np.load(path) as file:
        return dict(file)


@pytest.mark.parametrize("backend", [name for name in NAMES if name not in ("openvino", INT8)])
@pytest.mark.parametrize("name", golden.NAMES)
def test_outputs_are_the_golden_ones(name: str, backend: str) -> None:
    expected = kept(name)
    shipped = golden.predictor(name, backend)
    assert shipped.card.backend == backend
    if str(expected.pop("weights")) != shipped.card.weights:
        pytest.fail(f"{name}.npz is of other weights than those shipped: run python -m tests.golden")
    found = golden.outputs(shipped)
    assert set(found) == set(expected)
    compared = expected["scores"].astype(float) >= FAINT if "scores" in expected else slice(None)
    for output, value in expected.items():
        given, wanted = found[output].astype(float)[compared], value.astype(float)[compared]
        np.testing.assert_allclose(given, wanted, rtol=0, atol=TOLERANCE.get(output, LOGITS), err_msg=output)


@pytest.mark.parametrize("name", golden.NAMES)
def test_in_whatever_precision_the_processor_has_they_tell_the_same(name: str) -> None:
    tells_the_same(name, "openvino", BF16_LOGITS, BF16_SCORES, BF16_OVERLAP)


@pytest.mark.parametrize("name", [name for name in golden.NAMES if quantized(find(name))])
def test_in_int8_they_tell_nearly_the_same(name: str) -> None:
    tells_the_same(name, INT8, INT8_LOGITS, INT8_SCORES, INT8_OVERLAP)


def tells_the_same(name: str, backend: str, logits: float, apart: float, overlap: float) -> None:
    expected, shipped = kept(name), golden.predictor(name, backend)
    assert shipped.card.backend == backend
    found = golden.outputs(shipped)
    if "scores" not in expected:
        for output in found:
            given, wanted = found[output].astype(float), expected[output].astype(float)
            np.testing.assert_allclose(given, wanted, rtol=0, atol=logits, err_msg=output)
        return
    columns = ("boxes", "labels", "scores")
    told = len(find(name).manifest.labels["label"])
    for photo in range(2):
        boxes, labels, scores = (found[column][photo].astype(float) for column in columns)
        for box, label, score in zip(*(expected[column][photo].astype(float) for column in columns), strict=True):
            if score >= SURE and label < told:
                same = (labels == label) & (overlaps(box, boxes) >= overlap)
                assert same.any(), f"photo {photo}: no {label:g} at {box}"
                assert np.abs(scores[same] - score).min() <= apart


@pytest.mark.parametrize("name", golden.NAMES)
def test_golden_files_are_small_and_tell_something(name: str) -> None:
    expected = kept(name)
    assert golden.path(name).stat().st_size < 10_000
    values = [value.astype(float) for output, value in expected.items() if output not in ("weights", "labels")]
    # Two inputs, two answers: a network that ignores its input would pass otherwise.
    assert all(len(value) == 2 for value in values)
    assert any(not np.allclose(value[0], value[1]) for value in values)
    if "scores" in expected:
        strong = expected["scores"].astype(float) >= FAINT
        assert strong.any(), "no detection to compare: the inputs of tests/golden.py must show the network something"
