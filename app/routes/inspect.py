"""`POST /v1/inspect`: several predictors' answers from one decode; one that fails does not take the others along."""

import json
import logging
from collections.abc import Mapping
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Request
from starlette.responses import Response

from app import errors, schemas
from app.ask import Answer, Ask
from app.door import Door, Visit
from app.options import chosen, from_query, inspect_options, task
from app.pipeline import Seen
from app.routes.predict import (
    EXAMPLE_IMAGE,
    EXAMPLE_TASK,
    PHOTO_PROBLEMS,
    RESPONSE_HEADERS,
    example_model,
    photo_call,
)
from app.schemas import AnyPredictor
from app.settings import Settings
from models.answers import Box
from models.joins import damages_by_vehicle
from models.predictor import Options
from models.predictors.damage import DamageAnswer

log = logging.getLogger("carlens")

DESCRIPTION = (
    "Asks several predictors about one photo, which is decoded once. `tasks` says which; without it all are asked. "
    "Every option holds for each task that has it. The answer is 200 as soon as one task has an answer; each of the "
    "others has its problem under `problems`. Where none has an answer, the first task's problem is the answer. With "
    "`vehicle=all` each vehicle in the photo has its own answers, under `vehicles`, and the damages that lie on it."
)


def router(settings: Settings, predictors: Mapping[str, AnyPredictor], door: Door) -> APIRouter:
    routes = APIRouter(tags=["predictions"])
    read = from_query(inspect_options(predictors.values()))

    async def inspect(request: Request, options: Annotated[Options, Depends(read)]) -> Response:
        asks = [task(predictors[name], options) for name in chosen(getattr(options, "tasks", None), predictors)]
        visit = await door.enter(request, asks)
        seen = await door.wait(request, visit, door.pipeline.look(visit.asks, visit.data, visit.call))
        outcomes = {ask.name: visit.refused.get(ask.name) or seen.outcomes[ask.name] for ask in asks}
        answers = {name: outcome for name, outcome in outcomes.items() if isinstance(outcome, Answer)}
        problems = {name: outcome for name, outcome in outcomes.items() if isinstance(outcome, errors.Problem)}
        if not answers:
            raise problems[asks[0].name]
        _log(visit, problems)
        for one in seen.each[1:]:  # the first one's are those of the photo
            _log(
                visit, {name: problem for name, problem in one.outcomes.items() if isinstance(problem, errors.Problem)}
            )
        total_ms = door.total_ms(visit)
        body = _body(asks, visit, seen, answers, problems, total_ms)
        return Response(body, media_type="application/json", headers=_headers(visit, seen, answers, total_ms))

    example = _example(predictors)
    content = {"application/json": {"example": example}} if example else {}
    success = {"description": "The answers.", "headers": RESPONSE_HEADERS, "content": content}
    routes.add_api_route(
        "/v1/inspect",
        inspect,
        methods=["POST"],
        operation_id="inspect_photo",
        summary="Everything about one photo at once",
        description=DESCRIPTION,
        response_model=schemas.inspect_model(predictor.specification for predictor in predictors.values()),
        responses={200: success, **errors.responses(*PHOTO_PROBLEMS)},
        openapi_extra=photo_call(settings),
    )
    return routes


def _log(visit: Visit, outcomes: Mapping[str, Answer | errors.Problem]) -> None:
    for name, outcome in outcomes.items():
        if isinstance(outcome, errors.Problem) and outcome.status == 500:
            log.error("request %s: %s of %s", visit.call.request_id, outcome.code, name, exc_info=outcome)


def _body(
    asks: list[Ask],
    visit: Visit,
    seen: Seen,
    answers: Mapping[str, Answer],
    problems: Mapping[str, errors.Problem],
    total_ms: float,
) -> bytes:
    infos = {ask.name: schemas.json_of(schemas.model_info(ask.name, ask.predictor.card)) for ask in asks}
    damage = answers.get("damage")
    vehicles = _vehicles(visit, seen, damage) if any(ask.every for ask in asks) else {}
    timings = schemas.InspectTimings(
        receive=visit.receive_ms,
        decode=seen.decode_ms,
        total=total_ms,
        tasks={name: answer.timings for name, answer in answers.items()},
    )
    return schemas.json_object(
        {
            "request_id": json.dumps(visit.call.request_id).encode(),
            "models": schemas.json_object(infos),
            "image": schemas.json_of(schemas.image_info(seen.header)),
            "results": schemas.json_object(
                {ask.name: answers[ask.name].json if ask.name in answers else b"null" for ask in asks}
            ),
            "problems": _told(visit, problems),
            **vehicles,
            "timings_ms": schemas.json_of(timings, exclude_none=True),
        }
    )


def _told(visit: Visit, problems: Mapping[str, errors.Problem]) -> bytes:
    return json.dumps({name: problem.body(visit.call.request_id) for name, problem in problems.items()}).encode()


def _vehicles(visit: Visit, seen: Seen, damage: Answer | None) -> dict[str, bytes]:
    """Each vehicle with what was said of it, the main one first."""
    detections = damage.value.detections if damage is not None and isinstance(damage.value, DamageAnswer) else None
    damages = damages_by_vehicle([one.region for one in seen.each], detections or [])
    told = []
    for one, indices in zip(seen.each, damages, strict=True):
        problems = {name: outcome for name, outcome in one.outcomes.items() if isinstance(outcome, errors.Problem)}
        told.append(
            schemas.json_object(
                {
                    "box": schemas.json_of(Box.of(one.region)),
                    "score": json.dumps(one.region.score).encode(),
                    **{
                        name: outcome.json if isinstance(outcome, Answer) else b"null"
                        for name, outcome in one.outcomes.items()
                    },
                    "damages": json.dumps(None if detections is None else indices).encode(),
                    "problems": _told(visit, problems),
                }
            )
        )
    return {"vehicles": b"[%b]" % b",".join(told)}


def _headers(visit: Visit, seen: Seen, answers: Mapping[str, Answer], total_ms: float) -> dict[str, str]:
    timings = {"receive": visit.receive_ms, "decode": seen.decode_ms}
    for name, answer in answers.items():
        timings |= {f"{name}.{step}": value for step, value in dict(answer.timings).items()}
    return {"Server-Timing": schemas.server_timing({**timings, "total": total_ms})}


def _example(predictors: Mapping[str, AnyPredictor]) -> dict[str, Any]:
    told = {name: predictor.specification.example for name, predictor in predictors.items()}
    told = {name: example for name, example in told.items() if example}
    if not told:
        return {}
    return {
        "request_id": schemas.EXAMPLE_ID,
        "models": {name: example_model(name) for name in told},
        "image": EXAMPLE_IMAGE,
        "results": {name: dict(example) for name, example in told.items()},
        "problems": {},
        "timings_ms": {
            "receive": 1.9,
            "decode": 21.4,
            "total": 140.2,
            "tasks": dict.fromkeys(told, EXAMPLE_TASK),
        },
    }
