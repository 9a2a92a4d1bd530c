"""What goes wrong is told in human words, with what to do about it."""

from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest

from tests.fakes import encoded, photo
from tests.keyed import key
from tests.page.conftest import Seen, jpeg
from tests.page.service import serving


def file(name: str, buffer: bytes, kind: str = "image/jpeg") -> dict[str, Any]:
    return {"name": name, "mimeType": kind, "buffer": buffer}


def told(seen: Seen) -> str:
    alert = seen.page.get_by_role("alert").filter(has=seen.page.get_by_role("heading"))
    alert.wait_for()
    return str(alert.inner_text())


@pytest.mark.parametrize(
    ("bad", "title", "advice"),
    [
        (file("notes.txt", b"not a photo"), "This is not a photo", "JPEG, PNG, WebP, HEIC"),
        (file("cut.jpg", photo(640, 480)[:2000]), "This photo is damaged", "Send the whole file"),
        (file("empty.jpg", b""), "This file is empty", "Choose another one"),
    ],
    ids=lambda one: one["name"] if isinstance(one, dict) else "",
)
def test_a_bad_file(seen: Seen, bad: dict[str, Any], title: str, advice: str) -> None:
    seen.send(bad)
    said = told(seen)
    assert title in said
    assert advice in said
    assert not seen.page.get_by_role("button", name="Try again").count(), "it would be as bad the next time"
    assert title in seen.page.get_by_role("status").inner_text()


def test_a_photo_with_too_many_pixels(seen: Seen) -> None:
    seen.send(file("huge.png", photo(5000, 3000, "PNG"), "image/png"))
    said = told(seen)
    assert "This photo has too many pixels" in said
    assert "5000 x 3000" in said


def test_a_file_that_is_too_large_is_not_even_sent(seen: Seen) -> None:
    import numpy as np

    noise = np.random.default_rng(0).integers(0, 255, (1000, 1000, 3), np.uint8)
    seen.send(file("noise.png", encoded(noise, "PNG"), "image/png"))
    said = told(seen)
    assert "This file is too large" in said
    assert "It has 2.9 MB; this service takes 1.9 MB." in said
    assert not [one for one in seen.requests if one.startswith("POST")]


def test_the_network_is_off_and_comes_back(seen: Seen) -> None:
    seen.page.context.set_offline(True)
    seen.send(jpeg())
    assert "You are offline" in told(seen)
    assert "Connect to the network" in told(seen)
    seen.page.context.set_offline(False)
    seen.page.get_by_role("button", name="Try again").click()
    seen.answered()
    assert seen.drawn() == ["dent", "scratch"]


def test_the_service_is_gone(visit: Callable[..., Seen], tmp_path: Path) -> None:
    with serving(tmp_path / "log") as (url, process):
        seen = visit(url)
        seen.open()
        process.terminate()
        process.wait(30)
        seen.send(jpeg())
        said = told(seen)
    assert "The service cannot be reached" in said
    assert "Try again in a moment" in said


def test_the_service_stops_in_the_middle_of_a_claim_and_comes_back(visit: Callable[..., Seen], tmp_path: Path) -> None:
    """It is killed as the photos come; each says so, and the whole can be had once it is there again."""
    with serving(tmp_path / "log") as (url, process):
        seen = visit(url)
        seen.open()

        def die(route: Any) -> None:
            process.kill()
            process.wait(30)
            route.continue_()

        seen.page.route("**/v1/inspect/claim?*", die)
        seen.send(jpeg("one.jpg"), jpeg("two.jpg"))
        assert "The service cannot be reached" in told(seen)
        seen.page.locator(".thumb.looking").first.wait_for(state="detached")
        assert seen.page.locator(".thumb.failed").count() == 2
    seen.page.unroute("**/v1/inspect/claim?*")
    with serving(tmp_path / "log", port=urlsplit(url).port):
        seen.page.get_by_role("button", name="Try again").click()
        seen.answered()
        seen.page.get_by_role("button", name="Sum up 2 photos").click()
        seen.page.get_by_role("region", name="All photos together").get_by_text("Audi TTS Coupe 2012").first.wait_for()
    assert seen.page.locator(".thumb.answered").count() == 2


def test_a_service_that_is_busy_says_when_to_come_again(seen: Seen) -> None:
    problem = {
        "code": "overloaded",
        "title": "Too many",
        "detail": "Many photos wait.",
        "status": 503,
        "request_id": "x",
    }
    headers = {"Retry-After": "7", "Content-Type": "application/problem+json"}
    seen.page.route("**/v1/inspect?*", lambda route: route.fulfill(status=503, json=problem, headers=headers))
    seen.send(jpeg())
    assert "The service is busy" in told(seen)
    assert "Try again in 7 seconds" in told(seen)
    seen.page.unroute("**/v1/inspect?*")
    seen.page.get_by_role("button", name="Try again").click()
    seen.answered()


def test_what_a_proxy_says_in_its_own_way_is_told_too(seen: Seen) -> None:
    seen.page.route("**/v1/inspect?*", lambda route: route.fulfill(status=413, body="<html>413</html>"))
    seen.send(jpeg())
    assert "Something between you and the service does not let it through" in told(seen)


@pytest.fixture
def locked(tmp_path: Path) -> Any:
    keys = tmp_path / "keys.toml"
    token = key(keys, "visitor", "predict")
    with serving(tmp_path / "log", keys_file=keys) as (url, _):
        yield url, token


def test_a_key_is_asked_for_once_and_kept_for_the_tab(visit: Callable[..., Seen], locked: tuple[str, str]) -> None:
    url, token = locked
    seen = visit(url)
    seen.page.goto(url)
    seen.page.get_by_text("This service asks for a key.").wait_for()
    assert not seen.page.get_by_role("dialog").is_visible(), "nobody is asked before there is a reason"
    seen.send(jpeg())
    dialog = seen.page.get_by_role("dialog", name="This service asks for a key")
    dialog.wait_for()
    assert seen.page.evaluate("document.activeElement.id") == "key-text"
    seen.page.get_by_label("Key", exact=True).fill("wrong")
    seen.page.keyboard.press("Enter")
    dialog.get_by_text("That key was not accepted").wait_for()
    seen.page.get_by_label("Key", exact=True).fill(token)
    seen.page.get_by_role("button", name="Use this key").click()
    seen.answered()
    assert seen.drawn() == ["dent", "scratch"]
    assert token not in seen.texts(".shell code")[0]
    assert "$CARLENS_KEY" in seen.texts(".shell code")[0]
    seen.page.reload()
    seen.page.locator("#served li").first.wait_for()
    seen.send(jpeg())
    seen.answered()
    assert seen.page.evaluate("[localStorage.length, Object.values(sessionStorage)]") == [0, [token]]
    seen.page.get_by_role("button", name="Forget key").click()
    assert seen.page.evaluate("sessionStorage.length") == 0


def test_who_brings_no_key_is_told_what_is_missing(visit: Callable[..., Seen], locked: tuple[str, str]) -> None:
    seen = visit(locked[0])
    seen.page.goto(locked[0])
    seen.send(jpeg())
    seen.page.get_by_role("dialog").wait_for()
    seen.page.keyboard.press("Escape")
    assert "A key is needed" in told(seen)
    seen.page.get_by_role("button", name="Try again").click()
    seen.page.get_by_label("Key", exact=True).fill(locked[1])
    seen.page.keyboard.press("Enter")
    seen.answered()
