"""Every way a photo comes in, and every kind of photo."""

import base64
import io
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pillow_heif
import pytest
from PIL import Image

from tests.page.conftest import PHONE, Seen, jpeg

MAKE_FILE = """([name, type, data]) => {
    const bytes = Uint8Array.from(atob(data), (one) => one.charCodeAt(0));
    const transfer = new DataTransfer();
    transfer.items.add(new File([bytes], name, { type }));
    return transfer;
}"""


def transfer(seen: Seen, file: dict[str, Any]) -> Any:
    data = base64.b64encode(file["buffer"]).decode()
    return seen.page.evaluate_handle(MAKE_FILE, [file["name"], file["mimeType"], data])


def halves(width: int, height: int, kind: str, **save: Any) -> bytes:
    """Red, with its upper half dark, so that up is known."""
    pixels = np.full((height, width, 3), (200, 30, 30), np.uint8)
    pixels[: height // 2] = (90, 0, 0)
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, kind, **save)
    return file.getvalue()


def test_the_empty_page_says_what_it_is_for(seen: Seen) -> None:
    assert seen.page.get_by_role("heading", level=1).inner_text() == "See what a photo says about the car"
    assert "Damage on a car: where, what, and its outline" in seen.texts("#served li")
    assert "Rust, by weights of one's own" in seen.texts("#served li"), "what the page does not know says it itself"
    assert seen.texts("#terms") == ["The weights of the models: Apache-2.0."]
    assert not seen.page.locator("#look").is_visible()


def test_chosen(seen: Seen) -> None:
    with seen.page.expect_file_chooser() as chooser:
        seen.page.get_by_role("button", name="Choose photos").click()
    assert chooser.value.is_multiple()
    chooser.value.set_files([jpeg("chosen.jpg")])
    seen.answered()
    assert seen.page.get_by_role("heading", name="chosen.jpg").is_visible()
    assert seen.drawn() == ["dent", "scratch"]


def test_dropped(seen: Seen) -> None:
    given = transfer(seen, jpeg("dropped.jpg"))
    seen.page.dispatch_event("#drop", "dragenter", {"dataTransfer": given})
    assert seen.page.locator("body.dragging").count() == 1
    seen.page.dispatch_event("#drop", "drop", {"dataTransfer": given})
    assert seen.page.locator("body.dragging").count() == 0
    seen.answered()
    assert seen.page.get_by_role("heading", name="dropped.jpg").is_visible()
    assert seen.drawn() == ["dent", "scratch"]


def test_pasted(seen: Seen) -> None:
    script = "(given) => document.dispatchEvent(new ClipboardEvent('paste', { clipboardData: given, bubbles: true }))"
    transfer(seen, jpeg("pasted.jpg")).evaluate(script)
    seen.answered()
    assert seen.page.get_by_role("heading", name="pasted.jpg").is_visible()
    assert seen.drawn() == ["dent", "scratch"]


def test_taken_with_the_phones_camera(visit: Callable[..., Seen], service: str) -> None:
    seen = visit(service, **PHONE)
    seen.open()
    with seen.page.expect_file_chooser() as chooser:
        seen.page.get_by_role("button", name="Take a photo").tap()
    assert chooser.value.element.get_attribute("capture") == "environment"
    chooser.value.set_files([jpeg("shot.jpg")])
    seen.answered()
    assert seen.drawn() == ["dent", "scratch"]


def test_a_laptop_is_offered_no_camera(seen: Seen) -> None:
    assert not seen.page.get_by_role("button", name="Take a photo").is_visible()


def test_the_example_is_one_click_away(seen: Seen) -> None:
    seen.page.get_by_role("button", name="Try this drawing").click()
    seen.answered()
    assert seen.page.get_by_role("heading", name="example.webp").is_visible()
    assert seen.page.locator(".card .verdict").count() == 1


def test_starting_over_leaves_nothing(seen: Seen) -> None:
    seen.send(jpeg())
    seen.answered()
    seen.page.get_by_role("button", name="Start over").click()
    assert not seen.page.locator("#look").is_visible()
    assert seen.page.get_by_role("button", name="Try this drawing").is_visible()
    assert seen.page.evaluate("document.activeElement.id") == "choose"


