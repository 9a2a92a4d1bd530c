"""`GET /` and what the page loads: files of our own under a strict policy, and what it must know of what is served."""

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.parse import urljoin

import numpy as np
import pytest
from PIL import Image

from app.routes import page
from models.answers import Box, PolygonMask
from models.predictor import Card
from models.predictors.damage import Damage, DamageAnswer, Detection
from models.predictors.instances import Instance
from models.predictors.parts import Parts, PartsAnswer
from models.predictors.vehicles import Vehicle, Vehicles, VehiclesAnswer
from tests.fakes import Brightness
from tests.gateway import problem, serving
from tests.keyed import bearer, key

ROOT = Path(__file__).resolve().parents[2]
LINK = re.compile(r"""(?:src|href)="([^"]+)\"""")
IMPORT = re.compile(r"""from "([^"]+)";""")


@pytest.mark.anyio
async def test_the_page_and_all_it_loads_come_from_here() -> None:
    async with serving(Brightness()) as client:
        response = await client.get("/")
        assert response.headers["content-type"].startswith("text/html")
        wanted = {urljoin("/", one) for one in LINK.findall(response.text)} - {"/", "/#main"}
        assert {"/docs", "/redoc", "/page/assets/main.js", "/page/assets/page.css"} <= wanted
        seen: set[str] = set()
        while wanted:
            address = wanted.pop()
            seen.add(address)
            asset = await client.get(address)
            assert asset.status_code == 200, address
            if address.endswith(".js"):
                assert asset.headers["content-type"].startswith("text/javascript"), address
                wanted |= {urljoin(address, one) for one in IMPORT.findall(asset.text)} - seen
    loaded = {address.removeprefix("/page/assets/") for address in seen if address.startswith("/page/assets/")}
    assert loaded == {path.name for path in page.FOLDER.iterdir()} - {"index.html"}


@pytest.mark.anyio
async def test_nothing_is_written_into_the_page_or_asked_of_others() -> None:
    async with serving(Brightness()) as client:
        response = await client.get("/")
    rules = dict(rule.strip().split(" ", 1) for rule in response.headers["content-security-policy"].split(";"))
    assert rules["default-src"] == rules["base-uri"] == rules["form-action"] == rules["frame-ancestors"] == "'none'"
    assert rules["script-src"] == rules["style-src"] == rules["connect-src"] == "'self'"
    assert rules["img-src"] == "'self' blob: data:"
    assert rules["require-trusted-types-for"] == "'script'"
    assert "unsafe" not in response.headers["content-security-policy"]
    assert not re.search(r"<style|\sstyle=|\son\w+=|<script(?![^>]*\ssrc=)", response.text)
    for path in page.FOLDER.iterdir():
        text = "" if path.suffix == ".webp" else path.read_text(encoding="utf-8")
        assert not re.search(r"https?://(?!www\.w3\.org/2000/svg)", text), path.name


@pytest.mark.anyio
async def test_a_browser_keeps_the_page_and_asks_whether_it_changed() -> None:
    async with serving(Brightness()) as client:
        for address in ("/", "/page/assets/main.js"):
            first = await client.get(address)
            assert first.headers["cache-control"] == "no-cache"
            again = await client.get(address, headers={"If-None-Match": first.headers["etag"]})
            assert (again.status_code, again.content) == (304, b"")
            head = await client.head(address)
            assert (head.status_code, head.content) == (200, b"")
            assert head.headers["content-length"] == first.headers["content-length"]


@pytest.mark.anyio
async def test_the_page_is_in_the_language_that_the_browser_asks_for() -> None:
    tags = {}
    async with serving(Brightness()) as client:
        for accept, code in (("de-AT,de;q=0.9,en;q=0.8", "de"), ("fr,en;q=0.5", "en"), ("fr", "en"), ("", "en")):
            response = await client.get("/", headers={"Accept-Language": accept})
            assert response.headers["content-language"] == code, accept
            assert response.headers["vary"] == "Accept-Language"
            assert f'<html lang="{code}">' in response.text
            tags[code] = response.headers["etag"]
        other = {"Accept-Language": "en", "If-None-Match": tags["de"]}
        assert (await client.get("/", headers=other)).status_code == 200, "a page in another language is another page"


