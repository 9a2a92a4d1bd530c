"""A command run as from the shell: what it prints, and that no mistake shows a traceback."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import typer
from typer.testing import CliRunner


def run(command: Callable[..., Any], *arguments: str | Path) -> tuple[int, str, str]:
    """Exit code, stdout and stderr."""
    application = typer.Typer()
    application.command()(command)
    result = CliRunner(env={"COLUMNS": "200"}).invoke(application, [str(argument) for argument in arguments])
    if result.exception and not isinstance(result.exception, SystemExit):
        raise result.exception
    return result.exit_code, result.stdout, result.stderr
