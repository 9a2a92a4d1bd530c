"""Every table says everything, in whole sentences; labels it does not know are written as they are."""

import re
from dataclasses import asdict
from itertools import product

import pytest

from models.language import DEFAULT, codes, language
from models.registry import discover

LABELS = {name: one.card.labels["label"] for name, one in discover(wanted=["damage", "damage_severity"]).items()}
PARTS = [
    *("back_bumper", "back_glass", "back_left_door", "back_left_light", "back_right_door", "back_right_light"),
    *("front_bumper", "front_glass", "front_left_door", "front_left_light", "front_right_door", "front_right_light"),
    *("hood", "left_mirror", "right_mirror", "tailgate", "trunk", "wheel"),
]


def test_there_are_english_and_german() -> None:
    assert codes()[0] == DEFAULT == "en"
    assert "de" in codes()


@pytest.mark.parametrize("code", codes())
def test_a_table_knows_every_label_and_no_other(code: str) -> None:
    table = language(code)
    assert set(table.damages) == set(LABELS["damage"])
    assert set(table.grades) == set(LABELS["damage_severity"])
    assert set(table.places) == set(PARTS)
    assert set(table.pairs) <= set(LABELS["damage"])
    assert {part for pairs in table.pairs.values() for part in pairs} <= set(PARTS)


@pytest.mark.parametrize("code", codes())
def test_tables_have_the_same_shape(code: str) -> None:
    one, other = asdict(language(code)), asdict(language())
    assert set(one["lines"]) == set(other["lines"])
    for key, line in other["lines"].items():
        assert set(re.findall(r"\{\w+\}", one["lines"][key])) == set(re.findall(r"\{\w+\}", line))


@pytest.mark.parametrize("code", codes())
def test_every_sentence_is_whole_and_tells_its_labels_apart(code: str) -> None:
    grades: list[str | None] = [None, *LABELS["damage_severity"]]
    every = list(product(LABELS["damage"], [None, *PARTS], grades))
    told = [language(code).damage(*one) for one in every]
    assert all(re.fullmatch(r"[^\W_][\w ,ßäöü]*\w", text) for text in told)
    assert not any("None" in text or "  " in text for text in told)
    apart = [
        text for text, (label, part, _) in zip(told, every, strict=True) if (label, part) != ("tire_flat", "wheel")
    ]
    assert len(apart) == len(set(apart))


@pytest.mark.parametrize(
    ("code", "given", "text"),
    [
        ("en", ("dent",), "dent"),
        ("en", ("dent", None, "severe"), "severe dent"),
        ("en", ("scratch", "hood"), "scratch on the hood"),
        ("en", ("dent", "front_left_door", "moderate"), "moderate dent on the front left door"),
        ("en", ("lamp_broken", "front_left_light", "severe"), "broken front left light, severe"),
        ("en", ("glass_shatter", "front_glass"), "shattered windshield"),
        ("en", ("rust_spot", "left_fender", "very_bad"), "very bad rust spot on the left fender"),
        ("de", ("scratch", "hood", "minor"), "Kratzer an der Motorhaube, leicht"),
        ("de", ("lamp_broken", "back_right_light"), "zerbrochenes rechtes Rücklicht"),
        ("de", ("rust_spot", "left_fender"), "rust spot (left fender)"),
    ],
)
def test_sentences(code: str, given: tuple[str, ...], text: str) -> None:
    assert language(code).damage(*given) == text


def test_an_unknown_language_is_refused() -> None:
    with pytest.raises(KeyError, match="xx"):
        language("xx")
