"""`POST /v1/NAME/annotated`: size, formats and their negotiation."""

import io
from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest
from PIL import Image

from app.routes.annotated import encode
from models.drawing import Drawn
from tests.fakes import Brightness, photo
from tests.gateway import JPEG, problem, serving
from tests.http.test_predict import photo_turned

pytestmark = pytest.mark.anyio


@pytest.mark.parametrize(("kind", "name"), [("image/jpeg", "JPEG"), ("image/png", "PNG"), ("image/webp", "WEBP")])
async def test_the_picture_is_the_photo_at_full_size_drawn_on(kind: str, name: str) -> None:
    predictor = Brightness()
    async with serving(predictor) as client:
        response = await client.post(
            "/v1/brightness/annotated", content=photo(640, 400), headers={**JPEG, "Accept": kind}
        )
    assert response.status_code == 200
    assert response.headers["content-type"] == kind
    assert response.headers["vary"] == "Accept"
    assert "draw;dur=" in response.headers["server-timing"]
    picture = Image.open(io.BytesIO(response.content))
    assert (picture.format, picture.size) == (name, (640, 400))
    assert predictor.decoded == (640, 400)
    pixels = np.asarray(picture.convert("RGB")).astype(int)
    assert abs(pixels[10, 300] - [255, 0, 0]).max() < 60  # a thin line, whose colour files blur
    assert abs(pixels[300, 300] - [200, 40, 90]).max() < 12


async def test_the_picture_is_upright() -> None:
    async with serving(Brightness()) as client:
        response = await client.post("/v1/brightness/annotated", content=photo_turned(64, 48), headers=JPEG)
    assert Image.open(io.BytesIO(response.content)).size == (48, 64)


def test_what_webp_cannot_hold_comes_as_jpeg() -> None:
    kind, data = encode("image/webp", np.zeros((1, 16_384, 3), np.uint8))
    assert (kind, data[:2]) == ("image/jpeg", b"\xff\xd8")
    assert encode("image/webp", np.zeros((1, 16_383, 3), np.uint8))[0] == "image/webp"


async def test_options_hold_as_for_the_answer() -> None:
    async with serving(Brightness()) as client:
        response = await client.post("/v1/brightness/annotated?box=9,9,1,1", content=photo(), headers=JPEG)
        assert problem(response) == (422, "invalid_option")
        assert (await client.post("/v1/brightness/annotated?top_k=1", content=photo(), headers=JPEG)).is_success


@pytest.mark.parametrize("step", ["fail_prepare", "fail_run", "fail_finish", "fail_draw"])
async def test_a_failure_is_a_problem_and_no_picture(step: str) -> None:
    predictor = Brightness()
    async with serving(predictor) as client:
        setattr(predictor, step, ValueError("secret"))
        response = await client.post("/v1/brightness/annotated", content=photo(), headers=JPEG)
    assert problem(response) == (500, "prediction_failed")
    assert "secret" not in response.text


async def test_only_what_can_be_drawn_has_the_call() -> None:
    async with serving(Brightness(drawable=False)) as client:
        response = await client.post("/v1/brightness/annotated", content=photo(), headers=JPEG)
        assert problem(response) == (404, "not_found")
        assert "/v1/brightness/annotated" not in (await client.get("/openapi.json")).json()["paths"]


class Captioned(Brightness):
    def __init__(self, name: str, lines: int) -> None:
        super().__init__(name)
        self.lines = lines

    def shapes(self, answer: Any) -> Sequence[Drawn]:
        return ()

    def caption(self, answer: Any) -> list[str]:
        return [f"{self.specification.name} {n}" for n in range(self.lines)]


async def test_captions_of_several_answers_stand_together() -> None:
    """A panel of three lines is higher than one of two, by a line; neither hides the other."""
    heights = {}
    async with serving(Captioned("one", 2), Captioned("two", 1)) as client:
        for tasks in ("one", "two", "one,two"):
            call = f"/v1/inspect/annotated?tasks={tasks}"
            response = await client.post(call, content=photo(640, 400), headers={**JPEG, "Accept": "image/png"})
            pixels = np.asarray(Image.open(io.BytesIO(response.content)).convert("RGB")).astype(int)
            heights[tasks] = int((pixels[:, 12].sum(axis=1) < 200).sum())
    assert heights["one,two"] - heights["one"] == pytest.approx(heights["one"] - heights["two"], abs=2)
    assert heights["one"] > heights["two"] > 10


class Framed(Brightness):
    def shapes(self, answer: Any) -> Sequence[Drawn]:
        color = (255, 0, 0) if self.specification.name == "one" else (0, 0, 255)
        return [Drawn("", box=(40, 40, 600, 360), color=color), Drawn(self.specification.name, box=(40, 40, 90, 90))]


async def test_of_several_answers_the_first_is_on_top() -> None:
    async with serving(Framed("one"), Framed("two")) as client:
        for tasks, top in (("one,two", [255, 0, 0]), ("two,one", [0, 0, 255])):
            call = f"/v1/inspect/annotated?tasks={tasks}"
            response = await client.post(call, content=photo(640, 400), headers={**JPEG, "Accept": "image/png"})
            pixels = np.asarray(Image.open(io.BytesIO(response.content)).convert("RGB"))
            assert pixels[200, 600].tolist() == top
