"""The loop: a run that is killed and taken up again ends where the unbroken one does, to the last bit."""

import json
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from tests.unit.training.tiny import BATCH, EPOCHS, KILLED_AT, PHOTOS, RECIPE, Tiny
from training import checkpoints, schedules
from training.loop import Run

STEPS = PHOTOS // BATCH * EPOCHS


@pytest.fixture(autouse=True)
def one_thread() -> None:
    torch.set_num_threads(1)


@pytest.fixture(scope="module")
def unbroken(tmp_path_factory: pytest.TempPathFactory) -> tuple[Tiny, Path]:
    folder = tmp_path_factory.mktemp("unbroken")
    torch.set_num_threads(1)
    task = Tiny()
    Run(task, folder).train(every=1)
    return task, folder


def rows(folder: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]


def weights(folder: Path, file: str = "final.pt") -> dict[str, Tensor]:
    state: dict[str, Tensor] = checkpoints.require(folder / file)["network"]
    return state


@pytest.mark.parametrize("where", ["step", "save"])
def test_a_killed_run_goes_on_to_the_same_weights(tmp_path: Path, unbroken: tuple[Tiny, Path], where: str) -> None:
    command = [sys.executable, "-m", "tests.unit.training.tiny", str(tmp_path), where]
    killed = subprocess.run(command, cwd=Path(__file__).parents[3], check=False, capture_output=True, text=True)
    assert killed.returncode == -signal.SIGKILL, killed.stderr
    assert not (tmp_path / "final.pt").exists()
    assert (tmp_path / "state.partial").exists() == (where == "save")
    task = Tiny()
    run = Run(task, tmp_path)
    assert run.step == (KILLED_AT if where == "step" else KILLED_AT - 1)
    left = STEPS - run.step
    run.train()
    assert task.steps == left
    for file in ("state.pt", "final.pt"):
        expected = weights(unbroken[1], file)
        found = weights(tmp_path, file)
        assert set(found) == set(expected)
        assert all(torch.equal(found[name], expected[name]) for name in expected), file
    assert checkpoints.require(tmp_path / "state.pt")["step"] == STEPS


def test_a_resumed_run_sees_what_was_left_in_the_same_order(tmp_path: Path, unbroken: tuple[Tiny, Path]) -> None:
    whole = Run(Tiny(), unbroken[1])
    assert whole.step == STEPS
    first = Run(Tiny(), tmp_path)
    batches = [whole._batch(step) for step in range(STEPS)]
    for step, batch in enumerate(batches):
        again = first._batch(step)
        assert torch.equal(batch["rows"], again["rows"])
        assert torch.equal(batch["labels"], again["labels"])
    assert not any(torch.equal(batches[0]["rows"], batch["rows"]) for batch in batches[1:])


def test_an_epoch_sees_each_photo_at_most_once_and_the_size_grows(tmp_path: Path) -> None:
    task = Tiny()
    run = Run(task, tmp_path)
    for step in range(STEPS):
        run._batch(step)
    per_epoch = PHOTOS // BATCH * BATCH
    for epoch in range(EPOCHS):
        chosen = [index for index, _ in task.seen[epoch * per_epoch : (epoch + 1) * per_epoch]]
        assert len(set(chosen)) == per_epoch
    sides = [side for _, side in task.seen[::BATCH]]
    assert sides == [6] * 8 + [8] * 7  # from half of the fifteen steps on


def test_a_finished_run_learns_no_more(unbroken: tuple[Tiny, Path]) -> None:
    before = weights(unbroken[1])
    task = Tiny()
    Run(task, unbroken[1]).train()
    assert task.steps == 0
    assert all(torch.equal(value, before[name]) for name, value in weights(unbroken[1]).items())


