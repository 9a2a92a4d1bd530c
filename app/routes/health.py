"""`GET /health/live` and `GET /health/ready`: whether the process runs, and whether it can answer."""

from collections.abc import Iterable

from fastapi import APIRouter

from app import errors, schemas
from app.shelf import Shelf

RETRY_S = 2.0
"""What a client is told to wait while predictors load."""


def check(shelf: Shelf) -> schemas.Ready:
    """What is so now. Raises `NotReady` with the reason, or `ShuttingDown`; a predictor in doubt is tried again."""
    states = shelf.states()
    shelf.look_again()
    if shelf.ready:
        return schemas.Ready(ready=True, predictors=states)
    if shelf.leaving:
        raise errors.ShuttingDown("The service stops: send photos to another instance.", retry_after_s=RETRY_S)
    missing = [f"{name} ({shelf.entry(name).missing or state})" for name, state in states.items() if state != "ready"]
    if missing:
        detail = f"Not ready: {', '.join(missing)}."
    elif shelf.stuck:
        detail = (
            "The device hangs: what waits for it, or runs on it, does so for too long. Where that lasts, start anew."
        )
    else:
        detail = "The device takes no photos: it has stopped."
    raise errors.NotReady(detail, retry_after_s=RETRY_S, extra={"ready": False, "predictors": states})


def router(names: Iterable[str], shelf: Shelf) -> APIRouter:
    routes = APIRouter(prefix="/health", tags=["operation"])

    @routes.get(
        "/live",
        operation_id="health_live",
        summary="The process runs",
        responses={
            200: {"content": {"application/json": {"example": {"live": True}}}},
            **errors.responses(errors.PredictionFailed),
        },
    )
    async def live() -> schemas.Live:
        """Answers as long as the process does, from its first second on: restart it when this fails."""
        return schemas.Live(live=True)

    example = {"ready": True, "predictors": dict.fromkeys(names, "ready")}

    @routes.get(
        "/ready",
        operation_id="health_ready",
        summary="Every wanted predictor can answer",
        responses={
            200: {"content": {"application/json": {"example": example}}},
            **errors.responses(errors.NotReady, errors.ShuttingDown, errors.PredictionFailed),
        },
    )
    async def ready() -> schemas.Ready:
        """Send photos here once this answers 200: every wanted predictor is loaded, warmed, and has answered a drawn
        photo, and the device runs what waits for it. Else 503, a problem with the state of each predictor."""
        return check(shelf)

    return routes
