"""API keys: the file they stand in, a new one made, and whose key it is that a request brings."""

import hashlib
import hmac
import logging
import os
import re
import secrets
import tempfile
import time
import tomllib
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, get_args

Scope = Literal["predict", "metrics", "admin"]
SCOPES: tuple[Scope, ...] = get_args(Scope)

LOOK_S = 1.0
"""The file is looked at no more often than that, seconds."""

_NAME = re.compile(r"[A-Za-z0-9_-]{1,64}")
_HASH = re.compile(r"sha256:([0-9a-f]{64})")

log = logging.getLogger("carlens")


class KeysError(ValueError):
    """A file of keys that cannot be used; the text names the file and the line, and says what was expected."""


@dataclass(frozen=True, slots=True)
class Key:
    """One line of the file: who, the SHA-256 of the token, and what it may do."""

    name: str
    digest: bytes
    scopes: frozenset[Scope]


def digest(token: str) -> bytes:
    """What is kept of a token. A plain hash is enough: 256 random bits are not found by trying, as passwords are."""
    return hashlib.sha256(token.encode()).digest()


def create(name: str, scopes: Iterable[str]) -> tuple[str, Key]:
    """A new token, of 256 random bits, and its key. The prefix lets scanners for leaked secrets know it.

    Raises `KeysError` where the name is not one, or a scope.
    """
    token = f"carlens_{secrets.token_urlsafe(32)}"
    entry = {"hash": f"sha256:{digest(token).hex()}", "scopes": list(scopes)}
    return token, _key(name, entry, "a new key")


def parse(text: str, where: str) -> list[Key]:
    """The keys in a file's text; `KeysError` with the place in `where` where it is not one of keys."""
    try:
        table = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise KeysError(f"{where}: not TOML: {error}") from error
    return [_key(name, entry, f"{where}, line {_line(text, name)}") for name, entry in table.items()]


def read(path: Path) -> list[Key]:
    """The keys of a file; `KeysError` where it cannot be read or is not one of keys."""
    return parse(_text(path), str(path))


def append(path: Path, key: Key) -> None:
    """Adds a key's line to the file, which is made where there is none. Whoever reads it sees the old file or the new
    one, whole; nobody but its owner may read it. `KeysError` where the file is broken or has that name already."""
    before = _text(path) if path.exists() else ""
    keys = parse(before, str(path))
    if any(one.name == key.name for one in keys):
        raise KeysError(f"{path}, line {_line(before, key.name)}: there is a key {key.name!r} already")
    end = "" if before.endswith("\n") or not before else "\n"
    text = f"{before}{end}{line(key)}\n"
    if key.name not in tomllib.loads(text):
        raise KeysError(f"{path}: ends within a table, [{keys[-1].name}]. Write each key as one line, as {line(key)}")
    _replace(path, text)


def line(key: Key) -> str:
    """The key as it stands in the file."""
    scopes = ", ".join(f'"{scope}"' for scope in SCOPES if scope in key.scopes)
    return f'{key.name} = {{ hash = "sha256:{key.digest.hex()}", scopes = [{scopes}] }}'


class Keys:
    """The keys of a file, looked at again when it has changed. `clock` in seconds.

    Raises `KeysError` where the file is broken at the start; later the last good keys stay, and the log says so.
    """

    def __init__(self, path: Path, clock: Callable[[], float] = time.monotonic) -> None:
        self._path = path
        self._clock = clock
        self._seen = self._signature()
        self._keys = read(path)
        self._looked = clock()

    def find(self, token: str) -> Key | None:
        """Whose token it is. Every key is compared, and in constant time, so that the time tells nothing."""
        self._look()
        given, found = digest(token), None
        for key in self._keys:
            if hmac.compare_digest(given, key.digest):
                found = key
        return found

    def _look(self) -> None:
        now = self._clock()
        if now - self._looked < LOOK_S:
            return
        self._looked = now
        signature = self._signature()
        if signature == self._seen:
            return
        self._seen = signature  # before reading: what is written meanwhile is seen the next time
        try:
            self._keys = read(self._path)
        except KeysError as error:
            log.error("%s. The %d keys read before stay.", error, len(self._keys))
        else:
            log.info("%s: %d keys read", self._path, len(self._keys))

    def _signature(self) -> tuple[int, ...] | None:
        try:
            found = self._path.stat()
        except OSError:
            return None
        return found.st_mtime_ns, found.st_size, found.st_ino


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except OSError as error:
        raise KeysError(f"{path}: cannot be read ({error.strerror})") from error
    except UnicodeDecodeError as error:
        raise KeysError(f"{path}: not UTF-8") from error


def _key(name: str, entry: Any, where: str) -> Key:
    if not _NAME.fullmatch(name):
        raise KeysError(f"{where}: {name!r} is no name for a key: 1 to 64 letters, digits, _ and -")
    if not isinstance(entry, Mapping) or set(entry) != {"hash", "scopes"}:
        raise KeysError(f'{where}: {name} must be {{ hash = "sha256:…", scopes = [ … ] }}')
    found = _HASH.fullmatch(entry["hash"]) if isinstance(entry["hash"], str) else None
    if not found:
        raise KeysError(f"{where}: the hash of {name} must be sha256: and 64 hex digits")
    scopes = entry["scopes"]
    if not isinstance(scopes, list) or not scopes or [one for one in scopes if one not in SCOPES]:
        raise KeysError(f"{where}: the scopes of {name} must be a list of {', '.join(SCOPES)}")
    return Key(name, bytes.fromhex(found[1]), frozenset(scopes))


def _line(text: str, name: str) -> int:
    """The line on which a key's entry begins; the parser does not tell."""
    begin = re.compile(rf"""\s*\[?\s*["']?{re.escape(name)}["']?\s*[].=]""")
    return next((number for number, one in enumerate(text.splitlines(), 1) if begin.match(one)), 1)


def _replace(path: Path, text: str) -> None:
    """Writes beside the file, then puts it in its place in one step. A link stays one."""
    target = path.resolve()
    try:
        handle, name = tempfile.mkstemp(dir=target.parent, prefix=f".{target.name}.")  # mode 0600
        try:
            with os.fdopen(handle, "w", encoding="utf-8") as file:
                file.write(text)
                file.flush()
                os.fsync(file.fileno())
            if target.exists() and hasattr(os, "chown"):  # whom the service runs as must still be able to read it
                os.chown(name, target.stat().st_uid, target.stat().st_gid)
            Path(name).replace(target)
        except BaseException:
            Path(name).unlink(missing_ok=True)
            raise
    except OSError as error:
        raise KeysError(f"{path}: cannot be written ({error.strerror})") from error
