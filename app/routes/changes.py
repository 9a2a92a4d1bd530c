"""`POST /v1/models/NAME/reload`, `/load`, `/unload`: what is served is changed while photos are answered."""

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import asdict
from typing import Any, get_args

from fastapi import APIRouter, Request

from app import errors, schemas
from app.changes import Action, Change, Outcome
from app.routes.models import NAME
from app.shelf import Shelf

Spread = Callable[[Change], Awaitable[Sequence[Outcome]]]
"""Makes a change in every worker, and tells what came of it in each."""

SUMMARIES: dict[Action, str] = {
    "reload": "Read a model's files anew",
    "load": "Load a model",
    "unload": "Put a model away",
}

TEXTS: dict[Action, str] = {
    "reload": (
        "The files of the model are read anew, beside it those of further versions, `NAME@VERSION`. All are loaded and "
        "warmed while the old one answers, then they take its place between two photos: no request is lost. Where "
        "anything fails the old one stays, and the problem names the file and the reason. One change is made at a "
        "time; those who ask meanwhile wait for their turn."
    ),
    "load": (
        "Loads what was unloaded, has failed or is loaded only when it is asked first. Where it is loaded, nothing is "
        "changed."
    ),
    "unload": (
        "All versions of the model are put away once those who were admitted to them have their answers, and their "
        "memory is given back. Its route answers 503 `not_ready` until `load`, unless it is loaded when it is asked "
        "first; the service stays ready without it."
    ),
}

EXAMPLE = {
    "name": "damage",
    "workers": [{"worker": 0, "state": "ready", "version": "1.1.0", "versions": ["1.1.0"], "failure": None}],
}


def router(shelf: Shelf, spread: Spread) -> APIRouter:
    routes = APIRouter(prefix="/v1/models", tags=["models"])
    for action in get_args(Action):
        routes.add_api_route(
            f"/{{name}}/{action}",
            _endpoint(action, shelf, spread),
            methods=["POST"],
            operation_id=f"{action}_model",
            summary=SUMMARIES[action],
            description=TEXTS[action],
            openapi_extra={"parameters": [NAME]},
            response_model=schemas.Changed,
            responses={
                200: {"content": {"application/json": {"example": EXAMPLE}}},
                **errors.responses(
                    errors.UnknownModel, errors.LoadFailed, errors.PredictionFailed, errors.ShuttingDown
                ),
            },
        )
    return routes


def _endpoint(action: Action, shelf: Shelf, spread: Spread) -> Callable[..., Any]:
    async def change(request: Request) -> schemas.Changed:
        name = shelf.entry(request.path_params["name"]).name
        outcomes = await spread(Change(action, name))
        workers = [schemas.WorkerChange(**asdict(outcome)) for outcome in outcomes]
        failed = [one for one in workers if one.failure is not None]
        if failed:
            detail = f"{failed[0].failure} What was served before is served on."
            raise errors.LoadFailed(detail, extra={"workers": [one.model_dump() for one in workers]})
        return schemas.Changed(name=name, workers=workers)

    return change
