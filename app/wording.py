"""The page's words, one table per language (`app/languages/CODE.toml`), and the page written in one of them."""

import json
import re
import tomllib
from collections.abc import Mapping
from functools import cache
from html import escape
from pathlib import Path
from typing import Any

from models.language import DEFAULT
from models.language import language as spoken

FOLDER = Path(__file__).parent / "languages"
PAGE = Path(__file__).parent / "page" / "index.html"
PLACE = re.compile(r"\{\{([a-z_.]+)\}\}")


@cache
def codes() -> tuple[str, ...]:
    """The languages that the page can be written in, the default first."""
    found = sorted(path.stem for path in FOLDER.glob("*.toml"))
    return (DEFAULT, *(code for code in found if code != DEFAULT))


@cache
def words(code: str) -> dict[str, str]:
    """Every text by `section.name`, the forms of a number by `section.name.one` and so on. Among `labels` are those
    that answers are worded with, so that both call a thing the same."""
    table: dict[str, Any] = tomllib.loads((FOLDER / f"{code}.toml").read_text(encoding="utf-8"))
    told = spoken(code)
    labels = {**told.types, **told.colors, **told.grades, **told.damages, **table["labels"]}
    return dict(_flat({**table, "labels": labels}))


@cache
def page(code: str) -> bytes:
    """The page in that language, with all its words for the scripts. Raises `KeyError` where a text is missing."""
    table = words(code)
    text = PLACE.sub(lambda place: escape(table[place[1]]), PAGE.read_text(encoding="utf-8"))
    told = escape(json.dumps(table, ensure_ascii=False, separators=(",", ":")))
    return text.replace("{{LANGUAGE}}", code).replace("{{WORDS}}", told).encode()


def _flat(table: Mapping[str, Any], before: str = "") -> list[tuple[str, str]]:
    found: list[tuple[str, str]] = []
    for name, value in table.items():
        found += _flat(value, f"{before}{name}.") if isinstance(value, Mapping) else [(before + name, value)]
    return found