def test_metrics_are_a_row_a_report_and_the_figures_at_last(tmp_path: Path) -> None:
    told: list[tuple[int, int, dict[str, float]]] = []
    Run(Tiny(), tmp_path).train(lambda *row: told.append(row), every=4)
    found = rows(tmp_path)
    assert [row["step"] for row in found] == [4, 8, 12, STEPS, STEPS]
    assert [step for step, _, _ in told] == [4, 8, 12, STEPS]
    assert all(row["of"] == STEPS for row in found)
    assert found[-1]["val"] == {"training": 0.0}
    assert found[-2]["epoch"] == EPOCHS
    assert told[0][2]["label"] == found[0]["label"] > 0


def test_it_learns(unbroken: tuple[Tiny, Path]) -> None:
    losses = [row["label"] for row in rows(unbroken[1]) if "label" in row]
    assert np.mean(losses[-4:]) < np.mean(losses[:4])


def test_the_rate_follows_the_schedule_and_each_groups_scale(tmp_path: Path) -> None:
    run = Run(Tiny(), tmp_path)
    run.step = 9
    run._learn(run._batch(9))
    expected = RECIPE.rate * schedules.one_cycle(9 / STEPS)
    assert [group["lr"] for group in run.optimizer.param_groups] == pytest.approx([expected * 0.5, expected])


def test_the_average_follows_the_weights(tmp_path: Path) -> None:
    run = Run(Tiny(), tmp_path)
    name, values = "0.weight", []
    for step in range(3):
        run._learn(run._batch(step))
        run.step += 1
        values.append(run.network.state_dict()[name].clone())
    expected = values[0]
    for step in (1, 2):
        decay = min(0.9, (1 + step) / (10 + step))
        expected = decay * expected + (1 - decay) * values[step]
    torch.testing.assert_close(run.average[name], expected)
    # Counters are not averaged.
    assert run.average["1.num_batches_tracked"] == 3


def test_without_an_average_the_last_weights_are_kept(tmp_path: Path) -> None:
    run = Run(Tiny(RECIPE.model_copy(update={"average": 0.0})), tmp_path)
    network = run.train()
    assert not network.training
    assert run.average == {}
    last = weights(tmp_path, "state.pt")
    assert all(torch.equal(value, last[name]) for name, value in weights(tmp_path).items())


def test_a_folder_with_another_run_is_refused(tmp_path: Path) -> None:
    Run(Tiny(), tmp_path)._save()
    longer = RECIPE.model_copy(update={"epochs": 9})
    with pytest.raises(ValueError, match=f"holds a run of {STEPS} steps, this recipe has {PHOTOS // BATCH * 9}"):
        Run(Tiny(longer), tmp_path)


def test_fewer_photos_than_a_batch_are_refused_at_once(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="an epoch has 22 photos, fewer than a batch of 64"):
        Run(Tiny(RECIPE.model_copy(update={"batch": 64})), tmp_path)


def test_part_of_an_epoch_is_a_run(tmp_path: Path) -> None:
    assert Run(Tiny(RECIPE.model_copy(update={"epochs": 0.4})), tmp_path / "a").steps == 2
    assert Run(Tiny(RECIPE.model_copy(update={"epochs": 0.01})), tmp_path / "b").steps == 1


def test_a_loss_that_is_not_finite_stops_the_run(tmp_path: Path) -> None:
    class Lost(Tiny):
        def losses(self, network: nn.Module, batch: dict[str, Any]) -> dict[str, Tensor]:
            return {"label": super().losses(network, batch)["label"] * float("nan")}

    run = Run(Lost(), tmp_path)
    before = {name: value.clone() for name, value in run.network.named_parameters()}
    with pytest.raises(FloatingPointError, match="not finite at step 0"):
        run.train()
    assert all(torch.equal(value, before[name]) for name, value in run.network.named_parameters())


def test_an_error_in_a_sample_reaches_the_caller(tmp_path: Path) -> None:
    class Unreadable(Tiny):
        def sample(self, index: int, side: int, rng: np.random.Generator) -> Any:
            raise FileNotFoundError("photo 7 is gone")

    with pytest.raises(FileNotFoundError, match="photo 7 is gone"):
        Run(Unreadable(), tmp_path).train()
