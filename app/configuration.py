"""Settings for people: read with every mistake told at once, shown with where each comes from, written as a table."""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from difflib import get_close_matches
from typing import Any, get_args

from pydantic import SecretBytes, SecretStr, ValidationError
from pydantic_settings import DotEnvSettingsSource

from app import sources
from app.settings import MIB, Settings

HIDDEN = "(not shown)"
MARK = "carlens settings --write"

COMMAND = "command line"
ENVIRONMENT = "environment"
VARIABLES = (COMMAND, ENVIRONMENT, sources.DOTENV)
"""Where a setting is called by its variable; in a file it has its plain name."""

LINK = re.compile(r"(service_(host|port.*)|port_\d+_(tcp|udp|sctp).*)")
"""What Kubernetes calls the variables that it sets for a Service of our name, after `CARLENS_`."""


class WrongSettings(Exception):
    """`lines` say, one each, which setting is wrong, where it was set, to what, and what it may be."""

    def __init__(self, lines: list[str]) -> None:
        super().__init__("\n".join(lines))
        self.lines = lines


@dataclass(frozen=True, slots=True)
class Origin:
    """Where one value was set, and what the setting is called there."""

    name: str
    place: str


def read(given: Mapping[str, Any]) -> Settings:
    """The settings, `given` ones (from the command line) first. Raises `WrongSettings`."""
    try:
        return Settings(**given)
    except sources.SourceError as error:
        raise WrongSettings([str(error)]) from error
    except ValidationError as error:
        places = origins(given)
        raise WrongSettings([_line(one, places) for one in error.errors(include_url=False)]) from error


def origins(given: Mapping[str, Any]) -> dict[str, Origin]:
    """Where each setting that is not left to its default was set."""
    found: dict[str, Origin] = {}
    for place, names in _told(given):
        for name in names:
            variable = f"CARLENS_{name.upper()}"
            found.setdefault(name, Origin(variable if place in VARIABLES else name, place))
    return found


def _told(given: Mapping[str, Any]) -> Iterator[tuple[str, Mapping[str, Any]]]:
    environment, dotenv = sources.Environment(Settings)(), DotEnvSettingsSource(Settings)()
    yield from ((COMMAND, given), (ENVIRONMENT, environment), (sources.DOTENV, dotenv))
    file = sources.ConfigFile(Settings)
    file._set_current_state({**dotenv, **environment, **given})
    yield str(file.path), file()


def _line(error: Mapping[str, Any], places: Mapping[str, Origin]) -> str:
    name = str(error["loc"][0])
    at = places.get(name, Origin(f"CARLENS_{name.upper()}", "default"))
    if error["type"] == "extra_forbidden":  # its value may be a secret under a misspelt name
        return f"{at.name} ({at.place}): there is no such setting. {_remedy(name, at)}"
    message = str(error["msg"]).removeprefix("Value error, ")
    message = message[0].lower() + message[1:]
    value, meaning = ascii(shown(name, error["input"])), Settings.model_fields[name].description
    return f"{at.name}={value} ({at.place}): {message}. {meaning}"


def _remedy(name: str, at: Origin) -> str:
    if at.place == ENVIRONMENT and LINK.fullmatch(name):
        return "Kubernetes sets it for a Service called carlens: say enableServiceLinks: false in the pod."
    near = get_close_matches(name, Settings.model_fields, n=1)
    if near:
        return f"Did you mean {at.name[: -len(name)]}{near[0].upper() if at.name.isupper() else near[0]}?"
    return "`carlens settings` lists them all."


def shown(name: str, value: object) -> str:
    """A value fit to be printed: of a secret nothing, of an address not who may use it."""
    field = Settings.model_fields.get(name)
    if field is None or secret(field.annotation):
        return HIDDEN
    if isinstance(value, list | tuple):
        value = ",".join(map(str, value))
    return re.sub(r"://[^/@\s]*@", f"://{HIDDEN}@", str(value))


def secret(annotation: Any) -> bool:
    return annotation in (SecretStr, SecretBytes) or any(secret(part) for part in get_args(annotation))


def table() -> str:
    """Every setting in Markdown, in the order of `Settings`."""
    head = "| variable | default | meaning |\n|---|---|---|\n"
    rows = (
        f"| `CARLENS_{name.upper()}` | {_default(field.default)} | {field.description} |\n"
        for name, field in Settings.model_fields.items()
    )
    return head + "".join(rows)


def written(page: str) -> str:
    """The page with the table between its two marks. Raises `ValueError` where it has none."""
    return between(page, MARK, table())


def between(page: str, mark: str, text: str) -> str:
    """The page with `text` between the two lines that name the command `mark`. Raises `ValueError` where they lack."""
    begin, end = (f"<!-- written by `{mark}`: {which} -->\n" for which in ("begin", "end"))
    before, begun, rest = page.partition(begin)
    _, ended, after = rest.partition(end)
    if not (begun and ended):
        raise ValueError(f"the page lacks the lines {begin.strip()} and {end.strip()}")
    return f"{before}{begin}\n{text}\n{end}{after}"


def _default(value: Any) -> str:
    match value:
        case None | []:
            return "not set"
        case bool():
            return f"`{str(value).lower()}`"
        case int() if value >= MIB and value % MIB == 0:
            return f"`{value}` ({value // MIB} MiB)"
        case _:
            return f"`{value}`"
