"""The audit of dependencies: fails where a vulnerability is known, passes where nobody can be asked."""

import json
import subprocess
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from tests.audit import LOCKS, Run, audit

SOUND: dict[str, Any] = {"name": "sound", "version": "1.0", "vulns": []}
UNKNOWN = {"name": "unknown", "skip_reason": "not found"}
BROKEN = {"name": "broken", "version": "2.0", "vulns": [{"id": "CVE-1", "fix_versions": ["2.1"]}]}


def told(*dependencies: dict[str, Any], code: int = 0, error: str = "") -> Run:
    output = json.dumps({"dependencies": dependencies, "fixes": []}) if dependencies else ""
    return lambda command: subprocess.CompletedProcess(list(command), code, output, error)


@pytest.mark.parametrize(
    ("run", "code", "says"),
    [
        (told(SOUND), 0, "no known vulnerability in 1 packages"),
        (told(SOUND, UNKNOWN), 0, "no known vulnerability in 1 packages; nothing could be learnt of unknown"),
        (told(UNKNOWN), 0, "skipped: of 1 packages nothing could be learnt"),
        (told(SOUND, BROKEN, code=1), 1, "broken 2.0: CVE-1, mended in 2.1"),
        (told(UNKNOWN, BROKEN, code=1), 1, "broken 2.0: CVE-1"),
        (told(code=1, error="requests.exceptions.ConnectionError: …"), 0, "skipped: no network"),
        (told(code=1, error="Could not connect to PyPI's vulnerability feed"), 0, "skipped: no network"),
        (told(code=1, error="no hash for fastapi"), 2, "no hash for fastapi"),
        (told(code=2, error="No module named pip_audit"), 2, "No module named pip_audit"),
    ],
)
def test_what_the_audit_says(run: Run, code: int, says: str) -> None:
    found, text = audit(run=run)
    assert found == code
    assert says in text


def test_nobody_who_answers_is_waited_for_without_end() -> None:
    def late(command: Sequence[str]) -> "subprocess.CompletedProcess[str]":
        raise subprocess.TimeoutExpired(list(command), 1)

    assert audit(run=late) == (0, "dependency audit skipped: no answer in time")


def test_every_lock_is_audited_and_nothing_installed(root: Path) -> None:
    asked: list[Sequence[str]] = []

    def run(command: Sequence[str]) -> "subprocess.CompletedProcess[str]":
        asked.append(command)
        return told(SOUND)(command)

    audit(run=run)
    (command,) = asked
    assert {path.name for path in root.glob("requirements*.txt")} == set(LOCKS) <= set(command)
    assert {"--disable-pip", "--require-hashes"} <= set(command)
    assert "tests.audit" in (root / "Makefile").read_text(encoding="utf-8")


def test_a_lock_that_cannot_be_read_fails(tmp_path: Path) -> None:
    (tmp_path / "broken.txt").write_text("fastapi\n")
    code, text = audit([str(tmp_path / "broken.txt")])
    assert code == 2, text
