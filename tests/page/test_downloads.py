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


def test_masks_are_offered_where_the_service_has_them(visit: Callable[..., Seen], service: str) -> None:
    seen = visit(service)

    def served(route: Any) -> None:
        told = route.fetch().json()
        for name, model in told["models"].items():
            model["calls"] = ["annotated", "masks"] if name == "damage" else ["annotated"]
        route.fulfill(json=told)

    file = io.BytesIO()
    Image.new("P", (4, 4)).save(file, "PNG")
    seen.page.route("**/page/served", served)
    seen.page.route("**/v1/damage/masks", lambda route: route.fulfill(body=file.getvalue(), content_type="image/png"))
    seen.open()
    seen.send(jpeg())
    seen.answered()
    assert seen.page.get_by_role("button", name="Masks: Parts").count() == 0
    assert download(seen, "Masks: Damage") == ("car-damage-masks.png", file.getvalue())
    assert seen.requests[-1] == "POST /v1/damage/masks"


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
