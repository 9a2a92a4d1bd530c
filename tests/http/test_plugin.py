"""A predictor that is a file of its own: everything the gateway has, without a line changed in it."""

import sys
from collections.abc import Iterator
from importlib import metadata
from pathlib import Path

import pytest

from app.schemas import AnyPredictor
from tests.fakes import halves, photo
from tests.gateway import JPEG, problem, serving

pytestmark = pytest.mark.anyio

PLUGIN = '''
"""Says how much of a photo is sharp."""

from typing import Literal

import numpy as np
from pydantic import BaseModel, Field

from models.predictor import Card, Predictor, RegionOptions, Specification, Tensor


class SharpnessOptions(RegionOptions):
    least: float = Field(default=10.0, ge=0, le=255, description="Difference of neighbours that counts as an edge.")
    axis: Literal["x", "y"] = Field(default="x", description="Which neighbours.")


class SharpnessAnswer(BaseModel):
    edges: float = Field(description="Share of pixels on an edge.")
    source: str


class Sharpness(Predictor[SharpnessOptions, SharpnessAnswer]):
    card = Card(version="0.1.0", architecture="difference")
    specification = Specification(
        name="sharpness",
        summary="How much of a photo is sharp",
        description="The share of pixels that differ from their neighbours.",
        options=SharpnessOptions,
        answer=SharpnessAnswer,
        inputs={"gray": Tensor((32, 32), "int16"), "least": Tensor((), "float32")},
        reads=(32, 32),
        regions=("box", "photo"),
        batch_sizes=(1, 2, 4),
    )

    def load(self, device):
        self.sizes = []

    def prepare(self, photo, region, options):
        gray = photo.resized(region, 32, 32).mean(axis=2).astype(np.int16)
        gray = gray if options.axis == "x" else gray.T
        return {"gray": np.ascontiguousarray(gray), "least": np.asarray(options.least, np.float32)}

    def run(self, batch):
        self.sizes.append(len(batch["gray"]))
        steps = np.abs(np.diff(batch["gray"], axis=2))
        return {"edges": (steps > batch["least"][:, None, None]).mean(axis=(1, 2))}

    def finish(self, output, header, region, options):
        if header.width == 13:
            raise RuntimeError("unlucky")
        return SharpnessAnswer(edges=float(output["edges"]), source=region.source)
'''


@pytest.fixture
def plugin(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[AnyPredictor]:
    """The predictor, found as an installed package's entry point."""
    (tmp_path / "sharpness_plugin.py").write_text(PLUGIN)
    info = tmp_path / "sharpness_plugin-0.1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: sharpness-plugin\nVersion: 0.1.0\n")
    (info / "entry_points.txt").write_text("[carlens.predictors]\nsharpness = sharpness_plugin:Sharpness\n")
    monkeypatch.syspath_prepend(tmp_path)
    (entry,) = metadata.entry_points(group="carlens.predictors", name="sharpness")
    yield entry.load()()
    sys.modules.pop("sharpness_plugin")


async def test_it_answers_at_its_own_route(plugin: AnyPredictor) -> None:
    async with serving(plugin) as client:
        plain = await client.post("/v1/sharpness", content=photo(), headers=JPEG)
        edge = await client.post("/v1/sharpness", content=halves(), headers=JPEG)
        other = await client.post("/v1/sharpness?axis=y&least=5.5", content=halves(), headers=JPEG)
        boxed = await client.post("/v1/sharpness?box=0,0,20,40", content=halves(), headers=JPEG)
    assert plain.json()["result"] == {"edges": 0.0, "source": "whole"}
    assert edge.json()["result"]["edges"] > 0
    assert other.json()["result"]["edges"] == 0
    assert boxed.json()["result"] == {"edges": 0.0, "source": "box"}
    assert edge.json()["model"]["version"] == "0.1.0"


async def test_it_is_in_the_documentation_and_among_the_models(plugin: AnyPredictor) -> None:
    async with serving(plugin) as client:
        document = (await client.get("/openapi.json")).json()
        models = (await client.get("/v1/models")).json()["models"]
        ready = (await client.get("/health/ready")).json()
        inspected = (await client.post("/v1/inspect?tasks=sharpness", content=photo(), headers=JPEG)).json()
    operation = document["paths"]["/v1/sharpness"]["post"]
    assert operation["operationId"] == "predict_sharpness"
    assert {parameter["name"] for parameter in operation["parameters"]} >= {"least", "axis", "box"}
    assert document["components"]["schemas"]["SharpnessEnvelope"]
    assert document["components"]["schemas"]["SharpnessAnswer"]["properties"]["edges"]["description"]
    assert "/v1/sharpness/annotated" not in document["paths"]
    assert [model["name"] for model in models] == ["sharpness"]
    assert ready["predictors"] == {"sharpness": "ready"}
    assert inspected["results"]["sharpness"]["source"] == "whole"


async def test_it_is_batched_limited_and_its_errors_are_problems(plugin: AnyPredictor) -> None:
    async with serving(plugin, max_side=256) as client:
        assert sorted(set(plugin.sizes)) == [1, 2, 4]  # type: ignore[attr-defined]
        failed = await client.post("/v1/sharpness", content=photo(13, 8), headers=JPEG)
        assert problem(failed) == (500, "prediction_failed")
        unknown = await client.post("/v1/sharpness?top=1", content=photo(), headers=JPEG)
        assert problem(unknown) == (422, "invalid_option")
        large = await client.post("/v1/sharpness", content=photo(300, 8), headers=JPEG)
        assert problem(large) == (413, "image_too_large")
        assert (await client.post("/v1/sharpness", content=photo(), headers=JPEG)).status_code == 200
        assert 'carlens_batch_size_count{predictor="sharpness"}' in (await client.get("/metrics")).text
