"""What can be taken away: the picture, masks, the answer, the call."""

import io
import json
import shlex
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from tests.page.conftest import LAPTOP, Seen, jpeg


def download(seen: Seen, name: str) -> tuple[str, bytes]:
    with seen.page.expect_download() as coming:
        seen.page.get_by_role("button", name=name, exact=True).click()
    return coming.value.suggested_filename, Path(coming.value.path()).read_bytes()


def test_the_picture_has_what_is_shown_drawn_on_it(seen: Seen) -> None:
    seen.send(jpeg())
    seen.answered()
    name, data = download(seen, "Picture")
    assert name == "car-annotated.jpg"
    pixels = np.asarray(Image.open(io.BytesIO(data)).convert("RGB"), np.int16)
    assert pixels.shape == (480, 640, 3)
    assert np.abs(pixels[168, 160] - pixels[460, 20]).sum() > 40, "the dent is filled"
    assert seen.requests[-1] == "POST /v1/damage/annotated"
    seen.page.get_by_role("slider", name="Show").fill("80")
    seen.page.get_by_role("checkbox", name="Parts 2").check()
    download(seen, "Picture")
    assert seen.requests[-1] == "POST /v1/inspect/annotated?tasks=damage,parts&min_score=0.8"


def test_the_answer_is_what_the_service_said(seen: Seen) -> None:
    seen.send(jpeg())
    seen.answered()
    name, data = download(seen, "Answer as JSON")
    answer = json.loads(data)
    assert name == "car.json"
    assert [one["label"] for one in answer["results"]["damage"]["detections"]] == ["dent", "scratch"]
    assert answer["image"]["width"] == 640


def test_the_answer_and_the_call_follow_the_slider(seen: Seen) -> None:
    seen.send(jpeg())
    seen.answered()
    assert seen.page.locator(".shell code").inner_text().endswith("/v1/inspect")
    seen.page.get_by_role("slider", name="Show").fill("80")
    assert seen.page.locator(".shell code").inner_text().endswith("/v1/inspect?min_score=0.8'")
    _, data = download(seen, "Answer as JSON")
    assert [one["label"] for one in json.loads(data)["results"]["damage"]["detections"]] == ["dent"]


def test_masks_are_those_of_what_is_shown(seen: Seen) -> None:
    seen.send(jpeg())
    seen.answered()
    name, data = download(seen, "Masks: Damage")
    assert name == "car-damage-masks.png"
    masks = Image.open(io.BytesIO(data))
    assert (masks.mode, masks.size) == ("P", (640, 480))
    pixels = np.asarray(masks)
    dent, scratch = pixels[168, 160], pixels[288, 416]
    assert len({0, int(dent), int(scratch)}) == 3, "each class has its number, and the ground has none"
    palette = masks.getpalette() or []
    assert palette[3 * dent : 3 * dent + 3] == [0xE6, 0x9F, 0x00], "in the colour that the page draws it"
    seen.page.get_by_role("slider", name="Show").fill("80")
    _, data = download(seen, "Masks: Damage")
    assert set(np.unique(np.asarray(Image.open(io.BytesIO(data))))) == {0, dent}


def test_masks_are_offered_where_the_service_has_them(visit: Callable[..., Seen], service: str) -> None:
    seen = visit(service)

    def served(route: Any) -> None:
        told = route.fetch().json()
        told["models"]["damage"]["calls"] = ["annotated"]
        route.fulfill(json=told)

    seen.page.route("**/page/served", served)
    seen.open()
    seen.send(jpeg())
    seen.answered()
    assert [text for text in seen.texts(".buttons button") if "Masks" in text] == ["Masks: Parts"]


def test_the_call_can_be_copied_and_asks_the_same(visit: Callable[..., Seen], service: str, tmp_path: Path) -> None:
    seen = visit(service, **LAPTOP, permissions=["clipboard-read", "clipboard-write"])
    seen.open()
    photo = jpeg("it's my car.jpg")
    seen.send(photo)
    seen.answered()
    seen.page.get_by_role("button", name="Copy").click()
    seen.page.get_by_role("button", name="Copied").wait_for()
    line = seen.page.evaluate("navigator.clipboard.readText()")
    assert line == seen.texts(".shell code")[0]
    (tmp_path / photo["name"]).write_bytes(photo["buffer"])
    done = subprocess.run([*shlex.split(line), "-sS"], cwd=tmp_path, capture_output=True, check=True)
    assert json.loads(done.stdout)["results"]["damage"]["damaged"] is True


def test_a_download_that_fails_says_why(seen: Seen) -> None:
    seen.send(jpeg())
    seen.answered()
    seen.page.context.set_offline(True)
    seen.page.get_by_role("button", name="Picture", exact=True).click()
    seen.page.get_by_role("alert").filter(has_text="You are offline").wait_for()
    seen.page.context.set_offline(False)
