"""The shipped weights still say what they said when they were shipped, by every backend."""

import numpy as np
import pytest
from numpy.typing import NDArray

from models.backends import NAMES
from tests import golden

# Kernels differ between machines in the last digits; what is stored is rounded to three of them. A detection that only
# just reaches the network's own lowest score may come or go with them, so the faintest are not compared.
TOLERANCE = {"boxes": 1.0, "scores": 0.02, "labels": 0.0, "mask_means": 0.02}
LOGITS = 0.05
FAINT = 0.06


def kept(name: str) -> dict[str, NDArray[np.generic]]:
    """The golden file."""
    path = golden.path(name)
    if not path.exists():
        pytest.fail(f"{path.name} is missing: run python -m tests.golden")
    with np.load(path) as file:
        return dict(file)


@pytest.mark.parametrize("backend", NAMES)
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
