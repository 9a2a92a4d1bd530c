"""Two files in a folder are a new predictor: its route, its picture, its documentation, without a line of code."""

import io
import json

import numpy as np
import pytest
from fastapi import FastAPI
from PIL import Image

from app.main import create_app
from app.settings import Settings
from tests import weights
from tests.fakes import photo
from tests.gateway import JPEG, problem, running

pytestmark = pytest.mark.anyio


@pytest.fixture(scope="module")
def app(tmp_path_factory: pytest.TempPathFactory) -> FastAPI:
    folder = tmp_path_factory.mktemp("weights")
    for name in weights.OWN:
        of = weights.manifest(name)
        weights.write(folder, of, weights.random_state(of))
    return create_app(Settings(device="cpu", weights_dir=folder, predictors=list(weights.OWN)))


async def test_they_answer_are_drawn_and_described(app: FastAPI) -> None:
    async with running(app) as client:
        answers = {
            name: (await client.post(f"/v1/{name}", content=photo(640, 400), headers=JPEG)).json()["result"]
            for name in weights.OWN
        }
        together = (await client.post("/v1/inspect", content=photo(640, 400), headers=JPEG)).json()
        pictures = {
            name: await client.post(f"/v1/{name}/annotated", content=photo(640, 400), headers=JPEG)
            for name in weights.OWN
        }
        masks = await client.post("/v1/balloons/masks?min_score=0", content=photo(640, 400), headers=JPEG)
        none = await client.post("/v1/paint/masks", content=photo(640, 400), headers=JPEG)
        cards = (await client.get("/v1/models")).json()["models"]
        bad = await client.post("/v1/balloons?top_k=3", content=photo(640, 400), headers=JPEG)
        document = (await client.get("/openapi.json")).json()
    assert set(answers["balloons"]) == {"instances", "counts"}
    assert {one["label"] for one in answers["brands"]["candidates"]} == {"Audi", "BMW", "Fiat"}
    assert answers["brands"]["best"] == answers["brands"]["candidates"][0]
    assert set(answers["paint"]) == {"finish", "paint_color", "region"}
    assert sum(answers["paint"]["finish"]["scores"].values()) == pytest.approx(1, abs=1e-3)
    assert together["results"]["brands"] == answers["brands"]
    assert not together["problems"]
    assert {card["name"]: card["labels"] for card in cards} == {
        name: weights.manifest(name).labels for name in weights.OWN
    }
    for picture in pictures.values():
        assert np.asarray(Image.open(io.BytesIO(picture.content))).shape == (400, 640, 3)
    legend = json.loads(Image.open(io.BytesIO(masks.content)).info["legend"])
    assert [one["label"] for one in legend] == ["balloon", "string"]
    assert np.asarray(Image.open(io.BytesIO(masks.content))).shape == (400, 640)
    assert problem(none) == (404, "not_found")
    assert problem(bad) == (422, "invalid_option")
    assert {f"/v1/{name}" for name in weights.OWN} <= set(document["paths"])
    assert set(document["components"]["schemas"]["PaintAnswer"]["properties"]) == {"finish", "paint_color", "region"}
