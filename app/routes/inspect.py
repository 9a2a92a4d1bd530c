"""`POST /v1/inspect`: several predictors' answers from one decode; one that fails does not take the others along."""

import json
from collections.abc import Mapping, Sequence
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Request
from pydantic import BaseModel
from starlette.responses import Response

from app import errors, inspected, schemas
from app.accept import language
from app.ask import Answer
from app.door import Door, Visit
from app.options import from_query, inspect_options
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
from app.together import Joined
from models.answers import Box
from models.join import Join
from models.language import codes
from models.language import language as texts
from models.predictor import Options

DESCRIPTION = (
    "Asks several predictors about one photo, which is decoded once. `tasks` says which; without it all are asked. "
    "Every option holds for each task that has it. The answer is 200 as soon as one task has an answer; each of the "
    "others has its problem under `problems`. Where none has an answer, the first task's problem is the answer. What "
    "several answers tell together is added: on which part each damage lies, and a summary for people, in the language "
    f"that `Accept-Language` asks for ({', '.join(codes())}). With `vehicle=all` each vehicle in the photo has its own "
    "answers, under `vehicles`, and the damages that lie on it."
)

LANGUAGE_HEADER = {
    "name": "Accept-Language",
    "in": "header",
    "required": False,
    "description": f"The language of texts for people: {', '.join(codes())}; {codes()[0]} without it.",
    "schema": {"type": "string", "default": codes()[0]},
    "example": codes()[-1],
}
HEADERS = {
    **RESPONSE_HEADERS,
    "Content-Language": {"description": "The language of texts for people.", "schema": {"type": "string"}},
}


def router(
    settings: Settings, predictors: Mapping[str, AnyPredictor], door: Door, envelope: type[BaseModel]
) -> APIRouter:
    routes = APIRouter(tags=["predictions"])
    read = from_query(inspect_options(predictors.values()))
    joins = door.pipeline.joins

    async def inspect(request: Request, options: Annotated[Options, Depends(read)]) -> Response:
        asks = inspected.asked(options, predictors, door.shelf)
        visit = await door.enter(request, asks)
        taken = {ask.name: ask for ask in visit.asks}
        asks = [taken.get(ask.name, ask) for ask in asks]
        told_in = language(",".join(request.headers.getlist("accept-language")), codes())
        look = door.pipeline.inspect(visit.asks, visit.refused, visit.data, visit.call, texts(told_in))
        seen, together, join_ms = await door.wait(request, visit, look)
        outcomes = {ask.name: visit.refused.get(ask.name) or seen.outcomes[ask.name] for ask in asks}
        answers = {ask.name: together.answers[ask.name] for ask in asks if ask.name in together.answers}
        problems = {name: outcome for name, outcome in outcomes.items() if isinstance(outcome, errors.Problem)}
        if not answers:
            raise problems[asks[0].name]
        inspected.log_failures(visit.call.request_id, problems)
        for one in seen.each[1:]:  # the first one's are those of the photo
            inspected.log_failures(visit.call.request_id, one.outcomes)
        timings = schemas.InspectTimings(
            receive=visit.receive_ms,
            decode=seen.decode_ms,
            join=join_ms,
            total=door.total_ms(visit),
            tasks={name: answer.timings for name, answer in answers.items()},
        )
        every = any(ask.every for ask in asks)
        body = schemas.json_object(
            {
                "request_id": json.dumps(visit.call.request_id).encode(),
                "models": inspected.models(asks),
                "image": schemas.json_of(schemas.image_info(seen.header)),
                "results": inspected.results(asks, answers),
                "problems": inspected.told(visit.call.request_id, problems),
                **inspected.added(joins, together.added),
                "left_out": inspected.left_out(together.left_out),
                **({"vehicles": _vehicles(visit, seen, joins, together)} if every else {}),
                "timings_ms": schemas.json_of(timings, exclude_none=True),
            }
        )
        headers = {"Server-Timing": _server_timing(timings), "Content-Language": told_in, "Vary": "Accept-Language"}
        return Response(body, media_type="application/json", headers=headers)

    example = inspect_example(predictors, joins)
    content = {"application/json": {"example": example}} if example else {}
    success = {"description": "The answers.", "headers": HEADERS, "content": content}
    call = photo_call(settings)
    call["parameters"] = [*call["parameters"], LANGUAGE_HEADER]
    routes.add_api_route(
        "/v1/inspect",
        inspect,
        methods=["POST"],
        operation_id="inspect_photo",
        summary="Everything about one photo at once",
        description=DESCRIPTION,
        response_model=envelope,
        responses={200: success, **errors.responses(*PHOTO_PROBLEMS)},
        openapi_extra=call,
    )
    return routes


def _vehicles(visit: Visit, seen: Seen, joins: Sequence[Join], together: Joined) -> bytes:
    """Each vehicle with what was said of it, the main one first."""
    told = []
    for number, one in enumerate(seen.each):
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
                    **inspected.added(joins, {name: given[number] for name, given in together.each.items()}, each=True),
                    "problems": inspected.told(visit.call.request_id, problems),
                }
            )
        )
    return b"[%b]" % b",".join(told)


def _server_timing(timings: schemas.InspectTimings) -> str:
    steps: dict[str, float | None] = {"receive": timings.receive, "decode": timings.decode}
    for name, task_timings in timings.tasks.items():
        steps |= {f"{name}.{step}": value for step, value in dict(task_timings).items()}
    return schemas.server_timing({**steps, "join": timings.join, "total": timings.total})


def inspect_example(predictors: Mapping[str, AnyPredictor], joins: Sequence[Join]) -> dict[str, Any]:
    """An answer as it may look, for the documentation; empty where no predictor has one."""
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
        **{
            name: field.examples[0] if field.examples else field.default
            for join in joins
            if join.adds is not None and not join.each
            for name, field in join.adds.model_fields.items()
        },
        "left_out": {},
        "timings_ms": {
            "receive": 1.9,
            "decode": 21.4,
            "join": 0.6,
            "total": 140.2,
            "tasks": dict.fromkeys(told, EXAMPLE_TASK),
        },
    }
