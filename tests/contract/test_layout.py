"""The tree a newcomer reads: nothing at the top that DESIGN does not know, every file says what it is for."""

import ast
import re
import subprocess
from pathlib import Path

import pytest

FOLDERS = {".ci", "app", "docker", "models", "openapi", "tests", "training"}
FILES = {
    ".dockerignore",
    ".gitattributes",
    ".gitignore",
    "CHANGELOG.md",
    "LICENSE",
    "Makefile",
    "README.md",
    "SECURITY.md",
    "pyproject.toml",
    "requirements-dev.txt",
    "requirements-gpu.txt",
    "requirements.txt",
}
LONGEST = 400
LONGEST_TEST = 1000
"""Tests mirror files one to one; the risky ones have three lines of test for each of theirs."""

LARGEST = 90 * 2**20


@pytest.fixture(scope="session")
def files(root: Path) -> list[Path]:
    """Every file that is committed, or would be."""
    command = ["git", "ls-files", "--cached", "--others", "--exclude-standard", "-z"]
    names = subprocess.run(command, cwd=root, check=True, capture_output=True, text=True).stdout.split("\0")
    return [Path(name) for name in names if name and (root / name).is_file()]


def test_nothing_else_lies_at_the_top(files: list[Path]) -> None:
    assert {path.parts[0] for path in files if len(path.parts) > 1} <= FOLDERS
    assert {path.name for path in files if len(path.parts) == 1} <= FILES


def test_every_file_of_code_says_first_what_it_is_for(root: Path, files: list[Path]) -> None:
    silent = []
    for path in files:
        text = (root / path).read_text(encoding="utf-8") if path.suffix == ".py" else ""
        if text and not (text.startswith('"""') and ast.get_docstring(ast.parse(text))):
            silent.append(str(path))
    assert not silent


def test_every_link_within_the_repository_leads_somewhere(root: Path, files: list[Path]) -> None:
    targets = [
        (path, target)
        for path in files
        if path.suffix == ".md"
        for target in re.findall(r"\]\((?!https?:|#)([^)#]+)", (root / path).read_text(encoding="utf-8"))
    ]
    dead = [f"{path} links to {target}" for path, target in targets if not (root / path.parent / target).exists()]
    assert not dead


def test_no_file_of_code_is_too_long(root: Path, files: list[Path]) -> None:
    code = [path for path in files if path.suffix == ".py"]
    lengths = {str(path): len((root / path).read_text(encoding="utf-8").splitlines()) for path in code}
    allowed = {path: LONGEST_TEST if path.startswith("tests/") else LONGEST for path in lengths}
    assert not {path: length for path, length in lengths.items() if length > allowed[path]}


def test_no_file_is_too_large_for_a_host(root: Path, files: list[Path]) -> None:
    assert not [str(path) for path in files if (root / path).stat().st_size > LARGEST]
