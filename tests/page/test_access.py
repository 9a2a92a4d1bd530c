"""Anybody can use it: by keyboard alone, with a screen reader, in the dark, on a phone; axe finds nothing amiss."""

from collections.abc import Callable
from typing import Any

import pytest

from tests.page.axe import amiss
from tests.page.conftest import LAPTOP, PHONE, Seen, jpeg

LIKE: dict[str, dict[str, Any]] = {
    "laptop": LAPTOP,
    "dark": {**LAPTOP, "color_scheme": "dark"},
    "phone": PHONE,
    "dark phone": {**PHONE, "color_scheme": "dark"},
}


@pytest.fixture(params=list(LIKE))
def opened(request: pytest.FixtureRequest, visit: Callable[..., Seen], service: str) -> Seen:
    seen = visit(service, **LIKE[request.param], reduced_motion="reduce")
    seen.open()
    return seen


def test_axe_finds_nothing_on_the_empty_page(opened: Seen) -> None:
    assert not amiss(opened)


def test_axe_finds_nothing_beside_an_answer(opened: Seen) -> None:
    opened.send(jpeg(), jpeg("other.jpg"))
    opened.answered()
    for name in ("Parts 2", "Boxes around outlines"):
        opened.page.get_by_role("checkbox", name=name).check()
    opened.page.get_by_text("Where the time went").click()
    opened.page.get_by_text("By make").click()
    opened.page.get_by_role("button", name="Severe dent on the hood").click()
    assert not amiss(opened)


def test_axe_finds_nothing_where_something_went_wrong(opened: Seen) -> None:
    opened.send({"name": "notes.txt", "mimeType": "text/plain", "buffer": b"not a photo"})
    opened.page.get_by_role("alert").filter(has_text="This is not a photo").wait_for()
    assert not amiss(opened)


def test_axe_finds_nothing_while_a_key_is_asked_for(opened: Seen) -> None:
    problem = {"code": "unauthenticated", "title": "?", "detail": "?", "status": 401, "request_id": "x"}
    opened.page.route("**/v1/inspect?*", lambda route: route.fulfill(status=401, json=problem))
    opened.send(jpeg())
    opened.page.get_by_role("dialog").wait_for()
    assert not amiss(opened)


def test_dark_is_dark(visit: Callable[..., Seen], service: str) -> None:
    shades = {}
    for scheme in ("light", "dark"):
        seen = visit(service, **LAPTOP, color_scheme=scheme)
        seen.open()
        script = "getComputedStyle(document.body).backgroundColor.match(/\\d+/g).slice(0, 3).map(Number)"
        shades[scheme] = sum(seen.page.evaluate(script))
    assert shades["dark"] < 100 < 600 < shades["light"]


def focused(seen: Seen) -> str:
    script = """() => {
        const one = document.activeElement;
        const named = one.getAttribute("aria-label") ?? one.labels?.[0]?.innerText ?? one.innerText;
        return named.replace(/\\s+/g, " ").trim();
    }"""
    return str(seen.page.evaluate(script))


def tabbed(seen: Seen, number: int) -> list[str]:
    order = []
    for _ in range(number):
        seen.page.keyboard.press("Tab")
        order.append(focused(seen))
    return order


def test_the_keyboard_alone_is_enough(seen: Seen) -> None:
    assert tabbed(seen, 6) == [
        "Skip to the photos",
        "carlens",
        "Try the API",
        "Reference",
        "Choose photos",
        "No photo at hand? Try this drawing.",
    ]
    seen.page.keyboard.press("Enter")
    seen.answered()
    assert seen.page.evaluate("document.activeElement.id") == "title", "what had the focus is gone; the photo has it"
    assert tabbed(seen, 3) == ["Closer", "Farther", "Whole photo"]
    assert tabbed(seen, 5) == ["Damage 2", "dent 1", "scratch 1", "Parts 2", "Show"]
    seen.page.get_by_role("checkbox", name="dent 1").focus()
    seen.page.keyboard.press("Space")
    assert seen.drawn() == ["scratch"]
    seen.page.get_by_role("slider").focus()
    for _ in range(40):
        seen.page.keyboard.press("ArrowLeft")
    assert seen.drawn() == ["crack", "scratch"]


def test_the_skip_link_leads_past_the_header(seen: Seen) -> None:
    seen.page.keyboard.press("Tab")
    link = seen.page.get_by_role("link", name="Skip to the photos")
    assert link.bounding_box()["y"] >= 0, "it shows once it has the focus"
    seen.page.keyboard.press("Enter")
    assert tabbed(seen, 1) == ["Choose photos"]


def test_the_focus_is_always_to_be_seen(seen: Seen) -> None:
    seen.send(jpeg())
    seen.answered()
    for _ in range(12):
        seen.page.keyboard.press("Tab")
        ring = seen.page.evaluate(
            """() => [document.activeElement, document.activeElement.closest("label")]
                .map((one) => one && getComputedStyle(one))
                .some((style) => style && style.outlineStyle !== "none" && parseFloat(style.outlineWidth) > 0)"""
        )
        assert ring, focused(seen)


def test_a_screen_reader_hears_what_happens(seen: Seen) -> None:
    status = seen.page.locator("#status")
    seen.page.evaluate(
        """() => {
            globalThis.heard = [];
            const status = document.querySelector("[role=status]");
            new MutationObserver(() => heard.push(status.textContent)).observe(status, { childList: true });
        }"""
    )
    seen.send(jpeg())
    seen.answered()
    heard = seen.page.evaluate("heard")
    assert heard == ["Looking at 1 photo.", "car.jpg is answered. 2 damages. Audi TTS Coupe 2012"]
    assert status.inner_text() == heard[-1]
    assert seen.page.get_by_role("img", name="Photo. Marked: Damage 2").is_visible()


def test_the_page_has_its_landmarks(seen: Seen) -> None:
    seen.send(jpeg(), jpeg("other.jpg"))
    seen.answered()
    for role, name in (
        ("banner", None),
        ("main", None),
        ("contentinfo", None),
        ("navigation", "Service"),
        ("navigation", "Photos"),
        ("region", "Photos and answers"),
        ("region", "Damage"),
    ):
        found = seen.page.get_by_role(role, **({"name": name, "exact": True} if name else {}))
        assert found.count() == 1, (role, name)
