"""From a finished run to two files that can be served: int8 weights, and a manifest with figures measured on them."""

import hashlib
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors.numpy import save

from models.manifest import LabelRow, Manifest, Training, find, shrink
from models.predictor import Input, Licence
from training import calibrate, evaluate, growth, starts
from training.devices import CPU
from training.findings import Instances
from training.loop import Task
from training.recipe import Recipe
from training.tasks.classifier import ClassifierTask
from training.tasks.heads import HeadsTask
from training.tasks.instances import InstancesTask


def stored_state(task: Task, state: dict[str, torch.Tensor]) -> dict[str, np.ndarray]:
    """The network's state under torchvision's key names, grown to the recipe's architecture, as it is stored."""
    inner = {name.removeprefix("network."): value for name, value in state.items() if name.startswith("network.")}
    if isinstance(task, ClassifierTask) and task.architecture != task.recipe.architecture:
        inner = growth.grow(inner, task.architecture, task.recipe.architecture)
    arrays = {name: value.contiguous().numpy() for name, value in inner.items()}
    return shrink(_blended(arrays, task.recipe))


def _blended(state: dict[str, np.ndarray], recipe: Recipe) -> dict[str, np.ndarray]:
    """The state with the recipe's share of the weights that the run went on from; counters stay, and what those do not
    have of silent labels. Raises `ValueError` where they are of other shapes."""
    if not recipe.blend:
        return state
    before = find(recipe.start.removeprefix(starts.SHIPPED)).tensors()
    blended, more = dict(state), "silent" in recipe.task
    for name, value in state.items():
        old = before[name]
        if old.shape != value.shape and not (more and old.shape[1:] == value.shape[1:] and len(old) < len(value)):
            raise ValueError(f"blend: {name} has another shape in {recipe.start}")
        if value.dtype.kind == "f":
            known = value if old.shape == value.shape else value[: len(old)]
            mixed = (known + recipe.blend * (old - known)).astype(value.dtype)
            blended[name] = mixed if known is value else np.concatenate([mixed, value[len(old) :]])
    return blended


def machine() -> str:
    """What a run was made on that does not say so itself: this machine's processor."""
    return CPU.describe()


def write(folder: Path, manifest: Manifest, tensors: bytes | None = None) -> None:
    """The two files, the weights only where given; graphs of other weights under that name go."""
    folder.mkdir(parents=True, exist_ok=True)
    if tensors is not None:
        for stale in folder.glob(f"{manifest.name}.*.onnx"):
            stale.unlink()
        (folder / f"{manifest.name}.safetensors").write_bytes(tensors)
    (folder / f"{manifest.name}.json").write_text(manifest.model_dump_json(indent=1) + "\n")


def export(task: Task, state: dict[str, Any], folder: Path) -> Manifest:
    """Writes `NAME.safetensors` and `NAME.json` to `folder`; temperatures, thresholds and figures are those of the
    stored weights, asked through the predictor that serves them."""
    recipe = task.recipe
    tensors = save(stored_state(task, state["network"]))
    side, digest = recipe.side(1.0), hashlib.sha256(tensors).hexdigest()
    manifest = Manifest(
        name=recipe.name,
        kind=recipe.kind,
        summary=recipe.summary,
        version=f"1.0.0+{datetime.now(UTC):%Y%m%d}.{digest[:8]}",
        architecture=recipe.architecture,
        network=recipe.network,
        labels=_labels(task),
        silent=task.silent if isinstance(task, InstancesTask) else [],
        table=[LabelRow(**row) for row in task.table] if isinstance(task, ClassifierTask) else [],
        input=Input(width=side, height=side),
        training=Training(
            recipe=recipe.file,
            data=sorted(value for role, value in recipe.data.items() if role not in ("column", "format"))
            or [head["table"] for head in recipe.task["heads"].values()],
            start=recipe.start,
            epochs=recipe.epochs,
            steps=state["steps"],
            hours=round(state["seconds"] / 3600, 2),
            machine=state.get("machine") or machine(),
            notes=_notes(task, state["network"]),
        ),
        figures={},
        figures_command=f"carlens evaluate {recipe.name} --data DATA",
        licence=Licence(**recipe.terms),
        sha256=digest,
    )
    write(folder, manifest, tensors)
    manifest = manifest.model_copy(update=_fitted(task, folder))
    write(folder, manifest)
    return manifest


def _labels(task: Task) -> dict[str, list[str]]:
    if isinstance(task, HeadsTask):
        return task.labels
    assert isinstance(task, (ClassifierTask, InstancesTask))
    return {"label": task.labels}


def _notes(task: Task, state: Mapping[str, torch.Tensor]) -> str:
    notes, recipe = [], task.recipe
    if recipe.start.startswith(starts.SHIPPED):
        before = find(recipe.start.removeprefix(starts.SHIPPED)).manifest
        notes.append(
            f"Went on from the weights sha256:{before.sha256[:12]}, which had {before.training.epochs:g} epochs in "
            f"{before.training.hours:g} hours from {before.training.start}."
        )
    if recipe.blend:
        notes.append(f"What is stored is {recipe.blend:.0%} those weights and the rest what the run came to.")
    if isinstance(task, ClassifierTask) and task.architecture != recipe.architecture:
        blocks = growth.inserted_blocks(task.architecture, recipe.architecture)
        notes.append(
            f"Trained at {task.architecture} depth with the first {task.frozen} stages frozen, then grown: "
            f"{len(blocks)} inserted blocks ({blocks[0]} to {blocks[-1]}) are exact identities, untrained so far."
        )
    elif isinstance(task, ClassifierTask) and task.grown_from != recipe.architecture:
        inner = {name.removeprefix("network."): value for name, value in state.items()}
        share = growth.awakened(inner, task.grown_from, recipe.architecture)
        notes.append(
            f"Grown from {task.grown_from} before training; the inserted blocks' last BatchNorm scales are {share:.0%} "
            "of those of the others (0 %: still identities)."
        )
    return " ".join(notes)


def _fitted(task: Task, folder: Path) -> dict[str, Any]:
    """Temperatures, thresholds and figures of what was just written."""
    predictor = evaluate.open_predictor(task.recipe.name, folder)
    assert find(task.recipe.name, folder).path.parent == folder
    predictor.load("cpu")
    found = evaluate.findings(predictor, task)
    fitted = _calibrated(found, task.recipe.kind)
    figures = evaluate.summary(predictor.manifest.model_copy(update=fitted), found)
    return {**fitted, "figures": figures}


def _calibrated(found: evaluate.Findings, kind: str) -> dict[str, Any]:
    if isinstance(found, Instances):
        thresholds = calibrate.detection_thresholds(*found.everywhere(), found.labels, found.quiet)
        limits = [thresholds[label] for label in found.labels]
        presence = calibrate.presence(found.photos, found.boxes, found.quiet, limits)
        return {"thresholds": thresholds, "presence": presence.knots if presence else []}
    temperature = {head.name: calibrate.fit_temperature(head.logits, head.truth) for head in found}
    if kind == "heads" or found[0].graded:
        return {"temperature": temperature}
    threshold = calibrate.sure_threshold(*found[0].calibration(temperature[found[0].name]))
    return {"temperature": temperature, "thresholds": {"recognised": threshold}}
