"""The bodies of `/v1/inspect/claim`: one photo of a claim, and all of it."""

from collections.abc import Mapping
from typing import Any

from pydantic import BaseModel, Field, create_model

from app.errors import BodyTooLarge, ProblemDetails
from app.schemas import EXAMPLE_ID, AnyPredictor, Image, InspectTimings, Model
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
    """One photo, with what `inspect`, the envelope of `/v1/inspect`, tells of it."""
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
            Field(description="From the photo's first byte on. Null where the photo has no answer."),
        ),
    }
    return create_model("ClaimPhoto", __doc__="One photo of a claim. It fails alone.", **fields)


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


def example(predictors: Mapping[str, AnyPredictor]) -> dict[str, Any]:
    """A claim of one photo that was too large; what an answered one looks like, `/v1/inspect` shows."""
    problem = BodyTooLarge(BodyTooLarge.example).body(EXAMPLE_ID)
    photo = {"index": 0, "file": "front.jpg", "image": None, "results": {}, "problems": {}, "left_out": {}}
    claim = Claim(
        vehicle=None, color=None, type=None, views=None, damaged=None, damages=None, one_vehicle=None, doubts=[]
    )
    timings = {"receive": 310.0, "roll_up": 0.2, "total": 320.5}
    return {
        "request_id": EXAMPLE_ID,
        "models": {},
        "photos": [{**photo, "problem": problem, "timings_ms": None}],
        "claim": claim.model_dump(mode="json"),
        "complete": True,
        "timings_ms": timings,
    }
