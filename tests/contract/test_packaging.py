"""What is installed is whole: entry points, the wheel's files, one version everywhere."""

import json
import re
import shutil
import subprocess
import sys
import tomllib
import zipfile
from importlib import metadata
from pathlib import Path

import pytest

from models.join import Join
from models.predictor import Predictor

PACKAGES = ("app", "models", "training")


def entries() -> list[metadata.EntryPoint]:
    groups = ("carlens.predictors", "carlens.kinds", "carlens.joins", "carlens.commands", "console_scripts")
    return [entry for entry in metadata.distribution("carlens").entry_points if entry.group in groups]


@pytest.mark.parametrize("entry", entries(), ids=lambda entry: f"{entry.group}-{entry.name}")
def test_an_entry_point_resolves(entry: metadata.EntryPoint) -> None:
    loaded = entry.load()
    if entry.group == "carlens.joins":
        assert isinstance(loaded, Join)
        assert loaded.name == entry.name
        return
    assert callable(loaded)
    if entry.group == "carlens.predictors":
        assert issubclass(loaded, Predictor)
        assert loaded().specification.name == entry.name


def test_the_entry_points_are_those_of_pyproject(root: Path) -> None:
    project = tomllib.loads((root / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    wanted = {("console_scripts", name, value) for name, value in project["scripts"].items()}
    for group, named in project["entry-points"].items():
        wanted |= {(group, name, value) for name, value in named.items()}
    assert {(entry.group, entry.name, entry.value) for entry in entries()} == wanted


@pytest.fixture(scope="session")
def wheel(root: Path, tmp_path_factory: pytest.TempPathFactory) -> zipfile.ZipFile:
    """The wheel, built from a copy (a build writes into its folder) and without network."""
    copy, target = tmp_path_factory.mktemp("source"), tmp_path_factory.mktemp("wheel")
    for name in ("pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(root / name, copy)
    for name in PACKAGES:
        shutil.copytree(root / name, copy / name, ignore=shutil.ignore_patterns("__pycache__"))
    command = [sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "--no-index", "--no-build-isolation"]
    subprocess.run([*command, "--wheel-dir", str(target), str(copy)], check=True)
    return zipfile.ZipFile(next(target.glob("carlens-*.whl")))


def test_every_file_of_the_packages_is_in_the_wheel(root: Path, wheel: zipfile.ZipFile) -> None:
    wanted = {
        str(path.relative_to(root))
        for package in PACKAGES
        for path in (root / package).rglob("*")
        if path.is_file() and "__pycache__" not in path.parts
    }
    packed = {name for name in wheel.namelist() if ".dist-info/" not in name}
    assert packed == wanted


def test_the_wheel_carries_the_licence_and_the_predictors_weights(wheel: zipfile.ZipFile) -> None:
    names = wheel.namelist()
    assert any(name.endswith(".dist-info/licenses/LICENSE") for name in names)
    for predictor in ("attributes", "car_details", "damage", "damage_severity", "parts", "severity", "vehicles"):
        assert f"models/weights/{predictor}.json" in names
        assert f"models/weights/{predictor}.safetensors" in names


def test_one_version_everywhere(root: Path) -> None:
    version = tomllib.loads((root / "pyproject.toml").read_text(encoding="utf-8"))["project"]["version"]
    assert metadata.version("carlens") == version
    newest = re.search(r"^## \[([\d.]+)\]", (root / "CHANGELOG.md").read_text(encoding="utf-8"), re.MULTILINE)
    assert newest
    assert newest[1] == version
    assert json.loads((root / "openapi" / "openapi.json").read_text(encoding="utf-8"))["info"]["version"] == version
