"""Where settings come from: the environment, `.env`, and a TOML file; what none of them may name is refused alike."""

import tomllib
from pathlib import Path
from typing import Any

from pydantic.fields import FieldInfo
from pydantic_settings import BaseSettings, EnvSettingsSource, PydanticBaseSettingsSource

DOTENV = ".env"
CONFIG = "carlens.toml"
"""Read in the working directory where there is one and the setting `config` names no other."""


class SourceError(ValueError):
    """A file of settings that cannot be read; the text names it and what to mend."""


class Environment(EnvSettingsSource):
    """The environment, in which every variable with the prefix must be a setting: a misspelt one would be ignored."""

    def __call__(self) -> dict[str, Any]:
        found = super().__call__()
        for variable, value in self.env_vars.items():
            if variable.startswith(self.env_prefix.lower()):
                found.setdefault(variable.removeprefix(self.env_prefix.lower()), value)
        return found


class ConfigFile(PydanticBaseSettingsSource):
    """The TOML file that the sources before this one name, else `CONFIG` where it is there: `port = 9000`."""

    def get_field_value(self, field: FieldInfo, field_name: str) -> tuple[Any, str, bool]:
        return self().get(field_name), field_name, False

    def __call__(self) -> dict[str, Any]:
        path = self.path
        return {} if path is None else _read(path)

    @property
    def path(self) -> Path | None:
        """The file that is read; None where there is none to read."""
        named = self.current_state.get("config")
        path = Path(named or CONFIG).expanduser()
        return path if named or path.is_file() else None


def ordered(
    settings: type[BaseSettings], given: PydanticBaseSettingsSource, dotenv: PydanticBaseSettingsSource
) -> tuple[PydanticBaseSettingsSource, ...]:
    """All sources, the one that wins first."""
    return given, Environment(settings), dotenv, ConfigFile(settings)


def _read(path: Path) -> dict[str, Any]:
    try:
        found = tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise SourceError(
            f"the file of settings {path} cannot be read: {error.strerror}; CARLENS_CONFIG names it"
        ) from error
    except ValueError as error:  # no TOML, or no UTF-8
        raise SourceError(f"the file of settings {path} is not TOML: {error}") from error
    if "config" in found:
        raise SourceError(f"the file of settings {path} names another one, `config`: say CARLENS_CONFIG instead")
    return found