@pytest.mark.anyio
async def test_what_is_not_there_is_a_problem_here_too() -> None:
    async with serving(Brightness()) as client:
        for path in ("/page/assets/none.js", "/page/assets/..%2fmain.py", "/page/assets/", "/page"):
            assert problem(await client.get(path)) == (404, "not_found")
        assert problem(await client.post("/")) == (405, "method_not_allowed")


@pytest.mark.anyio
async def test_where_there_are_keys_the_page_is_open_and_what_is_served_is_not(tmp_path: Path) -> None:
    token = key(tmp_path / "keys.toml", "visitor", "predict")
    async with serving(Brightness(), keys_file=tmp_path / "keys.toml") as client:
        for path in ("/", "/page/assets/main.js"):
            assert (await client.get(path)).status_code == 200
        assert problem(await client.get("/page/served")) == (401, "unauthenticated")
        assert (await client.get("/page/served", headers=bearer(token))).status_code == 200


@pytest.mark.anyio
async def test_the_page_is_told_what_is_served() -> None:
    class Rated(Brightness):
        card = Card(labels={"label": ["dark", "bright"]}, thresholds={"dark": 0.25})

    async with serving(Rated(), max_body_bytes=4096, max_deadline_ms=9000, default_deadline_ms=9000) as client:
        told = (await client.get("/page/served")).json()
        listed = (await client.get("/v1/models/brightness")).json()
        document = (await client.get("/openapi.json")).json()
    assert set(told["models"]) == {"brightness"}
    assert told["models"]["brightness"] == {
        "summary": "How bright a photo is",
        "state": "ready",
        "thresholds": {"dark": 0.25},
        "colors": {"dark": "#e69f00", "bright": "#009ee0"},
        "options": ["box", "min_score", "top_k"],
        "calls": ["annotated"],
        "licence": listed["licence"],
    }
    assert listed["thresholds"] == {"dark": 0.25}
    assert {"inspect", "inspect/annotated"} <= set(told["calls"])
    assert (told["body_bytes"], told["deadline_ms"], told["views"]["left"]) == (4096, 9000, 90)
    assert not [path for path in document["paths"] if path.startswith("/page") or path == "/"]


MASK = PolygonMask(polygons=[[1, 2, 30, 2, 30, 40]])
THING: dict[str, Any] = {"score": 0.9, "box": Box(x1=1, y1=2, x2=30, y2=40), "area_fraction": 0.1}


def damages(labels: list[str]) -> DamageAnswer:
    found = [Detection(label=label, mask=MASK, **THING) for label in labels]
    return DamageAnswer(damaged=True, damaged_score=None, counts={}, detections=found)


def parts(labels: list[str]) -> PartsAnswer:
    return PartsAnswer(parts=[Instance(label=label, mask=MASK, **THING) for label in labels])


def vehicles(labels: list[str]) -> VehiclesAnswer:
    return VehiclesAnswer(vehicles=[Vehicle(type=label, main=True, **THING) for label in labels])


@pytest.mark.parametrize(("made", "answer"), [(Damage, damages), (Parts, parts), (Vehicles, vehicles)])
def test_the_page_has_the_colours_of_the_pictures(made: Any, answer: Callable[[list[str]], Any]) -> None:
    predictor = made()
    labels = predictor.manifest.labels["label"]
    pictured = {label: one.color for label, one in zip(labels, predictor.shapes(answer(labels)), strict=True)}
    assert page.colors(predictor) == {label: "#{:02x}{:02x}{:02x}".format(*color) for label, color in pictured.items()}


def test_the_page_is_small() -> None:
    assert sum(path.stat().st_size for path in page.FOLDER.iterdir()) < 120 * 1024


def test_every_file_says_first_what_it_is_for_and_is_short() -> None:
    for path in page.FOLDER.glob("*.*s"):
        lines = path.read_text(encoding="utf-8").splitlines()
        assert lines[0].startswith(("// ", "/* ")), path.name
        assert len(lines) < 350, path.name


def test_the_example_is_the_projects_own_drawing() -> None:
    photos = (page.FOLDER / "example.webp", ROOT / "openapi" / "examples" / "car.jpg")
    one, other = (np.asarray(Image.open(path).convert("RGB"), np.float64) for path in photos)
    assert one.shape == other.shape
    assert np.abs(one - other).mean() < 4
