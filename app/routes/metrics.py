"""`GET /metrics`: the figures for Prometheus."""

from collections.abc import Awaitable, Callable

from fastapi import APIRouter
from starlette.responses import Response

from app import errors
from app.metrics import Metrics

EXAMPLE = '# TYPE carlens_queue_depth gauge\ncarlens_queue_depth{predictor="damage"} 0.0\n'


Read = Callable[[], Awaitable[bytes]]
"""Gives the text for Prometheus."""


def router(metrics: Metrics, read: Read | None = None) -> APIRouter:
    """The figures of `metrics`, or what `read` gives in their place."""
    routes = APIRouter(tags=["operation"])

    @routes.get(
        "/metrics",
        operation_id="metrics",
        summary="Figures for Prometheus",
        response_class=Response,
        responses={
            200: {
                "description": "Prometheus text.",
                "content": {"text/plain": {"schema": {"type": "string"}, "example": EXAMPLE}},
            },
            **errors.responses(errors.PredictionFailed),
        },
    )
    async def read_metrics() -> Response:
        """Requests, stages, batches, queues and refusals, in Prometheus's text format."""
        return Response(await read() if read else metrics.text(), media_type=metrics.content_type)

    return routes
