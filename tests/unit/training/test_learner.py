"""One step of learning: parts of a batch teach what the whole batch does, and a scaler keeps its state."""

from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.linalg import vector_norm

from tests.unit.training.tiny import FP16, Smooth, Tiny, varied
from training.batches import Batches
from training.learner import Learner


def taught(task: Tiny, steps: int = 6) -> dict[str, Tensor]:
    batches, learner = Batches(task), Learner(task)
    for step in range(steps):
        parts = batches.at(step)
        learner.learn(parts, [batches.seed(step, n) for n in range(len(parts))], 0.05, step / 10)
    state: dict[str, Tensor] = learner.network.state_dict()
    return state


@pytest.mark.parametrize("accumulate", [2, 4])
def test_accumulated_parts_teach_what_the_whole_batch_does(accumulate: int) -> None:
    whole, parted = taught(Smooth()), taught(Smooth(varied(accumulate=accumulate)))
    for name, value in whole.items():
        torch.testing.assert_close(parted[name], value, rtol=1e-4, atol=1e-5)
    # The comparison would notice a part left out.
    assert not torch.allclose(taught(Smooth(), steps=5)["0.weight"], whole["0.weight"], atol=1e-4)


def test_losses_are_the_means_over_the_parts() -> None:
    whole, parted = Learner(Smooth()), Learner(Smooth(varied(accumulate=2)))
    one = whole.learn(Batches(whole.task).at(0), [0], 0.1, 0.0)
    other = parted.learn(Batches(parted.task).at(0), [0, 1], 0.1, 0.0)
    torch.testing.assert_close(one["label"], other["label"])


def test_the_rate_is_each_groups_scale_times_the_given_one() -> None:
    learner = Learner(Tiny())
    learner.learn(Batches(learner.task).at(0), [0], 0.2, 0.0)
    assert [group["lr"] for group in learner.optimizer.param_groups] == pytest.approx([0.1, 0.2])


def test_random_numbers_are_those_of_the_seed() -> None:
    found = []
    for seed in (5, 5, 6):
        learner = Learner(Tiny())
        torch.rand(17)  # whatever was drawn before
        found.append(float(learner.learn(Batches(learner.task).at(0), [seed], 0.2, 0.0)["label"]))
    assert found[0] == found[1] != found[2]


def test_fp16_scales_the_loss_and_its_state_comes_back() -> None:
    learner = Learner(Smooth(), FP16)
    batches = Batches(learner.task)
    for step in range(3):
        learner.learn(batches.at(step), [step], 0.05, 0.0)
    state = learner.state()
    assert state["scaler"]["_growth_tracker"] == 3
    assert state["scaler"]["scale"] == 65536
    again = Learner(Smooth(), FP16)
    again.restore(state)
    assert again.scaler.state_dict() == state["scaler"]
    # What is learnt in half precision is near to what is learnt in full.
    full = Learner(Smooth())
    for step in range(3):
        full.learn(batches.at(step), [step], 0.05, 0.0)
    for name, value in full.network.state_dict().items():
        torch.testing.assert_close(learner.network.state_dict()[name], value, rtol=0.05, atol=0.02)


def test_a_gradient_too_large_for_fp16_is_skipped_and_the_scale_halved() -> None:
    class Steep(Smooth):
        def losses(self, network: nn.Module, batch: dict[str, Any]) -> dict[str, Tensor]:
            return {"label": super().losses(network, batch)["label"].float() * 1e35}

    learner = Learner(Steep(), FP16)
    before = {name: value.clone() for name, value in learner.network.state_dict().items()}
    learner.learn(Batches(learner.task).at(0), [0], 0.05, 0.0)
    assert all(torch.equal(value, before[name]) for name, value in learner.network.state_dict().items())
    assert learner.scaler.state_dict()["scale"] == 32768


def test_a_loss_that_is_not_finite_changes_nothing() -> None:
    class Lost(Tiny):
        def losses(self, network: nn.Module, batch: dict[str, Any]) -> dict[str, Tensor]:
            return {"label": super().losses(network, batch)["label"] * float("inf")}

    learner = Learner(Lost())
    before = {name: value.clone() for name, value in learner.network.named_parameters()}
    with pytest.raises(FloatingPointError, match="not finite: lower `rate`"):
        learner.learn(Batches(learner.task).at(0), [0], 0.1, 0.0)
    assert all(torch.equal(value, before[name]) for name, value in learner.network.named_parameters())


def test_large_gradients_are_clipped() -> None:
    class Loud(Smooth):
        def losses(self, network: nn.Module, batch: dict[str, Any]) -> dict[str, Tensor]:
            return {"label": super().losses(network, batch)["label"] * 1e6}

    learner = Learner(Loud())
    learner.learn(Batches(learner.task).at(0), [0], 0.1, 0.0)
    norms = torch.stack([vector_norm(p.grad) for p in learner.parameters if p.grad is not None])
    assert float(vector_norm(norms)) == pytest.approx(learner.recipe.clip, rel=1e-3)
