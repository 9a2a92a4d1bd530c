"""The main vehicle is found before it is read: once a photo, from fine pixels; who fails to find it hinders nobody."""

import asyncio
import io
import threading
from typing import Any

import numpy as np
import pytest
from PIL import Image

from app.batcher import Batcher
from app.lane import Item, Lane
from app.main import create_app
from app.schemas import inspect_model
from app.settings import Settings
from models.photo import Header, Photo, Region
from tests.fakes import SIZE, Brightness, Finder, encoded, halves, photo, reader
from tests.gateway import JPEG, problem, serving

pytestmark = pytest.mark.anyio

RIGHT = (40.0, 0.0, 64.0, 48.0)
"""The white part of `halves`."""
LEFT = (0.0, 0.0, 20.0, 48.0)


def region(
    *corners: float, source: str = "vehicle", score: float | None = 0.9, fallback: bool = False
) -> dict[str, Any]:
    places = dict(zip(("x1", "y1", "x2", "y2"), corners, strict=True))
    return {**places, "source": source, "score": score, "fallback": fallback}


async def test_the_main_vehicle_is_read() -> None:
    finder = Finder(RIGHT, LEFT)
    async with serving(reader(), finder) as client:
        response = await client.post("/v1/brightness", content=halves(), headers=JPEG)
    body = response.json()
    assert body["result"]["mean"] == 255
    assert body["result"]["region"] == region(*RIGHT)
    assert list(body["timings_ms"]) == ["receive", "decode", "locate", "prepare", "queue", "device", "finish", "total"]
    assert body["timings_ms"]["locate"] > 0
    assert "locate;dur=" in response.headers["server-timing"]
    assert finder.runs == 1


@pytest.mark.parametrize(
    ("query", "mean", "read", "runs"),
    [
        ("vehicle=auto", 255, region(*RIGHT), 1),
        ("vehicle=whole", 127.5, region(0, 0, 64, 48, source="whole", score=None), 0),
        ("box=0,0,20,48", 0, region(0, 0, 20, 48, source="box", score=None), 0),
        ("box=0,0,20,48&vehicle=auto", 0, region(0, 0, 20, 48, source="box", score=None), 0),
    ],
)
async def test_the_caller_may_choose(query: str, mean: float, read: dict[str, Any], runs: int) -> None:
    finder = Finder(RIGHT)
    async with serving(reader(), finder) as client:
        body = (await client.post(f"/v1/brightness?{query}", content=halves(), headers=JPEG)).json()
    assert body["result"]["mean"] == mean
    assert body["result"]["region"] == read
    assert finder.runs == runs
    assert ("locate" in body["timings_ms"]) == bool(runs)


@pytest.mark.parametrize("query", ["vehicle=all", "vehicle=", "vehicle=AUTO", "vehicle=auto&vehicle=whole"])
async def test_other_choices_are_refused(query: str) -> None:
    async with serving(reader(), Finder(RIGHT)) as client:
        response = await client.post(f"/v1/brightness?{query}", content=halves(), headers=JPEG)
    assert problem(response) == (422, "invalid_option")


async def test_no_vehicle_is_the_whole_photo() -> None:
    async with serving(reader(), Finder()) as client:
        body = (await client.post("/v1/brightness", content=halves(), headers=JPEG)).json()
        metrics = (await client.get("/metrics")).text
    assert body["result"]["region"] == region(0, 0, 64, 48, source="whole", score=None)
    assert 'carlens_located_total{outcome="none",predictor="vehicles"} 1.0' in metrics


async def test_a_margin_is_left_around_it() -> None:
    async with serving(reader(margin=0.25), Finder((24.0, 12.0, 44.0, 32.0))) as client:
        body = (await client.post("/v1/brightness", content=halves(), headers=JPEG)).json()
    assert body["result"]["region"] == region(19, 7, 49, 37)


async def test_a_photo_that_is_half_vehicle_is_read_whole_but_not_for_each_vehicle() -> None:
    async with serving(reader(margin=0.25), Finder((8.0, 6.0, 56.0, 42.0), RIGHT)) as client:
        alone = (await client.post("/v1/brightness", content=halves(), headers=JPEG)).json()
        every = (await client.post("/v1/inspect?vehicle=all", content=halves(), headers=JPEG)).json()
    assert alone["result"]["region"] == region(0, 0, 64, 48, source="whole", score=None)
    sources = [one["brightness"]["region"]["source"] for one in every["vehicles"]]
    assert sources == ["vehicle", "vehicle"]


