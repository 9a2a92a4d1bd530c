"""Several photos: one claim whose answers come as they are ready, or each by itself; the strip; all together."""

import json
import re
from collections.abc import Callable
from typing import Any

import httpx
import pytest

from tests.page.axe import amiss
from tests.page.conftest import BLUE, RED, Seen, jpeg

CLAIM: dict[str, Any] = {
    "request_id": "5f3c2f9e8d0b4a53",
    "models": {},
    "claim": {
        "vehicle": {
            "recognised": True,
            "best": {"label": "Audi TTS Coupe 2012", "score": 0.97},
            "candidates": [{"label": "Audi TTS Coupe 2012", "score": 0.97}, {"label": "BMW Z4 2012", "score": 0.02}],
        },
        "color": {"label": "red", "score": 0.98, "agreed": True},
        "type": {"label": "sedan", "score": 0.6, "agreed": False},
        "views": {"covered": {"front_left": [0], "back": [1]}, "missing": ["left", "right"]},
        "damaged": True,
        "damages": [
            {"label": "dent", "view": "front_left", "photos": [0], "count": 1},
            {"label": "scratch", "view": None, "photos": [0, 1], "count": 2},
        ],
        "one_vehicle": False,
        "doubts": [{"reason": "color", "text": "Photo 2 shows a blue car.", "photos": [1]}],
    },
    "timings_ms": {"total": 812.0},
}
THREE = [
    jpeg("front.jpg", RED),
    jpeg("back.jpg", BLUE),
    {"name": "notes.txt", "mimeType": "text/plain", "buffer": b"x"},
]
BAD = {"code": "unsupported_media_type", "title": "?", "detail": "No photo.", "status": 415, "request_id": "x"}


def all_settled(seen: Seen) -> None:
    seen.page.locator("#title").wait_for()
    seen.page.locator(".thumb.waiting, .thumb.looking, #answer[aria-busy=true]").first.wait_for(state="detached")
    seen.settled()


def can(seen: Seen, claims: bool) -> None:
    """The service tells the page that it answers claims, or that it does not."""

    def served(route: Any) -> None:
        told = route.fetch().json()
        told["calls"] = ["inspect", "inspect/annotated", *(["inspect/claim"] if claims else [])]
        route.fulfill(json=told)

    seen.page.route("**/page/served", served)


@pytest.fixture
def claims(visit: Callable[..., Seen], service: str) -> Seen:
    """A page whose service answers claims with the literal events, the last photo first."""
    seen = visit(service)
    can(seen, claims=True)
    entries: list[dict[str, Any]] = []
    for index, one in enumerate(THREE[:2]):
        told = httpx.post(f"{service}v1/inspect", files={"file": one["buffer"]}).json()
        entries.append({**told, "index": index, "file": one["name"], "problem": None})
    entries.append({"index": 2, "file": "notes.txt", "image": None, "results": {}, "problems": {}, "problem": BAD})

    def answer(route: Any) -> None:
        assert route.request.headers["accept"] == "text/event-stream"
        sent = route.request.post_data_buffer
        assert [sent.count(f'filename="{one["name"]}"'.encode()) for one in THREE] == [1, 1, 1]
        assert sent.count(b'name="file"') == 3
        events = [("photo", one) for one in reversed(entries)] + [("claim", CLAIM)]
        body = "".join(f"event: {name}\ndata: {json.dumps(data)}\n\n" for name, data in events)
        route.fulfill(body=body, content_type="text/event-stream")

    seen.page.route("**/v1/inspect/claim?*", answer)
    seen.open()
    return seen


def test_a_claim_answers_every_photo_and_sums_them_up(claims: Seen) -> None:
    claims.send(*THREE)
    all_settled(claims)
    assert not [one for one in claims.requests if one.startswith("POST /v1/inspect?")]
    classes = claims.page.locator(".thumb").evaluate_all("all => all.map(one => one.className.split(' ')[1])")
    assert classes == ["answered", "answered", "failed"]
    assert claims.drawn() == ["dent", "scratch"]
    summary = claims.page.get_by_role("region", name="All photos together")
    text = summary.inner_text()
    assert re.search(r"Audi TTS Coupe 2012\s+Recognised", text)
    assert re.search(r"BMW Z4 2012\s+2%", text)
    assert "Red 98% · sedan 60%, not agreed" in text
    assert "No photo from: left, right." in text
    assert re.search(r"Front left\s+1 \u00d7 dent\s+#1", text)
    assert re.search(r"View not clear\s+2 \u00d7 scratch\s+#1\s*#2", text)
    assert "Photo 2 shows a blue car." in text
    assert "812 ms" in text
    views = claims.page.get_by_role("img", name="Views with photos: front left, back. Missing: left, right.")
    assert views.is_visible()
    assert views.locator(".covered").count() == 2
    assert views.locator(".missing").count() == 2
    assert "v1/inspect/claim" in summary.locator(".shell code").inner_text()


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_axe_finds_nothing_in_the_summary(claims: Seen, scheme: Any) -> None:
    claims.page.emulate_media(color_scheme=scheme, reduced_motion="reduce")
    claims.send(*THREE)
    all_settled(claims)
    claims.page.get_by_role("region", name="All photos together").wait_for()
    assert not amiss(claims)


