"""The bodies of `/v1/inspect/claim`: one photo of a claim, and all of it."""

from collections.abc import Mapping
from typing import Any

from fastapi import FastAPI
from pydantic import BaseModel, Field, create_model

from app.errors import BodyTooLarge, ProblemDetails
from app.schemas import EXAMPLE_ID, Image, InspectTimings, Model
from models.claim.rollup import Claim

OWN = ("request_id", "models", "image", "timings_ms", "vehicles")
"""What a photo of a claim does not have as `/v1/inspect` has it."""


class ClaimTimings(BaseModel):
    """Where the time went, in milliseconds; the photos' own are theirs."""

    receive: float = Field(description="The request's body coming in, with the waits for photos that came before.")
    roll_up: float = Field(description="What all photos tell together.")
    total: float = Field(description="All of it, from the request's head to the answer.")


class ClaimTold(BaseModel):
    """What is told of all photos of a claim together: the data of the event `claim`."""

    request_id: str = Field(description="As in the header `X-Request-ID`.")
    models: dict[str, Model] = Field(description="By task, those that were asked.")
    claim: Claim
    complete: bool = Field(
        description="Whether the whole form had come before the deadline; else there may be photos that nothing is "
        "told of."
    )
    timings_ms: ClaimTimings


def photo_model(inspect: type[BaseModel]) -> type[BaseModel]:
    """One photo, with what `inspect`, the envelope of `/v1/inspect`, tells of it.

    Raises `ValueError` where a join adds a field to that which a photo of a claim has already.
    """
    if taken := {"index", "file", "problem"} & set(inspect.model_fields):
        raise ValueError(f"a join adds {', '.join(sorted(taken))}, which each photo of a claim has already")
    fields: dict[str, Any] = {
        "index": (int, Field(description="Its place among the photos of the form, from 0.")),
        "file": (str | None, Field(description="Its file name, as the form has it.")),
        "image": (Image | None, Field(description="Null where the photo could not be read.")),
        **{name: (field.annotation, field) for name, field in inspect.model_fields.items() if name not in OWN},
        "problem": (
            ProblemDetails | None,
            Field(description="Why the photo has no answer at all; null where it has one."),
        ),
        "timings_ms": (
            InspectTimings | None,
            Field(description="From the photo's first byte on. Null where the photo could not be read."),
        ),
    }
    return create_model("ClaimPhoto", __doc__="One photo of a claim. It fails alone.", **fields)


EVENTS = {"photo": "ClaimPhoto", "claim": ClaimTold.__name__, "problem": ProblemDetails.__name__}
"""The schema of each event's data, by the event's name."""


def install(app: FastAPI) -> None:
    """Puts the schema of the event `claim` into the OpenAPI document: no answer refers to it, so it would be left
    out."""
    document = app.openapi

    def with_events() -> dict[str, Any]:
        found = document()
        told = ClaimTold.model_json_schema(mode="serialization", ref_template="#/components/schemas/{model}")
        del told["$defs"]  # they are there already, by the answer that is one JSON
        found["components"]["schemas"].setdefault(ClaimTold.__name__, told)
        return found

    app.openapi = with_events  # type: ignore[method-assign]


def events_openapi() -> dict[str, Any]:
    """The schema of the stream: OpenAPI 3.1 has no words for events, so `x-events` refers to the schemas of their
    data."""
    data = {name: {"$ref": f"#/components/schemas/{schema}"} for name, schema in EVENTS.items()}
    told = ", ".join(f"of `{name}` a `{schema}`" for name, schema in EVENTS.items())
    return {
        "type": "string",
        "description": f"Events as HTML's standard has them; `data` is JSON on one line: {told}. Lines that begin with "
        "`:` are comments.",
        "x-events": data,
    }


def claim_model(inspect: type[BaseModel]) -> type[BaseModel]:
    photo: Any = photo_model(inspect)
    photos: Any = (list[photo], Field(description="Every photo, in the order of the form."))
    return create_model(
        "ClaimEnvelope",
        __base__=ClaimTold,
        __doc__="The answers to a claim's photos, and what they tell together.",
        photos=photos,
    )


def request_body_openapi(most: int, field: str) -> dict[str, Any]:
    """The `requestBody` of a claim, in the words of OpenAPI 3.1."""
    photo = {"type": "string", "format": "binary", "contentMediaType": "application/octet-stream"}
    photos = {
        "type": "array",
        "items": photo,
        "minItems": 1,
        "maxItems": most,
        "description": f"The photos, each as a field `{field}` of its own.",
    }
    form = {"type": "object", "required": [field], "properties": {field: photos}, "additionalProperties": False}
    return {
        "required": True,
        "description": f"1 to {most} photos of one vehicle, in the formats that every photo call reads.",
        "content": {"multipart/form-data": {"schema": form}},
    }


def example(inspect: Mapping[str, Any]) -> dict[str, Any]:
    """An answer as it may look: a photo that `/v1/inspect` answers by its example `inspect`, and one that is too
    large."""
    told = {name: value for name, value in inspect.items() if name not in OWN}
    times = {"receive": 310.0, "decode": 21.4, "join": 0.6, "total": 450.2, "tasks": {}}
    nothing: dict[str, Any] = {**dict.fromkeys(told), "results": {}, "problems": {}, "left_out": {}}
    problem = BodyTooLarge(BodyTooLarge.example).body(EXAMPLE_ID)
    failed = {"image": None, **nothing, "problem": problem, "timings_ms": None}
    answered = {"image": inspect.get("image"), **nothing, **told, "problem": None, "timings_ms": times}
    return {
        "request_id": EXAMPLE_ID,
        "models": inspect.get("models", {}),
        "photos": [{"index": 0, "file": "front.jpg", **answered}, {"index": 1, "file": "back.jpg", **failed}],
        "claim": CLAIM,
        "complete": True,
        "timings_ms": {"receive": 902.1, "roll_up": 0.4, "total": 1105.0},
    }


_BEST = {"label": "Audi TTS Coupe 2012", "make": "Audi", "model": "TTS Coupe", "year": 2012, "score": 0.93}
CLAIM: dict[str, Any] = {
    "vehicle": {"recognised": True, "best": _BEST, "candidates": [_BEST], "photos": [0]},
    "color": {"label": "red", "score": 0.98, "agreed": True, "photos": [0]},
    "type": {"label": "sedan", "score": 0.91, "agreed": True, "photos": [0]},
    "views": {"covered": {"front_left": [0], "front": [0], "left": [0]}, "missing": ["back", "right"]},
    "damaged": True,
    "damages": [{"label": "dent", "view": "front_left", "photos": [0], "count": 1, "seen": 1}],
    "one_vehicle": True,
    "doubts": [],
}
