"""`POST /v1/NAME/annotated`, `/v1/inspect/annotated`: the photo with one answer, or several, drawn on it."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import partial
from typing import Annotated, Any

import numpy as np
from fastapi import APIRouter, Depends, Request
from numpy.typing import NDArray
from starlette.responses import Response

from app import errors, schemas
from app.accept import media_type
from app.ask import Ask
from app.door import Door
from app.options import chosen, from_query, inspect_options, task, with_version
from app.routes.predict import PHOTO_PROBLEMS, RESPONSE_HEADERS, photo_call
from app.schemas import AnyPredictor
from app.settings import Settings
from models import drawing
from models.drawing import MediaType
from models.predictor import Options

KINDS: tuple[MediaType, ...] = ("image/jpeg", "image/webp", "image/png")
"""What is offered, the best for the server first."""

WEBP_SIDE = 16_383
"""Pixels a side that the format can hold."""

FORMATS = (
    "JPEG, or PNG or WebP where the header `Accept` prefers them. What `Accept` asks for and is not offered gets JPEG."
)

BINARY = {"schema": {"type": "string", "format": "binary"}}


def encode(kind: MediaType, pixels: NDArray[np.uint8]) -> tuple[MediaType, bytes]:
    """RGB uint8 (height, width, 3) to a file of `kind`, or to JPEG where that cannot hold it; the kind it became."""
    if kind == "image/webp" and max(pixels.shape[:2]) > WEBP_SIDE:
        kind = "image/jpeg"
    return kind, drawing.encode(pixels, kind)


def router(settings: Settings, predictors: Iterable[AnyPredictor], door: Door) -> APIRouter:
    routes = APIRouter(tags=["pictures"])
    drawable = {one.specification.name: one for one in predictors if one.specification.drawable}
    success = {
        "description": "The photo, upright and at full size, with the answer drawn on it.",
        "headers": {**RESPONSE_HEADERS, "Vary": {"description": "`Accept`.", "schema": {"type": "string"}}},
        "content": dict.fromkeys(KINDS, BINARY),
    }
    common: dict[str, Any] = {
        "methods": ["POST"],
        "response_class": Response,
        "response_model": None,
        "openapi_extra": photo_call(settings),
    }
    for name, predictor in drawable.items():
        routes.add_api_route(
            f"/v1/{name}/annotated",
            _one(predictor, door),
            operation_id=f"annotate_{name}",
            summary=f"{predictor.specification.summary}, drawn on the photo",
            description=f"The answer of `POST /v1/{name}` as a picture: {FORMATS}",
            responses={200: success, **errors.responses(*PHOTO_PROBLEMS, errors.UnknownModel)},
            **common,
        )
    if drawable:
        routes.add_api_route(
            "/v1/inspect/annotated",
            _several(drawable, door),
            operation_id="annotate_photo",
            summary="Several answers, drawn on one photo",
            description="The answers of the predictors that `tasks` names, those of the first on top, as a picture: "
            f"{FORMATS} Where one of them has a problem, that is the answer: a picture cannot say what it lacks.",
            responses={200: success, **errors.responses(*PHOTO_PROBLEMS)},
            **common,
        )
    return routes


def _one(predictor: AnyPredictor, door: Door) -> Callable[..., Any]:
    read = from_query(with_version(predictor.specification.options))

    async def annotated(request: Request, options: Annotated[Options, Depends(read)]) -> Response:
        return await _draw(request, [task(predictor, options)], door, getattr(options, "version", None))

    return annotated


def _several(predictors: Mapping[str, AnyPredictor], door: Door) -> Callable[..., Any]:
    read = from_query(inspect_options(predictors.values(), every=False))

    async def annotated(request: Request, options: Annotated[Options, Depends(read)]) -> Response:
        names = chosen(getattr(options, "tasks", None), predictors, "is not served, or draws nothing")
        return await _draw(request, [task(predictors[name], options) for name in names], door)

    return annotated


async def _draw(request: Request, asks: Sequence[Ask], door: Door, version: str | None = None) -> Response:
    kind = media_type(",".join(request.headers.getlist("accept")), KINDS)
    visit = await door.enter(request, asks, version)
    for refusal in visit.refused.values():
        raise refusal
    asks, drawing = visit.asks, partial(encode, kind)
    drawn = await door.wait(request, visit, door.pipeline.draw(asks, visit.data, visit.call, drawing))
    kind, picture = drawn.picture
    timings: dict[str, float | None] = {"receive": visit.receive_ms, "decode": drawn.decode_ms}
    for name, answer in drawn.answers.items():
        prefix = "" if len(asks) == 1 else f"{name}."
        timings |= {f"{prefix}{step}": value for step, value in dict(answer.timings).items()}
    timings |= {"draw": drawn.draw_ms, "total": door.total_ms(visit)}
    headers = {"Server-Timing": schemas.server_timing(timings), "Vary": "Accept"}
    return Response(picture, media_type=kind, headers=headers)
