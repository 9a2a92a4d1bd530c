"""Files of keys for tests."""

from pathlib import Path

from app import keys


def key(path: Path, name: str, *scopes: keys.Scope) -> str:
    """Adds a key to the file; its token."""
    token, made = keys.create(name, scopes)
    keys.append(path, made)
    return token


def bearer(token: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {token}"}