@pytest.mark.parametrize("failure", ["fail_run", "fail_regions"])
async def test_a_finder_that_fails_is_no_error(failure: str, caplog: pytest.LogCaptureFixture) -> None:
    finder = Finder(RIGHT)
    async with serving(reader(), reader("other"), finder) as client:
        setattr(finder, failure, ValueError("broken"))
        response = await client.post("/v1/inspect?tasks=brightness,other", content=halves(), headers=JPEG)
        metrics = (await client.get("/metrics")).text
        setattr(finder, failure, None)
        again = (await client.post("/v1/brightness", content=halves(), headers=JPEG)).json()
    assert response.status_code == 200
    for name in ("brightness", "other"):
        result = response.json()["results"][name]
        assert result["region"] == region(0, 0, 64, 48, source="whole", score=None, fallback=True)
        assert result["mean"] == 127.5
    assert 'carlens_located_total{outcome="failed",predictor="vehicles"} 1.0' in metrics
    assert response.json()["request_id"] in caplog.text
    assert again["result"]["region"] == region(*RIGHT)


async def test_a_finder_that_is_not_served_is_not_missed() -> None:
    async with serving(reader()) as client:
        body = (await client.post("/v1/brightness", content=halves(), headers=JPEG)).json()
    assert body["result"]["region"] == region(0, 0, 64, 48, source="whole", score=None)
    assert "locate" not in body["timings_ms"]


async def test_regions_that_are_none_are_passed_over() -> None:
    outside = [(500.0, 0.0, 600.0, 20.0), (5.0, 5.0, 5.0, 9.0), (float("nan"), 0.0, 9.0, 9.0)]
    finder = Finder(RIGHT)
    finder.regions = lambda answer, header: [*(Region(*one, source="vehicle") for one in outside), Region(*RIGHT)]  # type: ignore[method-assign]
    async with serving(reader(), finder) as client:
        body = (await client.post("/v1/brightness", content=halves(), headers=JPEG)).json()
    assert (body["result"]["region"]["x1"], body["result"]["mean"]) == (40, 255)


async def test_one_search_serves_every_task() -> None:
    finder = Finder(RIGHT)
    async with serving(reader("one"), reader("two"), Brightness("three"), finder) as client:
        alone = (await client.post("/v1/inspect?tasks=one,two,three", content=halves(), headers=JPEG)).json()
        assert finder.runs == 1
        asked = (await client.post("/v1/inspect?tasks=one,vehicles,two", content=halves(), headers=JPEG)).json()
        assert finder.runs == 2
    assert list(alone["results"]) == ["one", "two", "three"]
    assert [alone["results"][name]["mean"] for name in ("one", "two", "three")] == [255, 255, 127.5]
    assert list(alone["timings_ms"]["tasks"]["one"]) == ["locate", "prepare", "queue", "device", "finish"]
    assert "locate" not in alone["timings_ms"]["tasks"]["three"]
    assert asked["results"]["vehicles"]["vehicles"][0]["box"] == list(RIGHT)
    assert asked["results"]["two"]["mean"] == 255


async def test_finders_may_stand_on_finders() -> None:
    wheels = Finder((44.0, 30.0, 52.0, 40.0), name="wheels", regions=("vehicles", "photo"))
    finder = Finder(RIGHT)
    async with serving(reader(regions=("wheels", "photo")), wheels, finder) as client:
        body = (await client.post("/v1/brightness", content=halves(), headers=JPEG)).json()
    assert body["result"]["region"] == region(44, 30, 52, 40)
    assert (finder.runs, wheels.runs) == (1, 1)


def test_circles_are_refused_at_start() -> None:
    with pytest.raises(ValueError, match="in a circle"):
        create_app(
            Settings(device="cpu"), {"vehicles": Finder(regions=("one",)), "one": reader("one", regions=("vehicles",))}
        )


def small_in_large() -> bytes:
    """2048 x 1024, grey, with a checkerboard of single pixels, 64 x 64, that any coarser decode makes grey too."""
    pixels = np.full((1024, 2048, 3), 128, np.uint8)
    board = np.indices((64, 64)).sum(axis=0) % 2 * 255
    pixels[512:576, 1024:1088] = board[..., None]
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, "JPEG", quality=95, subsampling=0)
    return file.getvalue()


