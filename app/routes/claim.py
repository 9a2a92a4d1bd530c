"""`POST /v1/inspect/claim`: several photos of one vehicle; an answer for each, and what they tell together."""

import json
from collections.abc import Mapping
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Request
from pydantic import BaseModel
from starlette.responses import Response

from app import errors, events, schemas
from app.album import MOST_PHOTOS
from app.claim_answer import ClaimAnswer
from app.claim_schemas import EVENTS, claim_model, events_openapi, example, request_body_openapi
from app.door import Door
from app.forms import FIELD
from app.options import from_query, inspect_options
from app.places import Places
from app.routes.inspect import HEADERS, LANGUAGE_HEADER, inspect_example
from app.routes.predict import PHOTO_PROBLEMS, REQUEST_ID_HEADER, deadline_header
from app.schemas import AnyPredictor
from app.settings import Settings
from models.predictor import Options

DESCRIPTION = (
    f"Asks several predictors about each of up to {MOST_PHOTOS} photos of one vehicle, sent as one form in which every "
    f"photo is a field `{FIELD}`. Photos are worked on while later ones still arrive. `photos` has an answer for each, "
    "as `/v1/inspect` gives it, or its `problem`: each fails alone. `claim` sums all of them up: which vehicle it is "
    "by the evidence of all photos, its colour and type, which sides are shown and which are missing, the damages by "
    "class and view, and what speaks against one vehicle on all photos.\n\n"
    f"With `Accept: {events.MEDIA_TYPE}` the answers come as they are ready: an event `photo` for each, in any order, "
    f"with what would be its entry in `photos` (`{EVENTS['photo']}`); then `claim`, with the rest of the answer "
    f"(`{EVENTS['claim']}`). Where the whole claim fails after the first of them, the last event is `problem` "
    f"(`{EVENTS['problem']}`). After {events.KEEP_ALIVE_S:g} seconds without an event there is a comment, from the "
    "beginning on.\n\n"
    "One deadline holds for all photos. Those that are not done by then have the problem `deadline_exceeded`, and the "
    "claim is summed up from the others; where there are none, that is the answer. It counts as one request where "
    "requests are limited."
)
VARY = "Accept, Accept-Language"


def router(
    settings: Settings, predictors: Mapping[str, AnyPredictor], door: Door, envelope: type[BaseModel]
) -> APIRouter:
    """`envelope` is that of `/v1/inspect`."""
    routes = APIRouter(tags=["predictions"])
    places = Places(settings.max_claims)
    read = from_query(inspect_options(predictors.values(), every=False, but={"box"}))

    async def inspect_claim(request: Request, options: Annotated[Options, Depends(read)]) -> Response:
        answer = ClaimAnswer(request, settings, predictors, door, places, options)
        await answer.enter()
        headers = {"Content-Language": answer.told_in, "Vary": VARY}
        if events.wanted(",".join(request.headers.getlist("accept"))):
            return events.EventStream(request, lambda put: _stream(answer, put), headers)
        told = await answer.run()
        photos = b"[%b]" % b",".join(answer.entries[index] for index in sorted(answer.entries))
        headers["Server-Timing"] = schemas.server_timing(json.loads(told["timings_ms"]))
        if not answer.complete:
            headers["Connection"] = "close"  # what still comes of the body is not read
        # the photos stand before what is told of all of them
        body = schemas.json_object(
            {"request_id": told["request_id"], "models": told["models"], "photos": photos} | told
        )
        return Response(body, media_type="application/json", headers=headers)

    told = example(inspect_example(predictors, door.pipeline.joins))
    content = {
        "application/json": {"example": told},
        events.MEDIA_TYPE: {"schema": events_openapi(), "example": _event_example(told)},
    }
    success = {"description": "The answers.", "headers": HEADERS, "content": content}
    deadline = deadline_header(settings.default_claim_deadline_ms, settings.max_claim_deadline_ms)
    routes.add_api_route(
        "/v1/inspect/claim",
        inspect_claim,
        methods=["POST"],
        operation_id="inspect_claim",
        summary="Several photos of one vehicle, and what they tell together",
        description=DESCRIPTION,
        response_model=claim_model(envelope),
        responses={200: success, **errors.responses(*PHOTO_PROBLEMS, errors.TooManyPhotos)},
        openapi_extra={
            "parameters": [deadline, REQUEST_ID_HEADER, LANGUAGE_HEADER],
            "requestBody": request_body_openapi(MOST_PHOTOS, FIELD),
        },
    )
    return routes


async def _stream(answer: ClaimAnswer, put: events.Put) -> None:
    told = await answer.run(lambda entry: put("photo", entry))
    put("claim", schemas.json_object(told))


def _event_example(told: Mapping[str, Any]) -> str:
    rest = {name: value for name, value in told.items() if name != "photos"}
    lines = [*(("photo", photo) for photo in told["photos"]), ("claim", rest)]
    return "".join(f"event: {name}\ndata: {json.dumps(data)}\n\n" for name, data in lines)
