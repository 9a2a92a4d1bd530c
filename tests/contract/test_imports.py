"""The import laws of pyproject.toml hold."""

import subprocess
import sys
from pathlib import Path

# In a process of its own: import-linter sets up logging anew and silences the loggers that are there already.
LINT = "import sys; from importlinter.cli import lint_imports; sys.exit(lint_imports(no_cache=True, no_logo=True))"


def test_import_laws(root: Path) -> None:
    command = [sys.executable, "-c", LINT]
    done = subprocess.run(command, check=False, cwd=root, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stdout + done.stderr
