"""The page's words: every text in every language, filled in alike, and none that nobody says."""

import json
import re
from html.parser import HTMLParser

import pytest

from app import wording
from app.routes import page
from models import language

USED = re.compile(r"""(?:text|several)\(\s*(?:[\w.?!-]+(?: [=><]+ [\w.]+)? \? )?["'`]([a-z_]+\.[a-z_0-9]*)""")
NAMES = re.compile(r"""["'`]([a-z_]+\.[a-z_0-9$]+)""")
FORMS = re.compile(r"\.(one|other)$")
BY_LABEL = ("labels.", "names.", "summaries.", "problem.", "state.", "times.", "card.read_", "zoom.")
"""Those that scripts put together from what the service says, or from a name of their own."""


def test_every_language_of_the_answers_is_one_of_the_page() -> None:
    assert wording.codes() == language.codes()
    assert "de" in wording.codes()


@pytest.mark.parametrize("code", wording.codes())
def test_every_text_is_there_and_has_the_same_places(code: str) -> None:
    ours, theirs = wording.words("en"), wording.words(code)
    assert set(ours) == set(theirs)
    for name, told in theirs.items():
        assert told.strip(), name
        assert set(re.findall(r"\{\w+\}", told)) == set(re.findall(r"\{\w+\}", ours[name])), name


def scripts() -> str:
    return "\n".join(path.read_text(encoding="utf-8") for path in sorted(page.FOLDER.glob("*.js")))


def test_every_text_that_is_said_is_in_the_table() -> None:
    known = {FORMS.sub("", name) for name in wording.words("en")}
    said = set(USED.findall(scripts()))
    assert len(said) > 60
    assert not {name for name in said if not name.endswith((".", "_")) and name not in known}


def test_no_text_is_kept_that_nobody_says() -> None:
    said = set(NAMES.findall(scripts())) | set(wording.PLACE.findall(wording.PAGE.read_text(encoding="utf-8")))
    texts = {FORMS.sub("", name) for name in wording.words("en")}
    assert not {name for name in texts if name not in said and not name.startswith(BY_LABEL)}


def test_labels_are_called_as_in_summaries() -> None:
    assert wording.words("de")["labels.dent"] == language.language("de").damages["dent"] == "Delle"
    assert wording.words("de")["labels.red"] == "rot"


class Read(HTMLParser):
    """Attributes of the page's first element and of its words."""

    def __init__(self) -> None:
        super().__init__()
        self.found: dict[str, str | None] = {}

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = dict(attrs)
        if tag == "html":
            self.found["lang"] = given["lang"]
        elif given.get("name") == "words":
            self.found["words"] = given["content"]


@pytest.mark.parametrize("code", wording.codes())
def test_the_page_is_written_whole_and_safely(code: str) -> None:
    text = wording.page(code).decode()
    reader = Read()
    reader.feed(text)
    assert reader.found["lang"] == code
    assert reader.found["words"] is not None
    assert json.loads(reader.found["words"]) == wording.words(code)
    assert "{{" not in text


def test_a_text_that_is_missing_is_no_empty_place(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(wording, "words", lambda code: {})
    with pytest.raises(KeyError, match=r"page\.description"):
        wording.page.__wrapped__("en")
