"""The texts of summaries, one table per language: `models/languages/CODE.toml`."""

import tomllib
from collections.abc import Mapping, Sequence
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
    colors: Mapping[str, str]
    types: Mapping[str, str]
    doubts: Mapping[str, str]

    def damage(self, label: str, part: str | None = None, grade: str | None = None) -> str:
        """A damage in a few words: `moderate dent on the front left door`."""
        name, graded = self.damages.get(label, _plain(label)), self.grades.get(grade or "", _plain(grade or ""))
        if pair := self.pairs.get(label, {}).get(part or ""):
            return self.lines["pair_graded"].format(pair=pair, grade=graded) if grade else pair
        place = self.places.get(part or "", self.lines["place"].format(part=_plain(part or "")))
        key = ("placed" if part else "alone") + ("_graded" if grade else "")
        return self.lines[key].format(damage=name, place=place, grade=graded)

    def color(self, label: str) -> str:
        return self.colors.get(label, _plain(label))

    def type(self, label: str) -> str:
        return self.types.get(label, _plain(label))

    def doubt(self, reason: str, groups: Sequence[tuple[str, Sequence[int]]]) -> str:
        """Why photos may not show one vehicle; `groups`: what is said, and by which photos, counted from 0. People
        count them from 1: `the photos seem to show different models: Audi R8 (photos 1, 2), BMW X5 (photo 3)`."""
        told = []
        for name, photos in groups:
            numbers = ", ".join(str(index + 1) for index in photos)
            told.append(self.doubts["photo" if len(photos) == 1 else "photos"].format(name=name, numbers=numbers))
        return self.doubts[reason].format(groups=", ".join(told))


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
    return Language(code=code, **table)


def _plain(label: str) -> str:
    return label.replace("_", " ")
