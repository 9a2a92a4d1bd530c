"""SECURITY.md names files and tests that exist, so that nothing is claimed that nobody shows."""

import ast
import re
from pathlib import Path

import pytest

PAGE = (Path(__file__).resolve().parents[2] / "SECURITY.md").read_text(encoding="utf-8")
ROWS = [row.strip("|").split("|") for row in re.findall(r"^\|.*\|$", PAGE, re.MULTILINE)[2:]]


def named(cell: str) -> list[str]:
    return re.findall(r"`([^`]+)`", cell)


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row[0].strip()[:40])
def test_what_is_claimed_is_somewhere_and_shown(row: list[str], root: Path) -> None:
    _, places, tests = row
    assert named(places)
    for place in named(places):
        assert (root / place).is_file(), place
    assert named(tests)
    for one in named(tests):
        path, _, name = one.partition("::")
        assert path.startswith("tests/")
        tree = ast.parse((root / path).read_text(encoding="utf-8"))
        found = {node.name for node in tree.body if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)}
        assert name in found if name else any(test.startswith("test_") for test in found), one


def test_there_is_something_to_show() -> None:
    assert len(ROWS) > 10
    assert "## What is not defended" in PAGE
