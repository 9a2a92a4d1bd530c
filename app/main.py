"""Puts the gateway together: settings, predictors, batcher, pipeline, routes. The one place that knows them all."""

import asyncio
import json
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from importlib import metadata

from fastapi import FastAPI

from app import along, errors, locate
from app.batcher import Batcher
from app.door import Door
from app.metrics import Metrics
from app.middleware import RequestContext
from app.pipeline import Pipeline
from app.routes import annotated, docs, health, inspect, models, predict
from app.routes import metrics as metrics_route
from app.schemas import AnyPredictor
from app.settings import Settings
from models.backends import resolve_device
from models.join import Join
from models.registry import choose, discover
from models.registry import joins as installed_joins

DESCRIPTION = """
Answers questions about photos of cars: where the car is damaged, on which part and how badly, which make and model it
is, its colour and type, and from which side it is seen. `/v1/inspect` asks all of it at once and sums it up in words.

**Send a photo** as a form (`curl -F file=@car.jpg http://127.0.0.1:8000/v1/damage`), as the raw body with an `image/*`
content type, or as JSON, `{"image": "<base64>"}`. JPEG, PNG, WebP, GIF, BMP, TIFF, AVIF and HEIC are read; the content
decides, not the declared type.

**Options** are query parameters, the same for all three forms. Every coordinate, in options and answers, is in the
photo's pixels after its EXIF orientation was applied: `image.width` by `image.height` in the answer.

**Errors** are `application/problem+json` (RFC 9457) with a `code` for programs, a `detail` that says what to do, and
the `request_id` that finds the request in the service's log. 503 carries `Retry-After`.
"""

TAGS = [
    {"name": "predictions", "description": "A photo in, a typed answer out."},
    {"name": "pictures", "description": "A photo in, the same photo out with the answer drawn on it."},
    {"name": "models", "description": "What is served: version, labels, figures, licence."},
    {"name": "operation", "description": "Health and figures, for whoever runs the service."},
]


def create_app(
    settings: Settings | None = None,
    predictors: Mapping[str, AnyPredictor] | None = None,
    joins: Sequence[Join] | None = None,
    read_metrics: metrics_route.Read | None = None,
) -> FastAPI:
    """The gateway as an ASGI app. Without `predictors`, those installed; `settings.predictors` chooses among them.
    Without `joins`, those installed; those that lack a predictor are left out. Without `read_metrics`, `/metrics` tells
    of this process alone.

    Raises what `discover` raises, and `ValueError` where two predictors do not fit together.
    """
    settings = settings or Settings()
    if predictors is None:
        served = discover(
            settings.weights_dir, settings.predictors, backends=settings.backends, cache_dir=settings.cache_dir
        )
    else:
        served = {name: predictors[name] for name in choose(predictors, settings.predictors)}
    locate.check(served)
    metrics = Metrics()
    device = resolve_device(settings.device)
    batcher = Batcher(device, queue_limit=settings.queue_limit, stuck_s=settings.stuck_s, observer=metrics)
    for name, one in served.items():
        batcher.add(name, one.load, one.run, one.specification.inputs, one.specification.sizes_on(device))
    pipeline = Pipeline(settings, served, batcher, metrics, installed_joins() if joins is None else joins)
    silent = along.silent(served)
    asked = {name: one for name, one in served.items() if name not in silent}
    door = Door(settings, pipeline, metrics)

    async def stop() -> None:
        """Takes no more photos, answers those it took within the grace time, the rest with 503."""
        now = asyncio.get_running_loop().time
        until = now() + settings.grace_s
        batcher.close()
        await door.drain(settings.grace_s)
        await batcher.stop(max(0.0, until - now()))

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        await batcher.start()
        try:
            yield
        finally:
            if batcher.alive:
                await stop()
            await door.drain()
            pipeline.close()

    app = FastAPI(
        title="carlens",
        version=metadata.version("carlens"),
        summary="Answers questions about photos of cars",
        description=DESCRIPTION.strip(),
        license_info={"name": "Apache-2.0 (code; GET /v1/models tells the terms of the weights)"},
        openapi_tags=TAGS,
        docs_url=None,
        redoc_url=None,
        lifespan=lifespan,
    )
    app.state.batcher = batcher
    app.state.stop = stop
    app.state.metrics = metrics
    for router in (
        predict.router(settings, asked.values(), door),
        annotated.router(settings, asked.values(), door),
        inspect.router(settings, asked, door),
        models.router(served, batcher),
        health.router(served, batcher),
        metrics_route.router(metrics, read_metrics),
    ):
        app.include_router(router)
    docs.install(app)
    errors.install(app)
    app.add_middleware(RequestContext, metrics=metrics)
    return app


def openapi_document(settings: Settings | None = None) -> str:
    """The OpenAPI document of the installed predictors, as it is committed."""
    return json.dumps(create_app(settings).openapi(), indent=2, ensure_ascii=False) + "\n"
