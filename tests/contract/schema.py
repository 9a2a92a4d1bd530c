"""What requests are made of from the OpenAPI document, and which checks hold for their answers: with photos of our own,
since no schema tells how one is made."""

import base64
from collections.abc import Sequence
from typing import Any

import schemathesis
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from schemathesis.checks import not_a_server_error
from schemathesis.core.transforms import deepclone
from schemathesis.specs.openapi.checks import negative_data_rejection
from schemathesis.transport.serialization import Binary

from tests.fakes import photo

KINDS = ("JPEG", "PNG", "WEBP", "GIF", "BMP", "TIFF", "AVIF")
WIDTH, HEIGHT = 48, 40
"""Every photo has at least this size, so that a box from `boxes` leaves something of it."""

UNKNOWN = "x-schemathesis-unknown-property"
"""The header by which schemathesis tries whether undeclared ones are refused."""

photos = st.builds(
    photo,
    st.integers(WIDTH, 90),
    st.integers(HEIGHT, 70),
    st.sampled_from(KINDS),
    st.tuples(*[st.integers(0, 255)] * 3),
)
base64_photos = photos.map(lambda data: base64.b64encode(data).decode())
boxes = st.builds(
    lambda x, y, width, height: f"{x},{y},{x + width},{y + height}",
    st.integers(-5, WIDTH - 8),
    st.floats(-5, HEIGHT - 8, width=16),
    st.floats(7, 500, width=16),
    st.integers(7, 500),
)

schemathesis.openapi.format("binary", photos.map(Binary))
schemathesis.openapi.format("photo-as-text", base64_photos)
schemathesis.openapi.format("box", boxes)
for kind in ("image/*", "application/octet-stream"):
    schemathesis.openapi.media_type(kind, photos)


def with_formats(document: dict[str, Any], names: Sequence[str]) -> dict[str, Any]:
    """What JSON Schema cannot say of a value, as a format that the strategies above make values of; `names` are those
    of the predictors that are served."""
    document = deepclone(document)
    for item in document["paths"].values():
        for operation in item.values():
            for parameter in operation.get("parameters", []):
                if parameter["name"] == "box":
                    parameter["schema"] = {"type": "string", "format": "box"}
                if parameter["name"] == "tasks":
                    parameter["schema"] = {
                        "type": "string",
                        "enum": [*names, ",".join(names), f"{names[0]},{names[-1]}"],
                    }
                if parameter["in"] == "path":
                    parameter["schema"]["enum"] = list(names)
                elif parameter["name"] == "version":
                    parameter["schema"] = {"type": "string", "enum": ["1.0.0"]}
    text = {"type": "string", "format": "photo-as-text"}
    document["components"]["schemas"]["PhotoText"]["properties"]["image"] = text
    return document


steady = settings(
    max_examples=12,
    deadline=None,
    database=None,
    derandomize=True,
    suppress_health_check=list(HealthCheck),
)
"""The same requests every time."""


def check(case: schemathesis.Case[Any], response: Any) -> None:
    """Every check there is, but for three exceptions."""
    excluded: list[Any] = []
    # A header that the document does not name must be let pass (RFC 9110, 5.1): every proxy adds some.
    if any(name.lower() == UNKNOWN for name in case.headers):
        excluded.append(negative_data_rejection)
    # What is no photo is the problem of that photo of the claim, and the others are answered.
    claimed = case.path == "/v1/inspect/claim" and response.status_code == 200
    if claimed and any(photo["problem"] for photo in response.json()["photos"]):
        excluded.append(negative_data_rejection)
    # Who allows 50 ms on a busy machine is told that they were too few: right answers, and declared ones.
    if response.status_code in (503, 504) and "X-Deadline-Ms" in case.headers:
        excluded.append(not_a_server_error)
    case.validate_response(response, excluded_checks=excluded)
