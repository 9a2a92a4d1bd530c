"""`POST /v1/NAME/masks`: what the pixels say against what the JSON answer says, in both forms."""

import io
import json
import math
import threading
import zipfile
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from models.outlines import inside
from tests.fakes import LEGEND, Brightness, Outlined, Outliner, OutlinerAnswer, photo
from tests.gateway import JPEG, application, problem, running, serving
from tests.http.test_predict import photo_turned

pytestmark = pytest.mark.anyio

ZIP = {**JPEG, "Accept": "application/zip"}
LABELS = list(LEGEND)


def round_(label: str, score: float, x: float, y: float, radius: float) -> Outlined:
    """A thing with the outline of a circle, of 60 corners."""
    turns = [2 * math.pi * n / 60 for n in range(60)]
    ring = [round(value, 1) for a in turns for value in (x + radius * math.cos(a), y + radius * math.sin(a))]
    return Outlined(label=label, score=score, polygons=[ring])


def opened(content: bytes) -> Image.Image:
    picture = Image.open(io.BytesIO(content))
    assert picture.format == "PNG"
    return picture


def pixels(content: bytes) -> NDArray[np.uint8]:
    return np.asarray(opened(content))


def said(shape: tuple[int, ...], things: list[dict[str, Any]], labels: list[str]) -> NDArray[np.uint8]:
    """The index that each pixel should have by the JSON answer: that of the surest thing whose outlines hold its
    centre. `inside` is the rule that joins go by, and another way than the picture's own."""
    wanted = np.zeros(shape, np.uint8)
    columns, rows = (np.arange(side, dtype=np.float64) + 0.5 for side in (shape[1], shape[0]))
    for thing in sorted(things, key=lambda one: -float(one["score"]))[::-1]:
        wanted[inside(thing["polygons"], columns, rows)] = 1 + labels.index(thing["label"])
    return wanted


async def test_every_pixel_has_the_class_that_the_answer_says() -> None:
    things = [round_("dent", 0.9, 200, 150, 80), round_("crack", 0.8, 260, 160, 70), round_("dent", 0.4, 500, 300, 60)]
    async with serving(Outliner(*things)) as client:
        answer = (await client.post("/v1/outliner", content=photo(640, 400), headers=JPEG)).json()
        response = await client.post("/v1/outliner/masks", content=photo(640, 400), headers=JPEG)
    assert response.status_code == 200
    assert response.headers["content-type"] == "image/png"
    assert response.headers["vary"] == "Accept"
    steps = ["receive", "decode", "prepare", "queue", "device", "finish", "draw", "total"]
    assert [part.split(";")[0] for part in response.headers["server-timing"].split(", ")] == steps
    picture = pixels(response.content)
    assert picture.shape == (400, 640)
    assert np.array_equal(picture, said(picture.shape, answer["result"]["things"], LABELS))
    assert set(np.unique(picture)) == {0, 1, 3}
    assert picture[150, 230] == 1  # both dent and crack are there; the dent is surer


async def test_the_picture_tells_its_legend() -> None:
    async with serving(Outliner(round_("scratch", 0.9, 30, 24, 9))) as client:
        response = await client.post("/v1/outliner/masks", content=photo(64, 48), headers=JPEG)
        document = (await client.get("/openapi.json")).json()
    picture = opened(response.content)
    assert picture.mode == "P"
    assert json.loads(picture.info["legend"]) == [
        {"index": 1, "label": "dent", "color": "#E69F00"},
        {"index": 2, "label": "scratch", "color": "#009EE0"},
        {"index": 3, "label": "crack", "color": "#D53E4F"},
    ]
    assert picture.convert("RGB").getpixel((30, 24)) == LEGEND["scratch"]
    assert picture.convert("RGB").getpixel((0, 0)) == (0, 0, 0)
    operation = document["paths"]["/v1/outliner/masks"]["post"]
    assert "1 `dent` #E69F00, 2 `scratch` #009EE0" in operation["responses"]["200"]["description"]
    assert set(operation["responses"]["200"]["content"]) == {"image/png", "application/zip"}
    assert {one["name"] for one in operation["parameters"] if one["in"] == "query"} == {"min_score", "version"}


