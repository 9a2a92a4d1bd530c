"""A claim of the drawn car, answered by the service as it is started, with the shipped weights."""

import json
from pathlib import Path
from typing import Any

import httpx

from models.claim.rollup import Claim
from tests.contract.process import Service


def sent(service: Service, root: Path, **headers: str) -> httpx.Response:
    car = (root / "openapi" / "examples" / "car.jpg").read_bytes()
    files = [("file", ("one.jpg", car)), ("file", ("none.jpg", b"no photo")), ("file", ("two.jpg", car))]
    return httpx.post(f"{service.url}/v1/inspect/claim", files=files, headers=headers, timeout=240)


def test_two_photos_of_a_car_and_one_of_nothing(service: Service, root: Path) -> None:
    response = sent(service, root)
    body: dict[str, Any] = response.json()
    one, none, two = body["photos"]
    claim = Claim.model_validate(body["claim"], strict=True)
    assert response.status_code == 200
    assert none["problem"]["code"] == "unsupported_media_type"
    assert one["results"]["attributes"] == two["results"]["attributes"]
    assert one["summary"] == two["summary"] is not None
    assert claim.color is not None
    assert (claim.color.label, claim.color.agreed, claim.color.photos) == ("red", True, [0, 2])
    assert claim.color.score > one["results"]["attributes"]["color"]["score"]
    assert claim.vehicle is not None
    assert claim.vehicle.recognised is False  # it was never built
    assert (claim.one_vehicle, claim.doubts) == (True, [])
    assert claim.damaged is False


def test_the_same_as_events_in_german(service: Service, root: Path) -> None:
    response = sent(service, root, Accept="text/event-stream", **{"Accept-Language": "de"})
    blocks = [block.split("\n") for block in response.text.split("\n\n")[:-1]]
    assert response.headers["content-type"] == "text/event-stream"
    assert response.headers["content-language"] == "de"
    assert [name for name, _ in blocks] == ["event: photo"] * 3 + ["event: claim"]
    told = [json.loads(data.removeprefix("data: ")) for _, data in blocks]
    assert sorted(one["index"] for one in told[:3]) == [0, 1, 2]
    assert set(told[3]["models"]) == set(sent(service, root).json()["models"])
