"""The `carlens` command: its subcommands come through the entry-point group `carlens.commands`."""

import re
from importlib import metadata
from typing import Annotated, Any

import typer
from typer.core import TyperGroup

GROUP = "carlens.commands"


def entry_points() -> dict[str, metadata.EntryPoint]:
    """Every installed subcommand by its name, in the order of the alphabet."""
    return {entry.name: entry for entry in sorted(metadata.entry_points(group=GROUP), key=lambda entry: entry.name)}


def extra_with(module: str, distribution: metadata.Distribution | None) -> str | None:
    """`carlens[train]`, where that extra of the distribution installs the top-level `module`; None where none does."""
    wanted = module.partition(".")[0].replace("_", "-").lower()
    for requirement in (distribution.requires if distribution else None) or []:
        name = re.match(r"[\w.-]+", requirement)
        extra = re.search(r"extra\s*==\s*['\"]([\w-]+)['\"]", requirement)
        if distribution and name and extra and name[0].replace("_", "-").lower() == wanted:
            return f"{distribution.name}[{extra[1]}]"
    return None


def remedy(entry: metadata.EntryPoint, error: Exception) -> str:
    """Why a subcommand does not load, and what to do about it where that is known."""
    if isinstance(error, ModuleNotFoundError) and error.name:
        extra = extra_with(error.name, entry.dist)
        return f"needs {error.name}, which is not installed" + (f': pip install "{extra}"' if extra else "")
    return f"does not load: {type(error).__name__}: {error}"


def as_command(entry: metadata.EntryPoint) -> Any:
    """The entry point's function as a command; one that does not load becomes a command that says why, so that the
    others work."""
    command = typer.Typer(add_completion=False)
    try:
        command.command(entry.name)(entry.load())
    except Exception as error:
        reason = remedy(entry, error)

        def unavailable() -> None:
            typer.echo(f"carlens {entry.name} {reason}", err=True)
            raise typer.Exit(1)

        settings = {"allow_extra_args": True, "ignore_unknown_options": True}
        command.command(entry.name, help=reason[0].upper() + reason[1:], context_settings=settings)(unavailable)
    return typer.main.get_command(command)


class Commands(TyperGroup):
    """Loads a subcommand when it is called or listed, so that `carlens models` does not wait for the libraries of
    `carlens train`."""

    def list_commands(self, ctx: Any) -> list[str]:
        return list(entry_points())

    def get_command(self, ctx: Any, cmd_name: str) -> Any:
        entries = entry_points()
        if cmd_name not in self.commands and cmd_name in entries:
            self.commands[cmd_name] = as_command(entries[cmd_name])
        elif cmd_name not in entries:  # "Did you mean" looks through `self.commands`
            self.commands.update({name: as_command(entry) for name, entry in entries.items()})
        return self.commands.get(cmd_name)


application = typer.Typer(
    cls=Commands, name="carlens", no_args_is_help=True, add_completion=False, pretty_exceptions_enable=False
)


def show_version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"carlens {metadata.version('carlens')}")
        raise typer.Exit


@application.callback()
def carlens(
    version: Annotated[
        bool, typer.Option("--version", callback=show_version, is_eager=True, help="Print the version and stop.")
    ] = False,
) -> None:
    """Questions about photos of cars, answered: damage, make and model, colour, type and view.

    Settings are environment variables, CARLENS_...; `docker/README.md` lists them.
    """


def main() -> None:
    """What the script `carlens` runs."""
    application(prog_name="carlens")
