"""What a run writes down for its readers: `config.json`, `metrics.jsonl` and `curves.png`."""

import json
from collections.abc import Iterator, Mapping
from contextlib import suppress
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from platform import python_version
from typing import Any

import torch
from pydantic import ValidationError

from training import plots
from training.devices import Place
from training.recipe import Recipe

PACKAGES = ("carlens", "torchvision", "numpy")


class Record:
    """The files of one run's folder that are text or picture; weights are the checkpoints' affair."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.config, self.metrics = folder, folder / "config.json", folder / "metrics.jsonl"

    def refuse_another(self, recipe: Recipe) -> None:
        """Raises `ValueError` with the keys in which the folder's recipe differs; a folder without one is fine."""
        if not self.config.exists():
            return
        try:
            saved = json.loads(self.config.read_text())["recipe"]
        except (ValueError, KeyError, TypeError) as error:
            raise ValueError(f"{self.config} is not what a run writes ({error!r}): use another --out") from error
        with suppress(ValidationError):  # of another version, whose keys are compared as they stand
            saved = plain(Recipe.model_validate(saved))
        differing = list(differences(saved, plain(recipe)))
        if differing:
            raise ValueError(f"{self.folder} holds a run of another recipe: {'; '.join(differing)}: use another --out")

    def begin(self, recipe: Recipe, place: Place, processes: int, step: int, steps: int) -> None:
        """Writes `config.json`, and takes out of `metrics.jsonl` what comes after `step`: it will be done again."""
        content = {
            "recipe": plain(recipe),
            "steps": steps,
            "versions": versions(),
            "machine": place.describe(),
            "device": str(place.device),
            "precision": place.precision,
            "processes": processes,
        }
        _replace(self.config, json.dumps(content, indent=1) + "\n")
        kept = "".join(json.dumps(row) + "\n" for row in self.rows() if row["step"] <= step)
        if self.metrics.exists() and self.metrics.read_text() != kept:
            _replace(self.metrics, kept)

    def rows(self) -> list[dict[str, Any]]:
        """The lines of `metrics.jsonl`; one that a kill cut short is left out."""
        found = []
        for line in self.metrics.read_text().splitlines() if self.metrics.exists() else []:
            try:
                found.append(json.loads(line))
            except json.JSONDecodeError:
                continue
        return found

    def add(self, row: Mapping[str, Any]) -> None:
        """One more line."""
        with self.metrics.open("a") as file:
            file.write(json.dumps(row) + "\n")

    def measured(self, step: int) -> bool:
        """Whether figures on `val` were written at `step`."""
        return any("val" in row and row["step"] == step for row in self.rows())

    def draw(self) -> None:
        """The rows so far as a picture."""
        plots.curves(self.rows(), self.folder / "curves.png")


def plain(recipe: Recipe) -> dict[str, Any]:
    """A recipe as JSON has it."""
    values: dict[str, Any] = recipe.model_dump(mode="json", by_alias=True)
    return values


def differences(old: Mapping[str, Any], new: Mapping[str, Any], prefix: str = "") -> Iterator[str]:
    """`key was …, is …` for each key, those of tables as `table.key`."""
    for key in dict.fromkeys([*old, *new]):
        a, b = old.get(key), new.get(key)
        if isinstance(a, dict) and isinstance(b, dict):
            yield from differences(a, b, f"{prefix}{key}.")
        elif a != b:
            yield f"{prefix}{key} was {json.dumps(a)}, is {json.dumps(b)}"


def versions() -> dict[str, str]:
    """What computes: Python and the packages that decide on numbers."""
    found = {"python": python_version(), "torch": str(torch.__version__)}
    for name in PACKAGES:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            continue
    return found


def _replace(path: Path, text: str) -> None:
    partial = path.with_suffix(".partial")
    partial.write_text(text)
    partial.replace(path)
