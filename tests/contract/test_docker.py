"""docker/: the table of settings is the settings, and the image is built from files that exist."""

import re
import subprocess
import tomllib
from pathlib import Path

from app import configuration
from app.replicas import Scale


def test_the_table_of_settings_is_complete(root: Path) -> None:
    page = (root / "docker" / "README.md").read_text(encoding="utf-8")
    assert page == configuration.written(page), "Do: make settings"
    assert "CARLENS_QUEUE_LIMIT" in page


def test_the_settings_for_ray_are_settings(root: Path) -> None:
    settings = configuration.read(tomllib.loads((root / "docker" / "ray" / "carlens.toml").read_text(encoding="utf-8")))
    assert settings.engine == "ray"
    assert settings.scales["damage"] == Scale(2, 8)


def test_what_the_image_is_built_from_exists(root: Path) -> None:
    lines = (root / ".dockerignore").read_text(encoding="utf-8").splitlines()
    kept = {line[1:] for line in lines if line.startswith("!")}
    assert not [name for name in kept if not (root / name).exists()]
    script = (root / "docker" / "install.sh").read_text(encoding="utf-8")
    locks = set(re.findall(r"install\.sh \S+ (\S+)", (root / "docker" / "Dockerfile").read_text(encoding="utf-8")))
    assert len(locks) == 2
    assert set(re.findall(r"\$source/([\w.]+)", script)) | {"docker/install.sh", *locks} == kept


def test_the_targets_are_those_that_compose_and_make_name(root: Path) -> None:
    stages = set(
        re.findall(r"^FROM \S+ AS (\w+)", (root / "docker" / "Dockerfile").read_text(encoding="utf-8"), re.MULTILINE)
    )
    for name in ("docker/compose.yaml", "Makefile"):
        named = set(re.findall(r"(?:target: |--target )(\w+)", (root / name).read_text(encoding="utf-8")))
        assert named == {"cpu", "cuda"} <= stages


def test_the_install_script_is_a_script(root: Path) -> None:
    subprocess.run(["sh", "-n", str(root / "docker" / "install.sh")], check=True)
