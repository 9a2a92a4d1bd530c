"""The shipped weights still say what they said when they were shipped."""

import numpy as np
import pytest

from tests import golden

# Kernels differ between machines in the last digits; what is stored is rounded to three of them.
TOLERANCE = {"boxes": 1.0, "scores": 0.02, "labels": 0, "mask_means": 0.02}


@pytest.mark.parametrize("name", golden.NAMES)
def test_outputs_are_the_golden_ones(name: str) -> None:
    path = golden.path(name)
    if not path.exists():
        pytest.fail(f"{path.name} is missing: run python -m tests.golden")
    with np.load(path) as kept:
        expected = dict(kept)
    shipped = golden.predictor(name)
    if str(expected.pop("weights")) != shipped.card.weights:
        pytest.fail(f"{path.name} is of other weights than those shipped: run python -m tests.golden")
    found = golden.outputs(shipped)
    assert set(found) == set(expected)
    for output, value in expected.items():
        given = found[output].astype(np.float64)
        np.testing.assert_allclose(given, value, rtol=0, atol=TOLERANCE.get(output, 0.05), err_msg=output)


@pytest.mark.parametrize("name", golden.NAMES)
def test_golden_files_are_small_and_tell_something(name: str) -> None:
    path = golden.path(name)
    if not path.exists():
        pytest.fail(f"{path.name} is missing: run python -m tests.golden")
    assert path.stat().st_size < 10_000
    with np.load(path) as kept:
        values = [kept[output].astype(np.float64) for output in kept.files if output not in ("weights", "labels")]
    # Two inputs, two answers: a network that ignores its input would pass otherwise.
    assert all(len(value) == 2 and not np.allclose(value[0], value[1]) for value in values)