async def test_an_archive_holds_the_answer_the_classes_and_each_mask() -> None:
    things = [round_("dent", 0.9, 200, 150, 80), round_("scratch", 0.8, 260, 160, 70)]
    async with serving(Outliner(*things)) as client:
        plain = await client.post("/v1/outliner/masks", content=photo(640, 400), headers=JPEG)
        response = await client.post("/v1/outliner/masks", content=photo(640, 400), headers=ZIP)
    assert response.headers["content-type"] == "application/zip"
    packed = zipfile.ZipFile(io.BytesIO(response.content))
    assert packed.testzip() is None
    assert set(packed.namelist()) == {"answer.json", "classes.png", "00_dent.png", "01_scratch.png"}
    answer = json.loads(packed.read("answer.json"))
    assert answer["request_id"] == response.headers["x-request-id"]
    assert answer["image"] == {"width": 640, "height": 400, "format": "JPEG", "exif_orientation": 1}
    assert OutlinerAnswer.model_validate(answer["result"]).things == things
    assert packed.read("classes.png") == plain.content
    for name, thing in zip(("00_dent.png", "01_scratch.png"), things, strict=True):
        mask = pixels(packed.read(name))
        assert mask.shape == (400, 640)
        assert set(np.unique(mask)) == {0, 255}
        assert np.array_equal(mask > 0, said(mask.shape, [thing.model_dump()], [thing.label]) > 0)


@pytest.mark.parametrize(
    ("accept", "kind"),
    [
        ("", "image/png"),
        ("*/*", "image/png"),
        ("image/*", "image/png"),
        ("image/jpeg", "image/png"),
        ("application/zip", "application/zip"),
        ("application/*", "application/zip"),
        ("image/png;q=0.5, application/zip", "application/zip"),
        ("application/zip;q=0.5, image/*", "image/png"),
        ("image/png;q=0, */*;q=0.1", "application/zip"),
    ],
)
async def test_accept_says_which_form(accept: str, kind: str) -> None:
    async with serving(Outliner()) as client:
        response = await client.post("/v1/outliner/masks", content=photo(), headers={**JPEG, "Accept": accept})
    assert response.headers["content-type"] == kind


async def test_nothing_found_is_a_picture_of_nothing() -> None:
    async with serving(Outliner()) as client:
        plain = await client.post("/v1/outliner/masks", content=photo(64, 48), headers=JPEG)
        packed = await client.post("/v1/outliner/masks", content=photo(64, 48), headers=ZIP)
    assert pixels(plain.content).shape == (48, 64)
    assert not pixels(plain.content).any()
    assert json.loads(opened(plain.content).info["legend"])[0]["label"] == "dent"
    assert zipfile.ZipFile(io.BytesIO(packed.content)).namelist() == ["answer.json", "classes.png"]


async def test_masks_are_upright() -> None:
    async with serving(Outliner(round_("dent", 0.9, 10, 50, 8))) as client:
        response = await client.post("/v1/outliner/masks", content=photo_turned(64, 48), headers=JPEG)
    picture = pixels(response.content)
    assert picture.shape == (64, 48)
    assert picture[50, 10] == 1
    assert not picture[:40].any()


async def test_a_wide_photo_has_masks_of_its_own_size_and_is_decoded_no_finer_than_needed() -> None:
    wide = [round_("crack", 0.9, 8100, 200, 60), round_("dent", 0.5, 60, 60, 50)]
    predictor = Outliner(*wide)
    async with serving(predictor) as client:
        response = await client.post("/v1/outliner/masks", content=photo(8192, 320), headers=JPEG)
    picture = pixels(response.content)
    assert picture.shape == (320, 8192)
    assert np.array_equal(picture, said(picture.shape, [one.model_dump() for one in wide], LABELS))
    assert (picture[200, 8100], picture[60, 60]) == (3, 1)
    assert predictor.decoded == (1024, 40)


