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

from tests.unit.training.tiny import BATCH, EPOCHS, KILLED_AT, PHOTOS, RECIPE, VARIATIONS, Tiny, varied
from training import checkpoints, schedules
from training.loop import Run

STEPS = PHOTOS // BATCH * EPOCHS


@pytest.fixture(autouse=True)
def one_thread() -> None:
    torch.set_num_threads(1)


@pytest.fixture(scope="module")
def unbroken(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Folders of runs that nothing interrupted, by variation."""
    torch.set_num_threads(1)
    folders = {name: tmp_path_factory.mktemp(name) for name in VARIATIONS}
    for name, folder in folders.items():
        Run(Tiny(varied(name)), folder, place=VARIATIONS[name][1]).train(every=1)
    return folders


def rows(folder: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]


def weights(folder: Path, file: str = "final.pt") -> dict[str, Tensor]:
    state: dict[str, Tensor] = checkpoints.require(folder / file)["network"]
    return state


@pytest.mark.parametrize(("where", "variation"), [("step", "plain"), ("save", "plain"), ("step", "all")])
def test_a_killed_run_goes_on_to_the_same_weights(
    tmp_path: Path, unbroken: dict[str, Path], where: str, variation: str
) -> None:
    command = [sys.executable, "-m", "tests.unit.training.tiny", str(tmp_path), where, variation]
    killed = subprocess.run(command, cwd=Path(__file__).parents[3], check=False, capture_output=True, text=True)
    assert killed.returncode == -signal.SIGKILL, killed.stderr
    assert not (tmp_path / "final.pt").exists()
    assert (tmp_path / "state.partial").exists() == (where == "save")
    task = Tiny(varied(variation))
    run = Run(task, tmp_path, place=VARIATIONS[variation][1])
    assert run.step == (KILLED_AT if where == "step" else KILLED_AT - 1)
    left = STEPS - run.step
    run.train()
    assert task.steps == left * task.recipe.accumulate
    for file in ("state.pt", "final.pt"):
        expected = weights(unbroken[variation], file)
        found = weights(tmp_path, file)
        assert set(found) == set(expected)
        assert all(torch.equal(found[name], expected[name]) for name in expected), file
    states = [checkpoints.require(folder / "state.pt") for folder in (tmp_path, unbroken[variation])]
    assert states[0]["step"] == STEPS
    assert states[0]["scaler"] == states[1]["scaler"]
    assert bool(states[0]["scaler"]) == (variation == "all")
    vals = [[row["val"] for row in rows(folder) if "val" in row] for folder in (tmp_path, unbroken[variation])]
    assert vals[0] == vals[1]


def test_a_run_of_an_older_release_is_taken_up(tmp_path: Path, unbroken: dict[str, Path]) -> None:
    run = Run(Tiny(), tmp_path)
    run._save()
    state = checkpoints.require(tmp_path / "state.pt")
    for key in ("scaler", "best"):
        del state[key]
    for group in state["optimizer"]["param_groups"]:
        assert "from" not in group
    checkpoints.save(tmp_path / "state.pt", {**state, "random": torch.get_rng_state()})
    Run(Tiny(), tmp_path).train()
    expected = weights(unbroken["plain"])
    assert all(torch.equal(value, expected[name]) for name, value in weights(tmp_path).items())


def test_a_finished_run_learns_and_measures_no_more(unbroken: dict[str, Path], monkeypatch: pytest.MonkeyPatch) -> None:
    folder = unbroken["plain"]
    before, told = weights(folder), rows(folder)
    task = Tiny()
    monkeypatch.setattr(task, "figures", None)
    monkeypatch.setattr(task, "prepare", None)
    Run(task, folder).train()
    assert task.steps == 0
    assert rows(folder) == told
    assert all(torch.equal(value, before[name]) for name, value in weights(folder).items())


def test_metrics_are_a_row_a_report_and_the_figures_at_last(tmp_path: Path) -> None:
    told: list[tuple[int, int, dict[str, float]]] = []
    Run(Tiny(), tmp_path).train(lambda *row: told.append(row), every=4)
    found = rows(tmp_path)
    assert [row["step"] for row in found] == [4, 8, 12, STEPS, STEPS]
    assert [step for step, _, _ in told] == [4, 8, 12, STEPS]
    assert all(row["of"] == STEPS for row in found)
    assert found[-1]["val"] == {"training": 0.0, "middle": STEPS - 18}
    assert all(row["lr"] > 0 and row["photos_per_s"] > 0 and row["seconds"] >= 0 for row in found[:-1])
    assert found[-2]["epoch"] == EPOCHS
    assert told[0][2]["label"] == found[0]["label"] > 0


@pytest.mark.parametrize("variation", VARIATIONS)
def test_it_learns(unbroken: dict[str, Path], variation: str) -> None:
    losses = [row["label"] for row in rows(unbroken[variation]) if "label" in row]
    assert np.mean(losses[-4:]) < np.mean(losses[:4])


def test_the_rate_follows_the_schedule_and_each_groups_scale(tmp_path: Path) -> None:
    run = Run(Tiny(), tmp_path)
    run.step = 9
    run._learn(run.batches.at(9))
    expected = RECIPE.rate * schedules.one_cycle(9 / STEPS)
    assert [group["lr"] for group in run.optimizer.param_groups] == pytest.approx([expected * 0.5, expected])


def test_the_average_follows_the_weights(tmp_path: Path) -> None:
    run = Run(Tiny(), tmp_path)
    name, values = "0.weight", []
    for step in range(3):
        run._learn(run.batches.at(step))
        run.step += 1
        values.append(run.network.state_dict()[name].clone())
    expected = values[0]
    for step in (1, 2):
        decay = min(0.9, (1 + step) / (10 + step))
        expected = decay * expected + (1 - decay) * values[step]
    torch.testing.assert_close(run.average[name], expected)
    # Counters are not averaged.
    assert run.average["1.num_batches_tracked"] == 3


def test_the_rate_is_that_of_the_recipes_schedule(tmp_path: Path) -> None:
    run = Run(Tiny(varied(schedule={"name": "triangular", "cycles": 3, "base": 0.2})), tmp_path)
    run.train(every=1)
    factors = [schedules.triangular(step / STEPS, cycles=3, base=0.2) for step in range(STEPS)]
    expected = [float(f"{RECIPE.rate * factor:.6g}") for factor in factors]
    assert [row["lr"] for row in rows(tmp_path) if "lr" in row] == pytest.approx(expected)


def test_a_stages_layers_move_only_from_its_begin_on(tmp_path: Path) -> None:
    run = Run(Tiny(varied(stages=[{"layers": ["0"], "from": 0.4, "scale": 0.1}])), tmp_path)
    start = run.network.state_dict()["0.weight"].clone()
    moved = []
    for step in range(STEPS):
        last = run.network.state_dict()["4.weight"].clone()
        run._learn(run.batches.at(step))
        run.step += 1
        moved.append(not torch.equal(run.network.state_dict()["0.weight"], start))
        assert not torch.equal(run.network.state_dict()["4.weight"], last)
    assert moved == [False] * 6 + [True] * 9


def test_measuring_in_between_changes_nothing_of_the_training(tmp_path: Path, unbroken: dict[str, Path]) -> None:
    Run(Tiny(varied(evaluate_every=1)), tmp_path).train()
    expected = weights(unbroken["plain"])
    assert all(torch.equal(value, expected[name]) for name, value in weights(tmp_path).items())
    assert [row["step"] for row in rows(tmp_path) if "val" in row] == [5, 10, 15]


@pytest.mark.parametrize(("every", "steps"), [(0.4, [2, 4, 6, 8, 10, 12, 14, 15]), (0.5, [3, 5, 8, 10, 13, 15])])
def test_figures_come_as_often_as_the_recipe_asks(tmp_path: Path, every: float, steps: list[int]) -> None:
    Run(Tiny(varied(evaluate_every=every)), tmp_path).train()
    assert [row["step"] for row in rows(tmp_path) if "val" in row] == steps


def test_the_best_weights_are_kept_where_the_recipe_asks(unbroken: dict[str, Path]) -> None:
    best = checkpoints.require(unbroken["all"] / "best.pt")
    assert (best["step"], best["value"]) == (8, -2)
    kept = weights(unbroken["all"])
    assert kept["1.num_batches_tracked"] == 16
    assert all(torch.equal(value, kept[name]) for name, value in best["network"].items())
    assert not (unbroken["plain"] / "best.pt").exists()
    assert weights(unbroken["plain"])["1.num_batches_tracked"] == STEPS


def test_an_unknown_figure_to_keep_by_is_told_with_those_there_are(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="keep_best: no figure 'top1'; there are training, middle"):
        Run(Tiny(varied(evaluate_every=1, keep_best="top1")), tmp_path).train()


def test_another_recipe_in_the_folder_is_refused_by_its_keys(tmp_path: Path) -> None:
    Run(Tiny(varied(epochs=1)), tmp_path).train()
    with pytest.raises(ValueError, match=r"another recipe: epochs was 1\.0, is 3\.0; rate was 0\.05, is 0\.1: use"):
        Run(Tiny(varied(rate=0.1)), tmp_path)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupted_run_saves_and_goes_on(tmp_path: Path, unbroken: dict[str, Path], number: int) -> None:
    command = [sys.executable, "-m", "tests.unit.training.tiny", str(tmp_path), "slow"]
    with subprocess.Popen(command, cwd=Path(__file__).parents[3], stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout
        assert process.stdout.readline() == "begun\n"
        process.send_signal(number)
        said = process.stdout.read()
    assert process.returncode == 128 + number
    assert "of 15, which is saved" in said
    run = Run(Tiny(), tmp_path)
    assert 0 < run.step < STEPS
    assert (tmp_path / "curves.png").exists()
    run.train()
    expected = weights(unbroken["plain"])
    assert all(torch.equal(value, expected[name]) for name, value in weights(tmp_path).items())


def test_a_run_tells_what_it_is_made_of(tmp_path: Path) -> None:
    Run(Tiny(), tmp_path).train()
    config = json.loads((tmp_path / "config.json").read_text())
    assert config["recipe"]["batch"] == BATCH
    assert (config["device"], config["precision"], config["processes"]) == ("cpu", "fp32", 1)
    assert config["versions"]["torch"] == torch.__version__
    final = checkpoints.require(tmp_path / "final.pt")
    assert set(final) == {"network", "seconds", "steps", "machine"}
    assert "no GPU used" in final["machine"]
    assert {path.name for path in tmp_path.iterdir()} == {
        *("config.json", "metrics.jsonl", "curves.png", "state.pt", "final.pt"),
    }


def test_trackers_hear_losses_rate_and_figures(tmp_path: Path) -> None:
    told: list[tuple[int, dict[str, float]]] = []

    class Listens:
        def log(self, step: int, values: Any) -> None:
            told.append((step, dict(values)))

        def close(self) -> None: ...

    run = Run(Tiny(), tmp_path)
    run.trackers = [Listens()]
    run.train(every=5)
    assert [step for step, _ in told] == [5, 10, 15, 15]
    assert set(told[0][1]) == {"loss/label", "lr", "photos_per_s"}
    assert told[-1][1] == {"val/training": 0.0, "val/middle": -3.0}


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
    with pytest.raises(ValueError, match=f"holds a run of {STEPS} steps, this one has {PHOTOS // BATCH * 9}"):
        Run(Tiny(longer), tmp_path)


def test_a_loss_that_is_not_finite_stops_the_run(tmp_path: Path) -> None:
    class Lost(Tiny):
        def losses(self, network: nn.Module, batch: dict[str, Any]) -> dict[str, Tensor]:
            return {"label": super().losses(network, batch)["label"] * float("nan")}

    run = Run(Lost(), tmp_path)
    before = {name: value.clone() for name, value in run.network.named_parameters()}
    with pytest.raises(FloatingPointError, match="step 0: the loss is not finite"):
        run.train()
    assert all(torch.equal(value, before[name]) for name, value in run.network.named_parameters())


def test_an_error_in_a_sample_reaches_the_caller(tmp_path: Path) -> None:
    class Unreadable(Tiny):
        def sample(self, index: int, side: int, rng: np.random.Generator) -> Any:
            raise FileNotFoundError("photo 7 is gone")

    with pytest.raises(FileNotFoundError, match="photo 7 is gone"):
        Run(Unreadable(), tmp_path).train()
