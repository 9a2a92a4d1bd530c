"""The texts of summaries, one table per language: `models/languages/CODE.toml`."""

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path

FOLDER = Path(__file__).parent / "languages"
DEFAULT = "en"


@dataclass(frozen=True, slots=True)
class Language:
    """One table: sentences with places to fill (`lines`), what is called what, and pairs that have a word of their
    own. A label that the table does not know is written as it is, `_` as a space."""

    code: str
    lines: Mapping[str, str]
    damages: Mapping[str, str]
    places: Mapping[str, str]
    grades: Mapping[str, str]
    pairs: Mapping[str, Mapping[str, str]]

    def damage(self, label: str, part: str | None = None, grade: str | None = None) -> str:
        """A damage in a few words: `moderate dent on the front left door`."""
        name, graded = self.damages.get(label, _plain(label)), self.grades.get(grade or "", _plain(grade or ""))
        if pair := self.pairs.get(label, {}).get(part or ""):
            return self.lines["pair_graded"].format(pair=pair, grade=graded) if grade else pair
        place = self.places.get(part or "", self.lines["place"].format(part=_plain(part or "")))
        key = ("placed" if part else "alone") + ("_graded" if grade else "")
        return self.lines[key].format(damage=name, place=place, grade=graded)


@cache
def codes() -> tuple[str, ...]:
    """The languages that there are tables for, the default first."""
    found = sorted(path.stem for path in FOLDER.glob("*.toml"))
    return (DEFAULT, *(code for code in found if code != DEFAULT))


@cache
def language(code: str = DEFAULT) -> Language:
    """The table of a language. Raises `KeyError` where there is none."""
    if code not in codes():
        raise KeyError(f"no texts in {code!r}: there are {', '.join(codes())}")
    table = tomllib.loads((FOLDER / f"{code}.toml").read_text(encoding="utf-8"))
    return Language(code, table["lines"], table["damages"], table["places"], table["grades"], table["pairs"])


def _plain(label: str) -> str:
    return label.replace("_", " ")