async def test_options_hold_as_for_the_answer_but_for_how_masks_are_written() -> None:
    things = [round_("dent", 0.9, 20, 20, 9), round_("crack", 0.3, 40, 20, 9)]
    async with serving(Outliner(*things)) as client:
        sure = await client.post("/v1/outliner/masks?min_score=0.5", content=photo(), headers=JPEG)
        assert set(np.unique(pixels(sure.content))) == {0, 1}
        for query in ("masks=none", "min_score=2", "min_score=0.1&min_score=0.2", "nonsense=1"):
            response = await client.post(f"/v1/outliner/masks?{query}", content=photo(), headers=JPEG)
            assert problem(response) == (422, "invalid_option")
        named = await client.post("/v1/outliner/masks?version=1.0.0", content=photo(), headers=JPEG)
        assert named.is_success
        other = await client.post("/v1/outliner/masks?version=9", content=photo(), headers=JPEG)
        assert problem(other) == (404, "unknown_model")


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        (b"not a photo", (415, "unsupported_media_type")),
        (b"", (400, "empty_image")),
        (photo()[:200], (422, "undecodable_image")),
        (photo(300, 20), (413, "image_too_large")),
    ],
)
@pytest.mark.parametrize("headers", [JPEG, ZIP], ids=["png", "zip"])
async def test_a_photo_at_fault_is_told_so(data: bytes, expected: tuple[int, str], headers: dict[str, str]) -> None:
    async with serving(Outliner(), max_side=256) as client:
        response = await client.post("/v1/outliner/masks", content=data, headers=headers)
        assert problem(response) == expected
        assert (await client.post("/v1/outliner/masks", content=photo(), headers=headers)).status_code == 200


@pytest.mark.parametrize("things", [[], [Outlined(label="foreign", score=1, polygons=[[0, 0, 9, 0, 9, 9]])]])
async def test_a_predictor_that_cannot_tell_its_masks_is_a_problem(things: list[Outlined]) -> None:
    predictor = Outliner(*things)
    predictor.fail_masks = None if things else ValueError("secret")
    async with serving(predictor) as client:
        response = await client.post("/v1/outliner/masks", content=photo(), headers=JPEG)
    assert problem(response) == (500, "prediction_failed")
    assert "secret" not in response.text


async def test_only_what_has_a_legend_has_the_call() -> None:
    async with serving(Brightness(), Outliner()) as client:
        response = await client.post("/v1/brightness/masks", content=photo(), headers=JPEG)
        paths = (await client.get("/openapi.json")).json()["paths"]
    assert problem(response) == (404, "not_found")
    assert {path for path in paths if path.endswith("/masks")} == {"/v1/outliner/masks"}


def test_a_legend_of_more_labels_than_indices_is_refused_at_the_start() -> None:
    application(Outliner(legend={f"l{n}": (0, 0, 0) for n in range(255)}))
    with pytest.raises(ValueError, match="255"):
        application(Outliner(legend={f"l{n}": (0, 0, 0) for n in range(256)}))


async def test_the_deadline_holds_while_masks_are_drawn() -> None:
    predictor = Outliner(round_("dent", 0.9, 20, 20, 9))
    app = application(predictor, decode_threads=1)
    async with running(app) as client:
        predictor.wait_masks = threading.Event()
        late = await client.post("/v1/outliner/masks", content=photo(), headers={**JPEG, "X-Deadline-Ms": "300"})
        assert problem(late) == (504, "deadline_exceeded")
        predictor.wait_masks.set()
        assert (await client.post("/v1/outliner/masks", content=photo(), headers=JPEG)).status_code == 200