class Sharpness(Brightness):
    """Reads 64 x 64 pixels and answers with how they differ instead of how bright they are."""

    def prepare(self, photo: Photo, region: Region, options: Any) -> Any:
        spread = photo.resized(region, 64, 64).astype(float).std()
        return {"pixels": np.full((SIZE, SIZE, 3), min(spread, 255), np.uint8)}


async def test_a_small_vehicle_is_read_from_the_photos_own_pixels(decoded: list[float]) -> None:
    box = (1024.0, 512.0, 1088.0, 576.0)
    sharp = Sharpness(options=type(reader().specification.options()), regions=("vehicles", "photo"), reads=(64, 64))
    budget = 2048 * 1024
    async with serving(sharp, Brightness("other"), Finder(box), max_decoded_pixels=budget) as client:
        fine = (await client.post("/v1/inspect?tasks=brightness,other", content=small_in_large(), headers=JPEG)).json()
        assert decoded == [SIZE / 1024, 1.0]
        several = [client.post("/v1/brightness", content=small_in_large(), headers=JPEG) for _ in range(4)]
        answers = await asyncio.wait_for(asyncio.gather(*several), 30)  # each wants the whole budget in the end
    assert fine["results"]["brightness"]["mean"] > 100
    assert fine["results"]["other"]["mean"] == pytest.approx(128, abs=1)
    assert {answer.json()["result"]["mean"] for answer in answers} == {fine["results"]["brightness"]["mean"]}


async def test_a_vehicle_that_fills_the_photo_is_decoded_once(decoded: list[float]) -> None:
    async with serving(reader(), Finder((10.0, 10.0, 790.0, 630.0))) as client:
        await client.post("/v1/brightness", content=photo(800, 640), headers=JPEG)
    assert len(decoded) == 1


async def test_every_vehicle_has_its_own_answers() -> None:
    finder = Finder(RIGHT, LEFT)
    one = reader("one")
    async with serving(one, Brightness("two"), finder) as client:
        response = await client.post("/v1/inspect?vehicle=all&tasks=one,two", content=halves(), headers=JPEG)
        auto = await client.post("/v1/inspect?tasks=one,two", content=halves(), headers=JPEG)
    body = response.json()
    assert [vehicle["box"] for vehicle in body["vehicles"]] == [
        dict(zip(("x1", "y1", "x2", "y2"), corners, strict=True)) for corners in (RIGHT, LEFT)
    ]
    assert [vehicle["one"]["mean"] for vehicle in body["vehicles"]] == [255, 0]
    assert all("two" not in vehicle for vehicle in body["vehicles"])
    assert [(vehicle["score"], vehicle["problems"]) for vehicle in body["vehicles"]] == [(0.9, {})] * 2
    assert body["results"]["one"] == body["vehicles"][0]["one"]
    assert body["results"]["two"]["mean"] == 127.5
    assert finder.runs == 2
    assert "vehicles" not in auto.json()
    model: Any = inspect_model([one.specification, Brightness("two").specification])
    assert model.model_validate_json(response.content, strict=True).vehicles[1].one.mean == 0


async def test_no_vehicle_at_all_is_an_empty_list() -> None:
    async with serving(reader(), Finder()) as client:
        body = (await client.post("/v1/inspect?vehicle=all&tasks=brightness", content=halves(), headers=JPEG)).json()
    assert body["vehicles"] == []
    assert body["results"]["brightness"]["mean"] == 127.5


async def test_a_crowd_is_cut_short() -> None:
    finder = Finder(*[(float(n), 0.0, float(n + 8), 48.0) for n in range(40)])
    async with serving(reader(), finder) as client:
        body = (await client.post("/v1/inspect?vehicle=all&tasks=brightness", content=halves(), headers=JPEG)).json()
    assert len(body["vehicles"]) == 16
    assert [vehicle["box"]["x1"] for vehicle in body["vehicles"]] == list(range(16))


