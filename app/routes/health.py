"""`GET /health/live` and `GET /health/ready`: whether the process runs, and whether it can answer."""

from collections.abc import Iterable

from fastapi import APIRouter

from app import errors, schemas
from app.batcher import Batcher

RETRY_S = 2.0
"""What a client is told to wait while predictors load."""


def router(names: Iterable[str], batcher: Batcher) -> APIRouter:
    routes = APIRouter(prefix="/health", tags=["operation"])
    wanted = list(names)

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

    example = {"ready": True, "predictors": dict.fromkeys(wanted, "ready")}

    @routes.get(
        "/ready",
        operation_id="health_ready",
        summary="Every predictor is loaded and warmed",
        responses={
            200: {"content": {"application/json": {"example": example}}},
            **errors.responses(errors.NotReady, errors.ShuttingDown, errors.PredictionFailed),
        },
    )
    async def ready() -> schemas.Ready:
        """Send photos here once this answers 200. Until then 503, a problem with the state of each predictor."""
        states = {name: batcher.state(name) for name in wanted}
        if batcher.ready:
            return schemas.Ready(ready=True, predictors=states)
        missing = [f"{name} ({state})" for name, state in states.items() if state != "ready"]
        idle = "it does not come back from a batch" if batcher.stuck else "it has stopped"
        detail = f"Not ready: {', '.join(missing)}." if missing else f"The device takes no photos: {idle}."
        raise errors.NotReady(detail, retry_after_s=RETRY_S, extra={"ready": False, "predictors": states})

    return routes
