"""The page in German: for a browser that wants it, whole, and called so."""

import json
import re
import tomllib
from collections.abc import Callable, Iterator

import pytest

from app import wording
from tests.page.axe import amiss
from tests.page.conftest import GREEN, LAPTOP, Seen, jpeg

THREE = [jpeg("a.jpg"), jpeg("b.jpg", GREEN), {"name": "c.txt", "mimeType": "text/plain", "buffer": b"x"}]
ALIKE = re.compile(r"[\W\d_]|JPEG|PNG|WebP|HEIC|AVIF|TIFF|GIF|BMP|JSON|carlens")
"""What is no word of a language."""


@pytest.fixture
def german(visit: Callable[..., Seen], service: str) -> Seen:
    seen = visit(service, **LAPTOP, locale="de-CH")
    seen.open()
    return seen


def english() -> Iterator[str]:
    """Every text of the English table that reads otherwise in German, without what is filled in."""
    ours, theirs = wording.words("en"), wording.words("de")
    for name, told in ours.items():
        for piece in re.split(r"\{\w+\}", told):
            if ALIKE.sub("", piece) and piece.strip() not in theirs[name] and len(piece.strip()) > 3:
                yield piece.strip(" .:,")


def said(seen: Seen) -> str:
    """All that is to be read or heard, but for what is marked as English."""
    script = """() => {
        const copy = document.body.cloneNode(true);
        for (const one of copy.querySelectorAll("[lang=en], code, noscript")) one.remove();
        const named = [...copy.querySelectorAll("[aria-label], [title], [aria-valuetext]")].flatMap((one) =>
            ["aria-label", "title", "aria-valuetext"].map((name) => one.getAttribute(name)));
        const walk = document.createTreeWalker(copy, NodeFilter.SHOW_TEXT);
        const texts = [];
        while (walk.nextNode()) texts.push(walk.currentNode.data.replace(/\\s+/g, " ").trim());
        return [...texts, ...named].filter(Boolean).join(" | ");
    }"""
    return str(seen.page.evaluate(script))


def left_over(seen: Seen) -> list[str]:
    text = said(seen)
    return [piece for piece in english() if re.search(rf"(?<!\w){re.escape(piece)}(?!\w)", text)]


def test_the_empty_page_is_german_and_says_so(german: Seen) -> None:
    assert german.page.evaluate("document.documentElement.lang") == "de"
    assert german.page.get_by_role("heading", level=1).inner_text() == "Was ein Foto über das Auto sagt"
    assert not left_over(german)
    assert german.page.locator("#served [lang=en]").all_inner_texts() == ["Rust, by weights of one's own"]


def test_no_english_is_left_beside_answers_and_problems(german: Seen) -> None:
    german.send(*THREE)
    german.page.get_by_role("region", name="Alle Fotos zusammen").get_by_role("button", name="JSON").wait_for()
    for number in (3, 2, 1):
        german.page.get_by_role("button", name=re.compile(f"^Foto {number}, ")).click()
        german.settled()
        assert not left_over(german)
    assert "1 \u00d7 Delle" in said(german)
    german.page.get_by_role("checkbox", name="Teile 2").check()
    german.page.get_by_role("button", name="Motorhaube 95 %").click()
    assert german.page.locator("#status").inner_text() == "Näher an: Motorhaube"
    german.page.get_by_role("slider", name="Zeigen").fill("70")
    assert "ab 70 % Sicherheit" in said(german)
    assert not left_over(german)
    assert not amiss(german)


def test_a_leftover_would_be_found(german: Seen) -> None:
    german.page.evaluate("document.querySelector('#status').textContent = 'Something broke in the service'")
    assert "Something broke in the service" in left_over(german)


def test_texts_of_the_service_come_in_the_same_language(german: Seen) -> None:
    with german.page.expect_request("**/v1/inspect?*") as asked:
        german.send(jpeg())
    german.answered()
    assert asked.value.headers["accept-language"].startswith("de-CH")
    assert 'curl -H "Accept-Language: de" -F file=@car.jpg' in german.page.locator(".shell code").inner_text()
    with german.page.expect_download() as coming:
        german.page.get_by_role("button", name="Antwort als JSON").click()
    assert json.loads(coming.value.path().read_bytes())["results"]["damage"]["damaged"] is True


def test_another_language_gets_the_first_of_the_browser_s_that_is_there(
    visit: Callable[..., Seen], service: str
) -> None:
    seen = visit(service, **LAPTOP, locale="fi-FI")
    seen.open()
    assert seen.page.evaluate("document.documentElement.lang") == "en"


def test_problems_are_told_in_german(german: Seen) -> None:
    german.page.context.set_offline(True)
    german.send(jpeg())
    alert = german.page.get_by_role("alert").filter(has_text="Sie sind offline")
    alert.wait_for()
    assert "Verbinden Sie sich mit dem Netz" in alert.inner_text()
    german.page.context.set_offline(False)


def test_the_tables_are_files_of_their_own() -> None:
    for code in wording.codes():
        assert tomllib.loads((wording.FOLDER / f"{code}.toml").read_text(encoding="utf-8"))
