"""`POST /v1/NAME`: one photo, one predictor, one typed answer."""

import json
from collections.abc import Iterable
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Request
from starlette.responses import Response

from app import errors, intake, schemas
from app.ask import Answer, Ask
from app.door import Door, Visit
from app.options import from_query, task, with_version
from app.pipeline import Seen
from app.schemas import AnyPredictor
from app.settings import Settings
from models.predictor import Options, Specification

PHOTO_PROBLEMS = (
    errors.MissingImage,
    errors.EmptyImage,
    errors.MalformedRequest,
    errors.BodyTooLarge,
    errors.ImageTooLarge,
    errors.UnsupportedMediaType,
    errors.UndecodableImage,
    errors.InvalidOption,
    errors.PredictionFailed,
    errors.Overloaded,
    errors.NotReady,
    errors.ShuttingDown,
    errors.DeadlineExceeded,
)

RESPONSE_HEADERS = {
    "X-Request-ID": {"description": "The request's id, yours or made here.", "schema": {"type": "string"}},
    "Server-Timing": {"description": "The timings, for browsers' tools.", "schema": {"type": "string"}},
}

REQUEST_ID_HEADER = {
    "name": "X-Request-ID",
    "in": "header",
    "required": False,
    "description": "Your id for this request, up to 64 letters, digits and `._-`; anything else is replaced.",
    "schema": {"type": "string"},
}


def photo_call(settings: Settings) -> dict[str, Any]:
    """What the OpenAPI of every photo call has beside its options: the headers and the three forms of the body."""
    parameters = [deadline_header(settings.default_deadline_ms, settings.max_deadline_ms), REQUEST_ID_HEADER]
    return {"parameters": parameters, "requestBody": intake.request_body_openapi()}


def deadline_header(default_ms: int, max_ms: int) -> dict[str, Any]:
    return {
        "name": "X-Deadline-Ms",
        "in": "header",
        "required": False,
        "description": "Milliseconds from the request's head until the answer is of no more use.",
        "schema": {
            "type": "integer",
            "minimum": 50,
            "maximum": max_ms,
            "default": default_ms,
        },
    }


def example_envelope(specification: Specification) -> dict[str, Any]:
    """An answer as it may look, for the documentation."""
    return {
        "request_id": schemas.EXAMPLE_ID,
        "model": example_model(specification.name),
        "image": EXAMPLE_IMAGE,
        "result": dict(specification.example),
        "timings_ms": {"receive": 1.9, "decode": 21.4, **EXAMPLE_TASK, "total": 119.2},
    }


EXAMPLE_IMAGE = {"width": 3024, "height": 4032, "format": "JPEG", "exif_orientation": 6}
EXAMPLE_TASK = {"prepare": 2.2, "queue": 0.1, "device": 90.3, "finish": 3.0}


def example_model(name: str) -> dict[str, str]:
    weights = "sha256:9f2c41d07be6"
    return {
        "name": name,
        "version": "1.0.0",
        "architecture": "resnet18",
        "weights": weights,
        "backend": "openvino",
        "device": "cpu",
    }


def router(settings: Settings, predictors: Iterable[AnyPredictor], door: Door) -> APIRouter:
    routes = APIRouter(tags=["predictions"])
    for predictor in predictors:
        specification = predictor.specification
        example = {"application/json": {"example": example_envelope(specification)}} if specification.example else {}
        success = {"description": "The answer.", "headers": RESPONSE_HEADERS, "content": example}
        routes.add_api_route(
            f"/v1/{specification.name}",
            _endpoint(predictor, door),
            methods=["POST"],
            operation_id=f"predict_{specification.name}",
            summary=specification.summary,
            description=specification.description,
            response_model=schemas.envelope_model(specification),
            responses={200: success, **errors.responses(*PHOTO_PROBLEMS, errors.UnknownModel)},
            openapi_extra=photo_call(settings),
        )
    return routes


def _endpoint(predictor: AnyPredictor, door: Door) -> Any:
    read = from_query(with_version(predictor.specification.options))

    async def predict(request: Request, options: Annotated[Options, Depends(read)]) -> Response:
        version: str | None = getattr(options, "version", None)
        visit = await door.enter(request, [task(predictor, options)], version)
        (ask,) = visit.asks
        seen = await door.wait(request, visit, door.pipeline.look(visit.asks, visit.data, visit.call))
        answer = seen.outcomes[ask.name]
        if isinstance(answer, errors.Problem):
            raise answer
        timings = timings_of(visit, seen, answer, door)
        headers = {"Server-Timing": schemas.server_timing(timings.model_dump())}
        body = envelope(visit, ask, seen, answer, timings)
        return Response(body, media_type="application/json", headers=headers)

    return predict


def timings_of(visit: Visit, seen: Seen, answer: Answer, door: Door) -> schemas.Timings:
    """Where the time went until now."""
    return schemas.Timings(
        receive=visit.receive_ms, decode=seen.decode_ms, **dict(answer.timings), total=door.total_ms(visit)
    )


def envelope(visit: Visit, ask: Ask, seen: Seen, answer: Answer, timings: schemas.Timings) -> bytes:
    """One predictor's answer with what it was made from, as JSON."""
    return schemas.json_object(
        {
            "request_id": json.dumps(visit.call.request_id).encode(),
            "model": schemas.json_of(schemas.model_info(ask.name, ask.predictor.card)),
            "image": schemas.json_of(schemas.image_info(seen.header)),
            "result": answer.json,
            "timings_ms": schemas.json_of(timings, exclude_none=True),
        }
    )
