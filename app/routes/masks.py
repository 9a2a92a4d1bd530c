"""`POST /v1/NAME/masks`: what a predictor outlined, as masks to keep: one of all classes, or each thing by itself."""

from collections.abc import Callable, Iterable
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Depends, Request
from starlette.responses import Response

from app import errors, schemas
from app.accept import media_type
from app.ask import Answer, Ask
from app.door import Door, Visit
from app.failures import problem_of
from app.options import from_query, task, with_version, without
from app.pipeline import Seen
from app.routes.annotated import BINARY
from app.routes.predict import PHOTO_PROBLEMS, RESPONSE_HEADERS, envelope, photo_call, timings_of
from app.schemas import AnyPredictor
from app.settings import Settings
from models import masks
from models.predictor import Options, Specification

Kind = Literal["image/png", "application/zip"]
KINDS: tuple[Kind, ...] = ("image/png", "application/zip")
"""What is offered; the first where `Accept` meets neither."""

FORMATS = (
    f"By default a PNG with a palette: the value of a pixel is the index of its class, 0 where there is nothing; where "
    f"two overlap the surer one has it. The text chunk `{masks.LEGEND_KEY}` of the file tells the legend. With "
    "`Accept: application/zip` an archive: `NN_label.png` for each thing in the order of the answer, NN from 00, grey, "
    "255 in the mask and 0 beside it; `classes.png`, the PNG of before; and `answer.json`, the answer itself."
)


def router(settings: Settings, predictors: Iterable[AnyPredictor], door: Door) -> APIRouter:
    """Raises `ValueError` where a legend has more labels than there are indices."""
    routes = APIRouter(tags=["pictures"])
    for predictor in predictors:
        specification = predictor.specification
        if not specification.legend:
            continue
        if len(specification.legend) > masks.MOST_LABELS:
            raise ValueError(f"{specification.name}: a legend has {masks.MOST_LABELS} labels at most")
        success = {
            "description": f"The masks, of the size of the upright photo. {legend_text(specification)}",
            "headers": {**RESPONSE_HEADERS, "Vary": {"description": "`Accept`.", "schema": {"type": "string"}}},
            "content": dict.fromkeys(KINDS, BINARY),
        }
        routes.add_api_route(
            f"/v1/{specification.name}/masks",
            _endpoint(predictor, door),
            methods=["POST"],
            operation_id=f"mask_{specification.name}",
            summary=f"{specification.summary}, as masks",
            description=f"The masks in the answer of `POST /v1/{specification.name}`. {FORMATS}",
            response_class=Response,
            response_model=None,
            responses={200: success, **errors.responses(*PHOTO_PROBLEMS, errors.UnknownModel)},
            openapi_extra=photo_call(settings),
        )
    return routes


def legend_text(specification: Specification) -> str:
    """The legend for people."""
    told = masks.told_legend(specification.legend)
    return "The legend: 0 nothing, " + ", ".join("{index} `{label}` {color}".format(**one) for one in told) + "."


def _endpoint(predictor: AnyPredictor, door: Door) -> Callable[..., Any]:
    read = from_query(with_version(without(predictor.specification.options, "masks")))

    async def masked(request: Request, options: Annotated[Options, Depends(read)]) -> Response:
        kind = media_type(",".join(request.headers.getlist("accept")), KINDS)
        visit = await door.enter(request, [task(predictor, options)], getattr(options, "version", None))
        body, timings = await door.wait(request, visit, _made(visit, door, kind))
        timings = {**timings, "total": door.total_ms(visit)}
        headers = {"Server-Timing": schemas.server_timing(timings), "Vary": "Accept"}
        return Response(body, media_type=kind, headers=headers)

    return masked


async def _made(visit: Visit, door: Door, kind: Kind) -> tuple[bytes, dict[str, float | None]]:
    """The file, and the milliseconds of every step to it."""
    seen = await door.pipeline.look(visit.asks, visit.data, visit.call)
    (ask,) = visit.asks
    answer = seen.outcomes[ask.name]
    if isinstance(answer, errors.Problem):
        raise answer
    timings = timings_of(visit, seen, answer, door)
    whole = envelope(visit, ask, seen, answer, timings) if kind == "application/zip" else b""
    try:
        body, draw_ms = await door.pipeline.render(seen.header, _file, kind, ask, answer, seen, whole)
    except Exception as error:
        raise problem_of(error, ask.name, visit.call.request_id) from error
    return body, {**timings.model_dump(exclude={"total"}), "draw": draw_ms}


def _file(kind: Kind, ask: Ask, answer: Answer, seen: Seen, whole: bytes) -> bytes:
    found, legend = ask.predictor.masks(answer.value), ask.predictor.specification.legend
    size = (seen.header.width, seen.header.height)
    if kind == "application/zip":
        return masks.archive(found, legend, *size, answer=whole)
    return masks.class_png(found, legend, *size)
