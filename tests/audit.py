"""Known vulnerabilities in what the lock files pin: `python -m tests.audit`, part of `make check`. Installs nothing."""

import json
import re
import subprocess
import sys
from collections.abc import Callable, Sequence
from typing import Any

LOCKS = ("requirements.txt", "requirements-gpu.txt", "requirements-dev.txt")
COMMAND = [sys.executable, "-m", "pip_audit", "--disable-pip", "--require-hashes", "--progress-spinner", "off"]
PATIENCE_S = 600

NO_NETWORK = re.compile(r"ConnectionError|Could not connect|Connect(ion)?Timeout|ReadTimeout|ProxyError|SSLError")

Run = Callable[[Sequence[str]], "subprocess.CompletedProcess[str]"]


def ask(command: Sequence[str]) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(command, capture_output=True, text=True, timeout=PATIENCE_S, check=False)


def audit(locks: Sequence[str] = LOCKS, run: Run = ask) -> tuple[int, str]:
    """The exit code and what to say. 0: none is known, or nobody could be asked; 1: some are; 2: it went wrong."""
    command = [*COMMAND, "--format", "json", *(part for lock in locks for part in ("--requirement", lock))]
    try:
        done = run(command)
    except subprocess.TimeoutExpired:
        return 0, "dependency audit skipped: no answer in time"
    try:
        found: list[dict[str, Any]] = json.loads(done.stdout)["dependencies"]
    except (ValueError, KeyError):
        if NO_NETWORK.search(done.stderr):
            return 0, "dependency audit skipped: no network"
        return 2, f"dependency audit failed:\n{done.stderr[-2000:]}"
    known = {
        f"{one['name']} {one['version']}: {bug['id']}, mended in {', '.join(bug['fix_versions']) or 'no version yet'}"
        for one in found
        for bug in one.get("vulns", [])
    }
    if known:
        return 1, "known vulnerabilities:\n" + "\n".join(sorted(known))
    asked = {one["name"] for one in found if "vulns" in one}
    unknown = sorted({one["name"] for one in found} - asked)
    if not asked:
        return 0, f"dependency audit skipped: of {len(unknown)} packages nothing could be learnt from here"
    left = f"; nothing could be learnt of {', '.join(unknown)}" if unknown else ""
    return 0, f"no known vulnerability in {len(asked)} packages{left}"


if __name__ == "__main__":
    code, said = audit()
    print(said)  # noqa: T201
    sys.exit(code)
