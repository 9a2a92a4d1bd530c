"""A user of the generated Python client; mypy checks it and a service answers it: `python use.py URL PHOTO`."""

import base64
import io
import json
import sys
from http import HTTPStatus
from pathlib import Path

from carlens_client import AuthenticatedClient, Client
from carlens_client.api.models import get_model, list_models
from carlens_client.api.operation import health_ready
from carlens_client.api.pictures import annotate_damage, mask_damage
from carlens_client.api.predictions import inspect_photo, predict_attributes, predict_damage
from carlens_client.models import (
    Box,
    ClaimPhoto,
    ClaimTold,
    DamageEnvelope,
    Detection,
    InspectEnvelope,
    InspectVehicleChoice,
    MaskForm,
    ModelCard,
    ModelList,
    PhotoForm,
    PhotoText,
    PolygonMask,
    ProblemDetails,
    Ready,
    RleMask,
    State,
)
from carlens_client.types import File
from httpx import Timeout, post


def form(photo: bytes) -> PhotoForm:
    return PhotoForm(file=File(payload=io.BytesIO(photo), file_name="car.jpg", mime_type="image/jpeg"))


def damages(client: AuthenticatedClient, photo: bytes) -> list[Detection]:
    """In all three forms of a photo, and with every form of masks."""
    bodies: list[PhotoForm | PhotoText | File] = [
        form(photo),
        File(payload=io.BytesIO(photo)),
        PhotoText(image=base64.b64encode(photo).decode()),
    ]
    found: list[Detection] = []
    for body in bodies:
        answer = predict_damage.sync(client=client, body=body, min_score=0.3, max_detections=5)
        assert isinstance(answer, DamageEnvelope), answer
        found = answer.result.detections
        width: int = answer.image.width
        box: Box = found[0].box
        assert 0 <= box.x1 < box.x2 <= width
        counts: dict[str, int] = answer.result.counts.additional_properties
        assert sum(counts.values()) == len(found)
    assert isinstance(found[0].mask, PolygonMask)
    corners: list[list[float]] = found[0].mask.polygons
    assert len(corners[0]) >= 6
    for masks, kind in ((MaskForm.RLE, RleMask), (MaskForm.NONE, type(None))):
        told = predict_damage.sync(client=client, body=form(photo), min_score=0.3, masks=masks)
        assert isinstance(told, DamageEnvelope)
        assert isinstance(told.result.detections[0].mask, kind)
    return found


def everything(client: AuthenticatedClient, photo: bytes) -> str:
    answer = inspect_photo.sync(client=client, body=form(photo), vehicle=InspectVehicleChoice.ALL, min_score=0.3)
    assert isinstance(answer, InspectEnvelope), answer
    assert not answer.problems.additional_properties
    assert answer.results.attributes
    color: str = answer.results.attributes.color.label
    assert answer.results.attributes.color.scores[color] == answer.results.attributes.color.score
    assert answer.results.car_details
    year: int | None = answer.results.car_details.best.year
    assert year is None or year > 1900
    assert answer.vehicles
    assert answer.vehicles[0].car_details
    assert answer.vehicles[0].car_details.candidates[0].score > 0
    assert answer.summary
    line: str = answer.summary[0].text
    assert answer.by_part
    indices: list[list[int]] = list(answer.by_part.additional_properties.values())
    assert all(isinstance(one, int) for several in indices for one in several)
    device_ms: float = answer.timings_ms.tasks["damage"].device
    assert device_ms > 0
    return line


def claim(url: str, photo: bytes) -> list[int]:
    """The events of a claim, decoded by the types that the document names for them; views covered are returned."""
    files = [("file", ("front.jpg", photo)), ("file", ("none.jpg", b"no photo"))]
    stream = post(f"{url}/v1/inspect/claim", files=files, headers={"Accept": "text/event-stream"}, timeout=60).text
    blocks = [block.split("\n") for block in stream.split("\n\n")[:-1] if not block.startswith(":")]
    events = [(name.removeprefix("event: "), json.loads(data.removeprefix("data: "))) for name, data in blocks]
    photos = {one.index: one for one in (ClaimPhoto.from_dict(data) for name, data in events if name == "photo")}
    problem: ProblemDetails | None = photos[1].problem
    assert problem is not None
    assert problem.code == "unsupported_media_type"
    assert photos[0].image is not None
    width: int = photos[0].image.width
    assert width > 0
    told = ClaimTold.from_dict(next(data for name, data in events if name == "claim"))
    damaged: bool | None = told.claim.damaged
    assert damaged is not None
    assert told.complete
    assert told.claim.views is not None
    return [index for indices in told.claim.views.covered.additional_properties.values() for index in indices]


def problems(client: AuthenticatedClient, photo: bytes) -> dict[str, int]:
    """What can go wrong, by its code, with the status."""
    found: dict[str, int] = {}

    def told(answer: object, status: HTTPStatus) -> None:
        assert isinstance(answer, ProblemDetails), answer
        assert answer.status == status
        assert answer.detail
        assert answer.request_id
        found[answer.code] = answer.status

    nothing = predict_damage.sync_detailed(client=client)
    told(nothing.parsed, nothing.status_code)
    empty = predict_damage.sync_detailed(client=client, body=form(b""))
    told(empty.parsed, empty.status_code)
    foreign = predict_damage.sync_detailed(client=client, body=form(b"no photo"))
    told(foreign.parsed, foreign.status_code)
    cut = predict_damage.sync_detailed(client=client, body=form(photo[:2000]))
    told(cut.parsed, cut.status_code)
    wild = predict_damage.sync_detailed(client=client, body=form(photo), min_score=2)
    told(wild.parsed, wild.status_code)
    late = predict_attributes.sync_detailed(client=client, body=form(photo), x_deadline_ms=50)
    if isinstance(late.parsed, ProblemDetails):  # a quick machine answers
        assert late.parsed.code in ("deadline_exceeded", "overloaded")
    other = predict_damage.sync_detailed(client=client, body=form(photo), version="none such")
    told(other.parsed, other.status_code)
    picture = mask_damage.sync_detailed(client=client, body=form(b"no photo"))
    told(picture.parsed, picture.status_code)
    stranger = get_model.sync_detailed("stranger", client=client)
    told(stranger.parsed, stranger.status_code)
    return found


def main(url: str, path: str) -> None:
    photo = Path(path).read_bytes()
    client = AuthenticatedClient(base_url=url, token="any, where the service has no keys", timeout=Timeout(60))
    ready = health_ready.sync(client=Client(base_url=url))
    assert isinstance(ready, Ready)
    assert ready.predictors["damage"] is State.READY
    listed = list_models.sync(client=client)
    assert isinstance(listed, ModelList)
    card: ModelCard = next(one for one in listed.models if one.name == "damage")
    figure: float = card.figures["box_ap50"]
    assert 0 < figure < 1
    labels: list[str] = card.labels["label"]
    found = damages(client, photo)
    assert {one.label for one in found} <= set(labels)
    picture = annotate_damage.sync(client=client, body=form(photo))
    masks = mask_damage.sync(client=client, body=form(photo), min_score=0.3)
    assert isinstance(picture, File)
    assert isinstance(masks, File)
    told = {
        "label": found[0].label,
        "line": everything(client, photo),
        "problems": problems(client, photo),
        "picture": picture.payload.read(2).hex(),
        "masks": masks.payload.read(4).hex(),
        "claim": claim(url, photo),
    }
    print(json.dumps(told))  # noqa: T201


if __name__ == "__main__":
    main(*sys.argv[1:])
