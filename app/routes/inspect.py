"""`POST /v1/inspect`: several predictors' answers from one decode; one that fails does not take the others along."""

import json
import logging
from collections.abc import Mapping
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Request
from pydantic import ValidationError
from starlette.responses import Response

from app import errors, schemas
from app.door import Door, Visit
from app.options import chosen, from_query, inspect_options, share
from app.pipeline import Answer, Ask, Seen
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
from models.predictor import Options

log = logging.getLogger("carlens")

DESCRIPTION = (
    "Asks several predictors about one photo, which is decoded once. `tasks` says which; without it all are asked. "
    "Every option holds for each task that has it. The answer is 200 as soon as one task has an answer; each of the "
    "others has its problem under `problems`. Where none has an answer, the first task's problem is the answer."
)


def router(settings: Settings, predictors: Mapping[str, AnyPredictor], door: Door) -> APIRouter:
    routes = APIRouter(tags=["predictions"])
    read = from_query(inspect_options(predictors.values()))

    async def inspect(request: Request, options: Annotated[Options, Depends(read)]) -> Response:
        asks = [_ask(predictors[name], options) for name in chosen(getattr(options, "tasks", None), predictors)]
        visit = await door.enter(request, asks)
        seen = await door.wait(request, visit, door.pipeline.look(visit.asks, visit.data, visit.call))
        outcomes = {ask.name: visit.refused.get(ask.name) or seen.outcomes[ask.name] for ask in asks}
        answers = {name: outcome for name, outcome in outcomes.items() if isinstance(outcome, Answer)}
        problems = {name: outcome for name, outcome in outcomes.items() if isinstance(outcome, errors.Problem)}
        if not answers:
            raise problems[asks[0].name]
        for name, problem in problems.items():
            if problem.status == 500:
                log.error("request %s: %s of %s", visit.call.request_id, problem.code, name, exc_info=problem)
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


def _ask(predictor: AnyPredictor, options: Options) -> Ask:
    try:
        return Ask.of(predictor, share(options, predictor.specification.options))
    except ValidationError as error:
        name = predictor.specification.name
        raise errors.InvalidOption(f"The options do not fit {name}: {error.errors()[0]['msg']}.") from error


def _body(
    asks: list[Ask],
    visit: Visit,
    seen: Seen,
    answers: Mapping[str, Answer],
    problems: Mapping[str, errors.Problem],
    total_ms: float,
) -> bytes:
    infos = {ask.name: schemas.json_of(schemas.model_info(ask.name, ask.predictor.card)) for ask in asks}
    told = {name: problem.body(visit.call.request_id) for name, problem in problems.items()}
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
            "problems": json.dumps(told).encode(),
            "timings_ms": schemas.json_of(timings),
        }
    )


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
