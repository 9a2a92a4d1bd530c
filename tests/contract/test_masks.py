"""Masks of the shipped weights, from a real service: every pixel is what the JSON answer says."""

import io
import json
import zipfile
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest
from PIL import Image

from models.outlines import inside
from tests.contract.process import Service


@pytest.mark.parametrize(("name", "things"), [("damage", "detections"), ("parts", "parts")])
def test_every_pixel_is_what_the_answer_says(name: str, things: str, service: Service, root: Path) -> None:
    photo = (root / "openapi" / "examples" / "car.jpg").read_bytes()
    call: dict[str, Any] = {"params": {"min_score": 0.3}, "files": {"file": photo}, "timeout": 120}
    url = f"{service.url}/v1/{name}"
    found = httpx.post(url, **call).json()["result"][things]
    labels = httpx.get(f"{service.url}/v1/models/{name}").json()["labels"]["label"]
    classes = Image.open(io.BytesIO(httpx.post(f"{url}/masks", **call).content))
    wanted = np.zeros((classes.height, classes.width), np.uint8)
    columns, rows = (np.arange(side, dtype=np.float64) + 0.5 for side in classes.size)
    for one in found[::-1]:  # best first, so the best is put down last
        wanted[inside(one["mask"]["polygons"], columns, rows)] = 1 + labels.index(one["label"])
    assert found
    assert np.array_equal(np.asarray(classes), wanted)
    legend = json.loads(classes.info["legend"])
    assert [entry["label"] for entry in legend] == labels
    assert len({entry["color"] for entry in legend}) == len(labels)
    packed = httpx.post(f"{url}/masks", headers={"Accept": "application/zip"}, **call).content
    names = [f"{n:02d}_{one['label']}.png" for n, one in enumerate(found)]
    with zipfile.ZipFile(io.BytesIO(packed)) as archive:
        assert archive.namelist() == ["answer.json", "classes.png", *names]
        assert json.loads(archive.read("answer.json"))["result"][things] == found
