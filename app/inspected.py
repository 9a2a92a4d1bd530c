"""What of the options of `inspect` is asked of whom, and what came of it as JSON; for one photo and for several."""

import json
import logging
from collections.abc import Mapping, Sequence
from typing import Any

from pydantic import BaseModel

from app import schemas
from app.ask import Answer, Ask
from app.errors import Problem
from app.options import chosen, task
from app.round import Outcome
from app.schemas import AnyPredictor
from app.shelf import Shelf
from models.join import Join
from models.predictor import Options

log = logging.getLogger("carlens")


def asked(options: Options, predictors: Mapping[str, AnyPredictor], shelf: Shelf) -> list[Ask]:
    """Those that `tasks` names; without it all but those that were put away. Raises `InvalidOption`."""
    named: str | None = getattr(options, "tasks", None)
    able = [name for name in predictors if named or shelf.offers(name)] or predictors
    return [task(predictors[name], options) for name in chosen(named, able)]


def log_failures(request_id: str, outcomes: Mapping[str, Outcome]) -> None:
    for name, outcome in outcomes.items():
        if isinstance(outcome, Problem) and outcome.status == 500:
            log.error("request %s: %s of %s", request_id, outcome.code, name, exc_info=outcome)


def models(asks: Sequence[Ask]) -> bytes:
    infos = {ask.name: schemas.json_of(schemas.model_info(ask.name, ask.predictor.card)) for ask in asks}
    return schemas.json_object(infos)


def results(asks: Sequence[Ask], answers: Mapping[str, Answer]) -> bytes:
    """By task; null where it has a problem."""
    return schemas.json_object({ask.name: answers[ask.name].json if ask.name in answers else b"null" for ask in asks})


def told(request_id: str, problems: Mapping[str, Problem]) -> bytes:
    return json.dumps({name: problem.body(request_id) for name, problem in problems.items()}).encode()


def added(joins: Sequence[Join], given: Mapping[str, BaseModel], each: bool = False) -> dict[str, bytes]:
    """The fields that the joins add to the photo's answer, or to each vehicle's; null where one gave nothing."""
    fields: dict[str, Any] = {}
    for join in joins:
        if join.adds is not None and join.each == each:
            fields |= given.get(join.name, join.adds()).model_dump(mode="json")
    return {name: json.dumps(value, ensure_ascii=False).encode() for name, value in fields.items()}


def left_out(reasons: Mapping[str, str]) -> bytes:
    """Why a join was not run, by its name."""
    return json.dumps(reasons).encode()