def test_the_summary_leads_to_the_photo_it_speaks_of(claims: Seen) -> None:
    claims.send(*THREE)
    all_settled(claims)
    claims.page.locator(".doubts").get_by_role("button", name="Photo 2").click()
    assert claims.page.get_by_role("heading", name="back.jpg").is_visible()
    assert claims.drawn() == []


def test_a_claim_that_fails_leaves_the_photos_to_be_asked_for_one_by_one(
    visit: Callable[..., Seen], service: str
) -> None:
    seen = visit(service)
    can(seen, claims=True)
    told = {"code": "prediction_failed", "title": "?", "detail": "?", "status": 500, "request_id": "x"}
    broken = f"event: problem\ndata: {json.dumps(told)}\n\n"
    seen.page.route("**/v1/inspect/claim?*", lambda route: route.fulfill(body=broken, content_type="text/event-stream"))
    seen.open()
    seen.send(*THREE[:2])
    all_settled(seen)
    assert seen.requests.count("POST /v1/inspect?min_score=0.2") == 2
    assert seen.drawn() == ["dent", "scratch"]
    assert seen.page.get_by_role("button", name="Sum up 2 photos").is_visible(), "it may be tried again"


@pytest.fixture
def alone(visit: Callable[..., Seen], service: str) -> Seen:
    """A page whose service answers no claims."""
    seen = visit(service)
    can(seen, claims=False)
    seen.open()
    return seen


def test_without_claims_each_photo_is_asked_for_by_itself(alone: Seen) -> None:
    alone.send(*THREE)
    all_settled(alone)
    assert alone.requests.count("POST /v1/inspect?min_score=0.2") == 3
    assert alone.page.locator("#rollup .card").count() == 0
    assert alone.drawn() == ["dent", "scratch"]


def test_the_strip_goes_from_one_to_the_next(alone: Seen) -> None:
    alone.send(*THREE)
    all_settled(alone)
    second = alone.page.get_by_role("button", name="Photo 2, back.jpg: answered")
    second.click()
    assert second.get_attribute("aria-current") == "true"
    assert "No damage that is sure enough" in alone.texts("#answer .card")[0]
    alone.page.keyboard.press("ArrowRight")
    third = alone.page.get_by_role("button", name="Photo 3, notes.txt: not answered")
    assert third.evaluate("one => one === document.activeElement")
    assert "This is not a photo" in alone.page.get_by_role("alert").first.inner_text()
    alone.page.keyboard.press("Home")
    assert alone.page.get_by_role("heading", name="front.jpg").is_visible()
    assert alone.drawn() == ["dent", "scratch"]


def test_a_photo_can_be_added_and_all_be_summed_up_then(claims: Seen) -> None:
    for one in THREE:
        claims.send(one)
        all_settled(claims)
    assert "POST /v1/inspect/claim?min_score=0.2" not in claims.requests, "what is added is asked for alone"
    claims.page.get_by_role("button", name="Sum up 3 photos").click()
    claims.page.get_by_text("Every side is covered.").or_(claims.page.get_by_text("No photo from")).wait_for()
    assert claims.requests.count("POST /v1/inspect/claim?min_score=0.2") == 1


def test_the_switches_hold_for_every_photo(alone: Seen) -> None:
    alone.send(jpeg("one.jpg"), jpeg("two.jpg"))
    all_settled(alone)
    alone.page.get_by_role("checkbox", name="dent 1").uncheck()
    alone.page.get_by_role("button", name=re.compile("Photo 2")).click()
    alone.page.get_by_role("heading", name="two.jpg").wait_for()
    alone.settled()
    assert alone.drawn() == ["scratch"]


def test_a_real_claim(seen: Seen) -> None:
    """Answered by the service itself: a damaged car, a sound one of another colour, and no photo."""
    seen.send(*THREE)
    all_settled(seen)
    assert seen.requests == ["POST /v1/inspect/claim?min_score=0.2"]
    classes = seen.page.locator(".thumb").evaluate_all("all => all.map(one => one.className.split(' ')[1])")
    assert classes == ["answered", "answered", "failed"]
    assert seen.drawn() == ["dent", "scratch"]
    text = seen.page.get_by_role("region", name="All photos together").inner_text()
    assert re.search(r"Audi TTS Coupe 2012\s+Recognised", text)
    assert "No photo from: back, right." in text
    assert re.search(r"Front left\s+1 \u00d7 dent\s+#1\s+1 \u00d7 scratch\s+#1", text)
    assert "crack" not in text, "what is faint is on the photo, and no damage of the car"
    assert re.search(r"Doubts\s+The photos seem to show vehicles of different colors", text)
    seen.page.locator(".doubts").get_by_role("button", name="Photo 2").click()
    assert seen.page.get_by_role("heading", name="back.jpg").is_visible()