@pytest.mark.parametrize("size", [(640, 480), (4000, 3000)])
def test_a_photo_that_the_camera_turned_is_upright_and_its_shapes_with_it(seen: Seen, size: tuple[int, int]) -> None:
    width, height = size
    exif = Image.Exif()
    exif[0x0112] = 6  # the file's left edge is up
    seen.send({"name": "turned.jpg", "mimeType": "image/jpeg", "buffer": halves(width, height, "JPEG", exif=exif)})
    seen.answered()
    frame = seen.page.locator(".frame").bounding_box()
    assert abs(frame["height"] / frame["width"] - width / height) < 0.02, "it stands"
    assert seen.page.locator(".over").get_attribute("viewBox") == f"0 0 {height} {width}"
    dent = seen.page.locator('.find[data-label="dent"] .mask').bounding_box()
    assert abs((dent["y"] - frame["y"]) / frame["height"] - 0.2) < 0.02


def test_a_photo_that_the_browser_cannot_show_is_shown_as_the_service_sees_it(seen: Seen) -> None:
    pillow_heif.register_heif_opener()
    seen.send({"name": "phone.heic", "mimeType": "image/heic", "buffer": halves(640, 480, "HEIF")})
    seen.answered()
    seen.page.wait_for_function("() => document.querySelector('.frame img')?.naturalWidth === 640")
    assert seen.drawn() == ["dent", "scratch"]
    assert "POST /v1/damage/annotated?min_score=1&max_detections=1&masks=none" in seen.requests
    assert brightness(seen) == pytest.approx((30, 87), abs=12), "upright, and without shapes of its own"


def brightness(seen: Seen) -> Any:
    """The mean of the picture's upper and lower half, without what is drawn over it."""
    return seen.page.locator(".frame img").evaluate(
        """(image) => {
            const canvas = new OffscreenCanvas(image.naturalWidth, image.naturalHeight);
            const pen = canvas.getContext("2d", { willReadFrequently: true });
            pen.drawImage(image, 0, 0);
            const half = image.naturalHeight / 2;
            return [0, half].map((top) => {
                const { data } = pen.getImageData(0, top, image.naturalWidth, half);
                let sum = 0;
                for (let at = 0; at < data.length; at += 4) sum += data[at] + data[at + 1] + data[at + 2];
                return sum / data.length / 0.75;
            });
        }"""
    )


@pytest.mark.parametrize("width", [360, 390, 768, 1440])
def test_no_width_scrolls_sideways(visit: Callable[..., Seen], service: str, width: int) -> None:
    seen = visit(service, viewport={"width": width, "height": 800})
    seen.open()
    assert overflow(seen) == 0
    long = "a-name-that-somebody-made-much-too-long-for-any-telephone-" * 3
    seen.send(jpeg(f"{long}.jpg"), jpeg("other.jpg"))
    seen.answered()
    assert overflow(seen) == 0


def overflow(seen: Seen) -> Any:
    return seen.page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth")


def test_behind_a_proxy_that_adds_a_prefix_all_addresses_hold(visit: Callable[..., Seen], service: str) -> None:
    seen = visit("http://proxy.test/cars/")
    asked: list[str] = []

    def passed_on(route: Any) -> None:
        asked.append(route.request.url)
        route.fulfill(response=route.fetch(url=route.request.url.replace("http://proxy.test/cars/", service)))

    seen.page.route("http://proxy.test/**", passed_on)
    seen.open()
    seen.send(jpeg())
    seen.answered()
    assert all(url.startswith("http://proxy.test/cars/") for url in asked)
    assert seen.drawn() == ["dent", "scratch"]
    assert "http://proxy.test/cars/v1/inspect" in seen.texts(".shell code")[0]


def test_nothing_of_a_photo_is_kept_by_the_page(seen: Seen, tmp_path: Path) -> None:
    seen.send(jpeg())
    seen.answered()
    kept = seen.page.evaluate("[localStorage.length, sessionStorage.length, document.cookie]")
    assert kept == [0, 0, ""]
