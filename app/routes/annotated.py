"""`POST /v1/NAME/annotated`: the photo with the answer drawn on it."""

from collections.abc import Callable, Iterable
from functools import partial
from typing import Annotated, Any

import numpy as np
from fastapi import APIRouter, Depends, Request
from numpy.typing import NDArray
from starlette.responses import Response

from app import errors, schemas
from app.door import Door
from app.options import from_query
from app.pipeline import Ask
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

BINARY = {"schema": {"type": "string", "format": "binary"}}


def negotiate(accept: str) -> MediaType:
    """The media type to answer with: the best of `KINDS` by the header's q-values, JPEG where it meets none."""
    wanted = [_range(part) for part in accept.split(",") if part.strip()]
    best: MediaType = "image/jpeg"
    best_quality = 0.0
    for kind in KINDS:
        # the most specific range that covers the kind decides, not the kindest
        fitting = [(len(pattern), quality) for pattern, quality in wanted if pattern in (kind, "image/*", "*/*")]
        exact = [quality for pattern, quality in wanted if pattern == kind]
        quality = max(exact) if exact else max(fitting, default=(0, 0.0))[1]
        if quality > best_quality:
            best, best_quality = kind, quality
    return best


def _range(text: str) -> tuple[str, float]:
    pattern, *parameters = (part.strip().lower() for part in text.split(";"))
    quality = next((value for key, _, value in (p.partition("=") for p in parameters) if key.strip() == "q"), "1")
    try:
        number = float(quality)
    except ValueError:
        number = 0.0
    return pattern, number if 0.0 <= number <= 1.0 else 0.0


def encode(kind: MediaType, pixels: NDArray[np.uint8]) -> tuple[MediaType, bytes]:
    """RGB uint8 (height, width, 3) to a file of `kind`, or to JPEG where that cannot hold it; the kind it became."""
    if kind == "image/webp" and max(pixels.shape[:2]) > WEBP_SIDE:
        kind = "image/jpeg"
    return kind, drawing.encode(pixels, kind)


def router(settings: Settings, predictors: Iterable[AnyPredictor], door: Door) -> APIRouter:
    routes = APIRouter(tags=["pictures"])
    for predictor in predictors:
        specification = predictor.specification
        if not specification.drawable:
            continue
        success = {
            "description": "The photo, upright and at full size, with the answer drawn on it.",
            "headers": {**RESPONSE_HEADERS, "Vary": {"description": "`Accept`.", "schema": {"type": "string"}}},
            "content": dict.fromkeys(KINDS, BINARY),
        }
        routes.add_api_route(
            f"/v1/{specification.name}/annotated",
            _endpoint(predictor, door),
            methods=["POST"],
            operation_id=f"annotate_{specification.name}",
            summary=f"{specification.summary}, drawn on the photo",
            description=f"The answer of `POST /v1/{specification.name}` as a picture: JPEG, or PNG or WebP where the "
            "header `Accept` prefers them. What `Accept` asks for and is not offered gets JPEG.",
            response_class=Response,
            response_model=None,
            responses={200: success, **errors.responses(*PHOTO_PROBLEMS)},
            openapi_extra=photo_call(settings),
        )
    return routes


def _endpoint(predictor: AnyPredictor, door: Door) -> Callable[..., Any]:
    read = from_query(predictor.specification.options)

    async def annotated(request: Request, options: Annotated[Options, Depends(read)]) -> Response:
        ask = Ask.of(predictor, options)
        kind = negotiate(",".join(request.headers.getlist("accept")))
        visit = await door.enter(request, [ask])
        work = door.pipeline.draw(ask, visit.data, visit.call, partial(encode, kind))
        drawn = await door.wait(request, visit, work)
        kind, picture = drawn.picture
        timings = {
            "receive": visit.receive_ms,
            "decode": drawn.decode_ms,
            **dict(drawn.answer.timings),
            "draw": drawn.draw_ms,
            "total": door.total_ms(visit),
        }
        headers = {"Server-Timing": schemas.server_timing(timings), "Vary": "Accept"}
        return Response(picture, media_type=kind, headers=headers)

    return annotated
