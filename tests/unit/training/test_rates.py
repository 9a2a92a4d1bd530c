"""The range test: finds where a task learns and where it bursts, and touches nothing but its own two files."""

import csv
import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from torch import Tensor, nn

from tests.unit.training.tiny import RECIPE, Smooth, Tiny, varied
from training import rates
from training.rates import RangeTest


class Steep(Smooth):
    """A loss with a known largest rate: gradients of unknown size, so that AdamW's steps overshoot from about 1 on."""

    def losses(self, network: nn.Module, batch: dict[str, Any]) -> dict[str, Tensor]:
        self.steps += 1
        distance = sum(((parameter - 0.3) ** 2).sum() for parameter in network.parameters())
        assert isinstance(distance, Tensor)
        return {"distance": distance}


def test_a_rate_that_bursts_is_found_and_the_rest_not_tried() -> None:
    task = Steep(varied(clip=1e9, weight_decay=0))
    found = rates.measure(task, rates.spread(1e-5, 100, 120))
    assert found.diverged
    assert task.steps == len(found.rates) < 120
    assert 0.05 < found.rates[-1] < 50
    assert found.smoothed[-1] > rates.BURST * min(found.smoothed)
    base, largest = found.suggested()
    assert 1e-4 < base < largest < found.rates[-1]
    # At what is suggested it learns; at the rate where it burst it does not.
    assert learnt(task, largest) < 0.5 < 2 < learnt(task, found.rates[-1])


def learnt(task: Steep, rate: float, steps: int = 30) -> float:
    """The loss after some steps at one rate, as a part of that before."""
    found = rates.measure(task, [rate] * steps)
    return found.losses[-1] / found.losses[0]


def test_a_loss_that_is_no_number_ends_the_test() -> None:
    class Breaks(Tiny):
        def losses(self, network: nn.Module, batch: dict[str, Any]) -> dict[str, Tensor]:
            loss = super().losses(network, batch)["label"]
            return {"label": loss * (float("nan") if self.steps > 12 else 1.0)}

    found = rates.measure(Breaks(), rates.spread(1e-6, 1, 50))
    assert found.diverged
    assert len(found.rates) == len(found.losses) == len(found.smoothed) == 12
    assert all(math.isfinite(value) for value in found.smoothed)


def test_a_rate_that_never_bursts_is_tried_to_the_end() -> None:
    heard: list[tuple[float, float]] = []
    tried = rates.spread(1e-7, 1e-6, 20)  # four epochs of batches
    found = rates.measure(Tiny(RECIPE), tried, report=lambda rate, loss: heard.append((rate, loss)))
    assert not found.diverged
    assert found.rates == tried
    assert heard == list(zip(found.rates, found.smoothed, strict=True))
    assert found.smoothed[0] == pytest.approx(found.losses[0])
    assert found.smoothed[1] == pytest.approx((0.9 * found.losses[0] + found.losses[1]) / 1.9)


def curve(losses: list[float]) -> RangeTest:
    return RangeTest([10.0 ** (n - 5) for n in range(len(losses))], losses, losses, diverged=True)


def test_the_rule() -> None:
    # Steepest at 1e-4, lowest at 1e-1: half of that, and the steepest for a base.
    assert curve([2, 1.4, 0.6, 0.5, 0.4, 0.9]).suggested() == pytest.approx((1e-4, 0.05))
    # Steepest right before the lowest: a quarter of the largest.
    assert curve([2, 2, 2, 1.9, 0.4, 9]).suggested() == pytest.approx((0.0125, 0.05))


def test_noise_is_no_fall() -> None:
    noise = np.random.default_rng(0).normal(1, 0.2, 60)
    mean, smoothed = 0.0, []
    for n, value in enumerate(noise, 1):
        mean = 0.9 * mean + 0.1 * value
        smoothed.append(mean / (1 - 0.9**n))
    found = RangeTest(list(np.geomspace(1e-9, 1e-8, 60)), list(noise), smoothed, diverged=False)
    with pytest.raises(ValueError, match="did not fall at any rate"):
        found.suggested()


@pytest.mark.parametrize("losses", [[1, 1.1, 1.3, 5], [1, 0.995, 0.99, 0.985, 3], [], [2.0]])
def test_a_loss_that_never_fell_suggests_nothing(losses: list[float]) -> None:
    with pytest.raises(ValueError, match=r"did not fall at any rate|not finite at the first rate"):
        curve(losses).suggested()


def test_rates_rise_by_the_same_multiple() -> None:
    tried = rates.spread(1e-6, 1, 13)
    assert tried[0] == pytest.approx(1e-6)
    assert tried[-1] == pytest.approx(1)
    assert np.diff(np.log10(tried)) == pytest.approx([0.5] * 12)


@pytest.mark.parametrize(("low", "high", "steps"), [(0, 1, 50), (1, 1, 50), (1, 0.1, 50), (-1, 1, 50), (0.1, 1, 9)])
def test_a_range_that_is_none_is_refused(low: float, high: float, steps: int) -> None:
    with pytest.raises(ValueError, match=r"do not rise from above 0|too few"):
        rates.spread(low, high, steps)


def test_two_files_are_written_and_the_rest_is_left(tmp_path: Path) -> None:
    (tmp_path / "state.pt").write_bytes(b"whatever")
    rates.write(curve([2, 1.4, 0.6, 0.5, 0.4, 0.9]), tmp_path)
    assert {path.name for path in tmp_path.iterdir()} == {"state.pt", "rates.csv", "rates.png"}
    assert (tmp_path / "state.pt").read_bytes() == b"whatever"
    with (tmp_path / "rates.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == 6
    assert {name: float(value) for name, value in rows[1].items()} == {"rate": 1e-4, "loss": 1.4, "smoothed": 1.4}


def test_a_curve_that_suggests_nothing_is_written_too(tmp_path: Path) -> None:
    rates.write(curve([1, 1.1, 1.3, 5]), tmp_path / "new")
    assert (tmp_path / "new" / "rates.png").exists()
    rates.write(curve([]), tmp_path / "empty")
    assert (tmp_path / "empty" / "rates.csv").read_text() == "rate,loss,smoothed\n"
    assert not (tmp_path / "empty" / "rates.png").exists()
