"""The API held against its own OpenAPI document with every check on, by requests made from it and photos of our own."""

import base64
from typing import Any

import schemathesis
from fastapi import FastAPI
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from schemathesis.checks import not_a_server_error
from schemathesis.core.transforms import deepclone
from schemathesis.specs.openapi.checks import negative_data_rejection
from schemathesis.transport.serialization import Binary
from starlette.types import Receive, Scope, Send

from tests.fakes import Brightness, photo
from tests.gateway import application, until

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
tasks = st.lists(st.sampled_from(["one", "two"]), min_size=1, max_size=3).map(",".join)

schemathesis.openapi.format("binary", photos.map(Binary))
schemathesis.openapi.format("photo-as-text", base64_photos)
schemathesis.openapi.format("box", boxes)
schemathesis.openapi.format("tasks", tasks)
for kind in ("image/*", "application/octet-stream"):
    schemathesis.openapi.media_type(kind, photos)


def with_formats(document: dict[str, Any]) -> dict[str, Any]:
    """What JSON Schema cannot say of a value, as a format that the strategies above make values of."""
    document = deepclone(document)
    for item in document["paths"].values():
        for operation in item.values():
            for parameter in operation.get("parameters", []):
                if parameter["name"] in ("box", "tasks"):
                    parameter["schema"] = {"type": "string", "format": parameter["name"]}
                if parameter["in"] == "path":
                    parameter["schema"]["enum"] = ["one", "two"]
                elif parameter["name"] == "version":
                    parameter["schema"] = {"type": "string", "enum": ["1.0.0"]}
            content = operation.get("requestBody", {}).get("content", {})
            if content:
                content["application/json"]["schema"]["properties"]["image"] = {
                    "type": "string",
                    "format": "photo-as-text",
                }
    return document


class Served:
    """A gateway for every lifespan, because schemathesis starts one for each call of the document, and a gateway
    starts once; a request waits until the fakes are loaded."""

    def __init__(self) -> None:
        self.app = self.fresh()

    @staticmethod
    def fresh() -> FastAPI:
        return application(Brightness("one"), Brightness("two"))

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            self.app = self.fresh()
        else:
            await until(lambda: bool(self.app.state.shelf.ready))
        await self.app(scope, receive, send)


served = Served()
api = schemathesis.openapi.from_dict(with_formats(served.app.openapi()))
api.app = served


@api.parametrize()
@settings(
    max_examples=12,
    deadline=None,
    database=None,
    derandomize=True,
    suppress_health_check=list(HealthCheck),
)
def test_every_call_keeps_its_contract(case: schemathesis.Case[Any]) -> None:
    response = case.call()
    excluded: list[Any] = []
    # A header that the document does not name must be let pass (RFC 9110, 5.1): every proxy adds some.
    if any(name.lower() == UNKNOWN for name in case.headers):
        excluded.append(negative_data_rejection)
    # Who allows 50 ms on a busy machine is told that they were too few: a right answer, and a declared one.
    if response.status_code == 504 and "X-Deadline-Ms" in case.headers:
        excluded.append(not_a_server_error)
    case.validate_response(response, excluded_checks=excluded)
