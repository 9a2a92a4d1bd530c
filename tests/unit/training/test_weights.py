"""From a recipe to a served answer: trained on drawn photos, exported, evaluated, and asked through the predictor."""

import hashlib
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import typer
from torchvision.models import get_model

from models.manifest import SCALE, Manifest, expand, find
from models.photo import Limits, decode, read_header, whole
from models.registry import discover
from tests.unit.training import drawn
from training import checkpoints, growth, tasks
from training import recipe as recipes
from training.commands.evaluate import evaluate
from training.commands.train import train
from training.evaluate import figures
from training.tasks.classifier import ClassifierTask
from training.weights import _blended, stored_state

CHANGES = {"attributes": drawn.HEADS, "car_details": drawn.CLASSIFIER, "damage": drawn.INSTANCES}


@pytest.fixture(scope="module", params=sorted(CHANGES))
def trained(request: pytest.FixtureRequest, data: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[str, Path]:
    """A predictor's name, and the folder of its run."""
    name = str(request.param)
    out = tmp_path_factory.mktemp(name)
    train(name, data=data, out=out, set_=CHANGES[name])
    return name, out


def served(name: str, out: Path) -> Any:
    # the figures are fp32's
    predictor = discover(weights_dir=out / "weights", wanted=[name], backends={"": "openvino-fp32"})[name]
    predictor.load("cpu")
    return predictor


def test_a_run_leaves_what_the_guide_says(trained: tuple[str, Path]) -> None:
    name, out = trained
    files = {str(path.relative_to(out)) for path in out.rglob("*") if path.is_file()}
    events = {file for file in files if file.startswith("tensorboard/events.")}
    assert events
    expected = {"state.pt", "metrics.jsonl", "final.pt", f"weights/{name}.json", f"weights/{name}.safetensors"}
    parts = ("dense", "boxes", "masks") if name == "damage" else ("graph",)
    expected |= {"config.json", "curves.png", *(f"weights/{name}.{part}.onnx" for part in parts)}
    assert files - events - {"features.f16", "features.json"} == expected
    assert ("features.f16" in files) == (name == "car_details")
    last = json.loads((out / "metrics.jsonl").read_text().splitlines()[-1])
    assert last["step"] == last["of"] == checkpoints.require(out / "final.pt")["steps"]


def test_the_manifest_tells_how_the_weights_came_about(trained: tuple[str, Path]) -> None:
    name, out = trained
    manifest = Manifest.model_validate_json((out / "weights" / f"{name}.json").read_bytes())
    recipe = recipes.read(name, CHANGES[name])
    tensors = (out / "weights" / f"{name}.safetensors").read_bytes()
    assert manifest.sha256 == hashlib.sha256(tensors).hexdigest()
    assert (manifest.kind, manifest.architecture, manifest.network) == (
        recipe.kind,
        recipe.architecture,
        recipe.network,
    )
    assert manifest.input.width == manifest.input.height == recipe.side(1.0)
    assert (manifest.training.recipe, manifest.training.start) == (name, recipe.start)
    assert manifest.training.steps == json.loads((out / "metrics.jsonl").read_text().splitlines()[-1])["of"]
    assert manifest.licence.weights == recipe.terms["weights"]
    assert manifest.figures
    assert all(0 <= value <= 1 for value in manifest.figures.values())
    assert manifest.figures_command == f"carlens evaluate {name} --data DATA"
    calibrated = {
        "attributes": manifest.temperature,
        "car_details": manifest.temperature,
        "damage": manifest.thresholds,
    }
    labels = {"car_details": ["label"], "damage": manifest.labels.get("label", [])}
    assert sorted(calibrated[name]) == sorted(labels.get(name, list(manifest.labels)))


def test_the_stored_weights_are_the_trained_ones_rounded(trained: tuple[str, Path]) -> None:
    name, out = trained
    state = checkpoints.require(out / "final.pt")["network"]
    stored = find(name, out / "weights").tensors()
    assert {f"network.{key}" for key in stored} == set(state)
    for key, value in stored.items():
        original = state[f"network.{key}"].numpy().astype(np.float64)
        assert value.shape == original.shape
        peak = np.abs(original).max()
        np.testing.assert_allclose(value.astype(np.float64), original, rtol=0, atol=peak / 127 * 0.51)


def test_the_figures_are_those_of_the_stored_weights(trained: tuple[str, Path], data: Path, tmp_path: Path) -> None:
    name, out = trained
    predictor = served(name, out)
    task = tasks.create(recipes.read(name, CHANGES[name]), data, tmp_path)
    assert figures(predictor, task) == pytest.approx(predictor.manifest.figures, abs=1e-4)


def test_the_exported_weights_answer_a_photo(trained: tuple[str, Path]) -> None:
    name, out = trained
    predictor = served(name, out)
    data = drawn.photo(square=drawn.SQUARE)
    photo = decode(data, read_header(data, Limits()))
    region, options = whole(photo.header), predictor.specification.options()
    item = predictor.prepare(photo, region, options)
    batch = {key: np.stack([value]) for key, value in item.items()}
    row = {key: value[0] for key, value in predictor.run(batch).items()}
    answer = predictor.finish(row, photo.header, region, options)
    assert isinstance(answer, predictor.specification.answer)
    if name == "car_details":
        assert answer.best.label in predictor.manifest.labels["label"]
        assert answer.best.make == next(r.make for r in predictor.manifest.table if r.label == answer.best.label)
    elif name == "attributes":
        assert set(answer.type.scores) == set(predictor.manifest.labels["type"])
    else:
        assert set(answer.counts) == set(predictor.manifest.labels["label"])


@pytest.mark.parametrize("trained", ["attributes"], indirect=True)
def test_evaluate_shows_the_figures(
    trained: tuple[str, Path],
    data: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    name, out = trained
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "100")
    evaluate(name, data=data, weights=out / "weights", device="cpu", backend="openvino-fp32")
    shown = capsys.readouterr().out
    for figure, value in find(name, out / "weights").manifest.figures.items():
        assert figure in shown
        assert str(value) in shown
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("trained", ["attributes"], indirect=True)
def test_a_finished_run_is_exported_again_without_training(
    trained: tuple[str, Path], data: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    name, out = trained
    before = (out / "weights" / f"{name}.safetensors").read_bytes()

    def fails(*_: object) -> None:
        raise AssertionError("nothing is left to learn")

    monkeypatch.setattr("training.loop.Run._learn", fails)
    stale = out / "weights" / f"{name}.other.onnx"
    stale.touch()
    train(name, data=data, out=out, set_=CHANGES[name])
    assert not stale.exists()  # a graph of other weights
    assert (out / "weights" / f"{name}.safetensors").read_bytes() == before
    assert "written:" in capsys.readouterr().out


def test_a_grown_network_is_stored_at_its_full_depth() -> None:
    torch.manual_seed(0)
    task = object.__new__(ClassifierTask)
    task.recipe = recipes.read("car_details", ["architecture=resnet101"])
    task.frozen, task.grow = 3, "end"
    assert task.architecture == "resnet50"
    state = get_model("resnet50", weights=None, num_classes=5).state_dict()
    trained = {f"network.{name}": value for name, value in state.items()} | {"normalise.mean": torch.zeros(3)}
    stored = stored_state(task, trained)
    deep = get_model("resnet101", weights=None, num_classes=5)
    assert {name for name in stored if not name.endswith(SCALE)} == set(deep.state_dict())
    kernel = "layer3.22.conv1.weight"
    assert stored[kernel].dtype == np.int8
    deep.load_state_dict({name: torch.from_numpy(np.array(value)) for name, value in expand(stored).items()})
    for block in growth.inserted_blocks("resnet50", "resnet101"):
        assert not stored[f"{block}.bn3.weight"].any()


@pytest.mark.parametrize(
    ("recipe", "changes", "expected"),
    [
        ("paint", [], "no recipe 'paint': known are"),
        ("damage", ["epochs"], "write key=value"),
        ("damage", [*drawn.INSTANCES, "batch=100"], "fewer than a batch of 100"),
        ("damage", [*drawn.INSTANCES, "start=none.safetensors"], "no starting weights at"),
        ("damage", [*drawn.INSTANCES, "data.train=nowhere"], "neither"),
        ("damage", [*drawn.INSTANCES, "name=inspect"], "a name is lower-case letters"),
        ("car_details", [*drawn.CLASSIFIER, "data.labels=none.csv"], "none.csv"),
    ],
)
def test_a_users_mistake_is_one_line_and_status_2(
    data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], recipe: str, changes: list[str], expected: str
) -> None:
    with pytest.raises(typer.Exit) as caught:
        train(recipe, data=data, out=tmp_path / "run", set_=changes)
    assert caught.value.exit_code == 2
    told = capsys.readouterr().err
    assert told.startswith("carlens train: ")
    assert expected in told


def test_evaluate_tells_what_is_wrong(data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(typer.Exit):
        evaluate("paint", data=data, weights=None, device="cpu")
    assert "carlens evaluate: no predictor paint: installed are attributes" in capsys.readouterr().err
    (tmp_path / "damage.json").write_text("{}")
    with pytest.raises(typer.Exit):
        evaluate("damage", data=data, weights=tmp_path, device="cpu")
    assert "damage.json" in capsys.readouterr().err


def test_weights_may_be_mixed_with_those_they_went_on_from() -> None:
    before: dict[str, Any] = find("attributes").tensors()
    state: dict[str, Any] = {name: value + 1 if value.dtype.kind == "f" else value for name, value in before.items()}
    found = _blended(state, recipes.read("attributes_third", ["blend=0.25"]))
    assert set(found) == set(before)
    for name, value in found.items():
        expected = before[name] + 0.75 if value.dtype.kind == "f" else before[name]
        assert value.dtype == state[name].dtype
        np.testing.assert_allclose(value, expected, rtol=2e-3, atol=2e-3)
    state["heads.fc_type.bias"] = np.zeros(3, np.float32)
    with pytest.raises(ValueError, match=r"blend: heads\.fc_type\.bias has another shape in weights:attributes"):
        _blended(state, recipes.read("attributes_third"))


def test_silent_labels_that_came_later_are_left_by_mixing() -> None:
    recipe = recipes.read("parts_third", ["blend=0.25"])
    before: dict[str, Any] = find("damage").tensors()  # any detector without silent labels
    recipe.start = "weights:damage"
    name = "roi_heads.box_predictor.cls_score.bias"
    state = {name: np.arange(9, dtype=np.float32)}
    found = _blended(state, recipe)[name]
    np.testing.assert_allclose(found[:7], 0.75 * state[name][:7] + 0.25 * before[name], rtol=1e-3, atol=1e-3)
    np.testing.assert_array_equal(found[7:], state[name][7:])