async def test_one_vehicle_fails_alone() -> None:
    """The reader refuses what is black; the other vehicle is answered right."""

    class Afraid(Brightness):
        def finish(self, output: Any, header: Header, region: Region, options: Any) -> Any:
            if not output["channels"].any():
                raise ValueError("dark")
            return super().finish(output, header, region, options)

    afraid = Afraid(options=reader().specification.options, regions=("vehicles", "photo"))
    async with serving(afraid, Finder(RIGHT, LEFT)) as client:
        body = (await client.post("/v1/inspect?vehicle=all&tasks=brightness", content=halves(), headers=JPEG)).json()
    assert [vehicle["brightness"] and vehicle["brightness"]["mean"] for vehicle in body["vehicles"]] == [255, None]
    assert body["vehicles"][1]["problems"]["brightness"]["code"] == "prediction_failed"
    assert body["problems"] == {}


async def test_vehicles_of_one_photo_are_one_batch(monkeypatch: pytest.MonkeyPatch) -> None:
    """The first goes at once, as the device is free; held there until the others wait, they go together."""
    finder = Finder(*[(float(n * 8), 0.0, float(n * 8 + 8), 48.0) for n in range(8)])
    sizes: list[int] = []
    waiting: list[Item] = []
    every, every_one_counts = threading.Event(), threading.Event()
    enqueue = Batcher._enqueue

    def counted(self: Batcher, lane: Lane, arrays: Any, deadline: float) -> Item:
        item = enqueue(self, lane, arrays, deadline)
        waiting.extend([item] if lane.name == "brightness" and every_one_counts.is_set() else [])
        if len(waiting) == 8:
            every.set()
        return item

    monkeypatch.setattr(Batcher, "_enqueue", counted)

    class Counting(Brightness):
        def run(self, batch: Any) -> Any:
            if every_one_counts.is_set() and batch["pixels"].any():
                sizes.append(int(batch["pixels"].any(axis=(1, 2, 3)).sum()))
                assert every.wait(30)
            return super().run(batch)

    counting = Counting(options=reader().specification.options, regions=("vehicles", "photo"), batch_sizes=(1, 2, 4, 8))
    white = encoded(np.full((48, 64, 3), 255, np.uint8), "PNG")
    async with serving(counting, finder, decode_threads=1) as client:
        every_one_counts.set()
        await client.post("/v1/inspect?vehicle=all&tasks=brightness", content=white, headers=JPEG)
    assert sum(sizes) == 8
    assert len(sizes) <= 2


async def test_several_answers_in_one_picture() -> None:
    async with serving(Brightness(), Finder(RIGHT)) as client:
        response = await client.post(
            "/v1/inspect/annotated?tasks=brightness,vehicles",
            content=photo(64, 48),
            headers={**JPEG, "Accept": "image/png"},
        )
        unknown = await client.post("/v1/inspect/annotated?tasks=brightness,boats", content=photo(), headers=JPEG)
        every = await client.post("/v1/inspect/annotated?vehicle=all", content=photo(), headers=JPEG)
    pixels = np.asarray(Image.open(io.BytesIO(response.content)))
    assert pixels.shape == (48, 64, 3)
    assert pixels[10, 0].tolist() == [255, 0, 0]
    assert pixels[30, 0].tolist() == [0, 0, 255]
    timings = response.headers["server-timing"]
    assert "brightness.device;dur=" in timings
    assert "vehicles.device;dur=" in timings
    assert problem(unknown) == (422, "invalid_option")
    assert problem(every) == (422, "invalid_option")


async def test_a_picture_that_would_lack_something_is_a_problem() -> None:
    finder = Finder(RIGHT)
    async with serving(Brightness(), finder) as client:
        finder.fail_run = ValueError("broken")
        response = await client.post("/v1/inspect/annotated", content=photo(), headers=JPEG)
    assert problem(response) == (500, "prediction_failed")


async def test_a_picture_shows_the_vehicle_that_was_read() -> None:
    shown: list[Any] = []

    class Shown(Brightness):
        def shapes(self, answer: Any) -> Any:
            shown.append(answer.region)
            return super().shapes(answer)

    one = Shown(options=reader().specification.options, regions=("vehicles", "photo"))
    async with serving(one, Finder(RIGHT)) as client:
        assert (await client.post("/v1/brightness/annotated", content=halves(), headers=JPEG)).status_code == 200
    assert (shown[0].x1, shown[0].source) == (40, "vehicle")
