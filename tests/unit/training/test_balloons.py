"""A set of one's own, start to finish: VIA's annotations are checked and trained on, and the two files that come of it
answer at a route of their own."""

import json
from pathlib import Path

import httpx
import pytest
from PIL import Image, ImageDraw

from app.main import create_app
from app.settings import Settings
from tests.gateway import JPEG, running
from tests.unit.training import drawn
from training.commands.check_data import check_data
from training.commands.train import train

pytestmark = pytest.mark.anyio

SIDE = 64


def balloons(data: Path) -> None:
    """Photos of a red disc on grey, outlined by eight points, as the balloon set has them."""
    for split, count in (("train", 4), ("val", 2)):
        folder, entries = data / "balloon" / split, {}
        folder.mkdir(parents=True)
        for n in range(count):
            x, y, r = 20 + 4 * n, 30, 14
            image = Image.new("RGB", (SIDE, SIDE), (120, 120, 120))
            ImageDraw.Draw(image).ellipse((x - r, y - r, x + r, y + r), (220, 30, 30))
            image.save(folder / f"{n}.png")
            unit = ((1, 0), (0.7, 0.7), (0, 1), (-0.7, 0.7), (-1, 0), (-0.7, -0.7), (0, -1), (0.7, -0.7))
            shape = {
                "name": "polygon",
                "all_points_x": [round(x + r * a) for a, _ in unit],
                "all_points_y": [round(y + r * b) for _, b in unit],
            }
            regions = {"0": {"shape_attributes": shape, "region_attributes": {}}}
            entries[f"{n}.png99"] = {"filename": f"{n}.png", "size": 99, "regions": regions, "file_attributes": {}}
        (folder / "via_region_data.json").write_text(json.dumps(entries))


async def ask(client: httpx.AsyncClient, photo: bytes) -> tuple[httpx.Response, httpx.Response]:
    headers = {**JPEG, "Content-Type": "image/png"}
    answer = await client.post("/v1/balloons?min_score=0", content=photo, headers=headers)
    return answer, await client.post("/v1/balloons/annotated", content=photo, headers=headers)


async def test_from_annotations_to_a_route(data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    balloons(tmp_path)
    starts = tmp_path / "pretrained"
    starts.symlink_to(data / "pretrained")
    changes = [change for change in drawn.INSTANCES if "negatives" not in change]
    check_data("balloons", data=tmp_path, set_=changes)
    assert "balloon" in capsys.readouterr().out
    train("balloons", data=tmp_path, out=tmp_path / "run", set_=changes, device="cpu", precision="fp32", track=["none"])
    app = create_app(Settings(device="cpu", weights_dir=tmp_path / "run" / "weights", predictors=["balloons"]))
    async with running(app) as client:
        answer, picture = await ask(client, (tmp_path / "balloon" / "val" / "0.png").read_bytes())
        (card,) = (await client.get("/v1/models")).json()["models"]
    assert answer.status_code == picture.status_code == 200
    result = answer.json()["result"]
    assert set(result) == {"counts", "instances"}
    assert result["counts"] == {"balloon": len(result["instances"])}
    assert picture.headers["content-type"] == "image/jpeg"
    assert (card["name"], card["labels"]) == ("balloons", {"label": ["balloon"]})
