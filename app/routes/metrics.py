"""`GET /metrics`: the figures for Prometheus."""

from fastapi import APIRouter
from starlette.responses import Response

from app import errors
from app.metrics import Metrics

EXAMPLE = '# TYPE carlens_queue_depth gauge\ncarlens_queue_depth{predictor="damage"} 0.0\n'


def router(metrics: Metrics) -> APIRouter:
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
        return Response(metrics.text(), media_type=metrics.content_type)

    return routes
