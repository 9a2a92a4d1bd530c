"""Puts the gateway together: settings, predictors, batcher, pipeline, routes. The one place that knows them all."""

import asyncio
import json
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from functools import partial
from importlib import metadata
from typing import TYPE_CHECKING

from fastapi import FastAPI

from app import along, claim_schemas, errors, examples, headers, intake, locate, replicas, secured
from app.access import Access
from app.batcher import Batcher
from app.changes import Change, Outcome
from app.door import Door
from app.engine import Engine
from app.keys import Keys
from app.limits import Limits
from app.logs import RequestLog
from app.metrics import Metrics
from app.middleware import RequestContext
from app.pipeline import Pipeline
from app.proof import Proof
from app.routes import annotated, changes, claim, docs, health, inspect, kserve, masks, models, page, predict
from app.routes import metrics as metrics_route
from app.schemas import AnyPredictor, inspect_model
from app.settings import Settings
from app.shelf import Make, Shelf
from app.together import applicable
from models.backends import resolve_device
from models.join import Join
from models.registry import choose, create, discover, versions
from models.registry import joins as installed_joins

if TYPE_CHECKING:
    from app.traces import Traces

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
    {
        "name": "pictures",
        "description": "A photo in, the answer as a picture out: drawn on the photo, or as masks.",
    },
    {"name": "models", "description": "What is served: version, labels, figures, licence."},
    {"name": "operation", "description": "Health and figures, for whoever runs the service."},
]

Run = Callable[[Settings, Metrics], Engine]


def create_app(
    settings: Settings | None = None,
    predictors: Mapping[str, AnyPredictor] | None = None,
    joins: Sequence[Join] | None = None,
    read_metrics: metrics_route.Read | None = None,
    make: Make | None = None,
    spread: changes.Spread | None = None,
    run: Run | None = None,
) -> FastAPI:
    """The gateway as an ASGI app. Without `predictors`, those installed; `settings.predictors` chooses among them.
    Without `joins`, those installed; those that lack a predictor are left out. Without `read_metrics`, `/metrics` tells
    of this process alone. `make` makes a predictor anew from its files whenever it is to be loaded; without it those
    given are loaded themselves. Without `spread`, a change of models is made in this process alone. `run` makes what
    runs the predictors; without it the settings say what.

    Raises what `discover` raises, and `ValueError` where two predictors do not fit together, the file of keys or the
    storage of rate limits cannot be used, or traces are wanted and cannot be had.
    """
    settings = settings or Settings()
    if predictors is None:
        served = discover(
            settings.weights_dir, settings.predictors, backends=settings.backends, cache_dir=settings.cache_dir
        )
        make = maker(settings)
    else:
        served = {name: predictors[name] for name in choose(predictors, settings.predictors)}
    choose(served, settings.lazy or ())
    replicas.check(settings.of_replicas, served)
    locate.check(served)
    ring = Keys(settings.keys_file) if settings.keys_file else None
    metrics = Metrics()
    batcher = (run or engine)(settings, metrics)
    shelf = Shelf(
        served,
        batcher,
        make or (lambda name, _: served[name]),
        (lambda name: versions(name, settings.weights_dir)) if make else (lambda _: []),
        Proof(batcher),
        lazy=settings.lazy or (),
        stuck_s=settings.stuck_s,
    )
    metrics.serves(served, batcher.device, settings.queue_limit, lambda name: shelf.states().get(name) == "ready")
    tracer = traces(settings)
    found = applicable(installed_joins() if joins is None else joins, served.values())
    pipeline = Pipeline(settings, shelf.served, batcher, metrics, found)
    silent = along.silent(served)
    asked = {name: one for name, one in served.items() if name not in silent}
    door = Door(settings, pipeline, metrics, shelf)

    async def here(change: Change) -> Sequence[Outcome]:
        return [await shelf.do(change)]

    async def stop() -> None:
        """Takes no more photos, answers those it took within the grace time, the rest with 503."""
        now = asyncio.get_running_loop().time
        until = now() + settings.grace_s
        batcher.close()
        await shelf.stop()
        await door.drain(settings.grace_s)
        await batcher.stop(max(0.0, until - now()))

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        await batcher.start()
        shelf.start()
        try:
            yield
        finally:
            await shelf.stop()
            if batcher.alive:
                await stop()
            await door.drain()
            pipeline.close()
            if tracer is not None:
                tracer.close()

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
    app.state.shelf = shelf
    app.state.stop = stop
    app.state.metrics = metrics
    envelope = inspect_model((one.specification for one in asked.values()), found)
    routers = (
        predict.router(settings, asked.values(), door),
        annotated.router(settings, asked.values(), door),
        masks.router(settings, asked.values(), door),
        inspect.router(settings, asked, door, envelope),
        claim.router(settings, asked, door, envelope),
        models.router(shelf),
        changes.router(shelf, spread or here),
        health.router(served, shelf),
        kserve.router(shelf),
        metrics_route.router(metrics, read_metrics),
    )
    for router in routers:
        app.include_router(router)
    docs.install(app)
    page.install(app, settings, asked, shelf)
    examples.install(app, routers)
    claim_schemas.install(app)
    errors.install(app)
    intake.install(app)
    secured.install(app, required=ring is not None)
    app.add_middleware(Access, ring=ring, limiter=Limits(settings))
    app.add_middleware(RequestContext, metrics=metrics, tell=RequestLog(settings.access_log, tracer))
    headers.install(app, settings.cors_origins)
    return app


def engine(settings: Settings, metrics: Metrics) -> Engine:
    """What runs the predictors. Raises `ValueError` where the device is not there, or what the engine needs is not."""
    if settings.engine == "process":
        device = resolve_device(settings.device)
        return Batcher(device, queue_limit=settings.queue_limit, stuck_s=settings.stuck_s, observer=metrics)
    try:
        from app.engines.ray import RayEngine
    except ModuleNotFoundError as error:
        raise ValueError(f'CARLENS_ENGINE=ray needs {error.name}: pip install "carlens[ray]"') from error
    return RayEngine(settings, partial(maker, settings), metrics)


def traces(settings: Settings) -> "Traces | None":
    """Raises `ValueError` where they are wanted and OpenTelemetry, or the exporter it is to use, is not installed."""
    if not settings.traces:
        return None
    try:
        from app.traces import start
    except ModuleNotFoundError as error:
        raise ValueError(f'CARLENS_TRACES needs {error.name}: pip install "carlens[traces]"') from error
    return start()


def maker(settings: Settings, threads: int | None = None) -> Make:
    """Makes single predictors as they are made at the start, from their files as they are then."""
    return partial(
        create,
        weights_dir=settings.weights_dir,
        backends=settings.backends,
        cache_dir=settings.cache_dir,
        threads=threads,
    )


def openapi_document(settings: Settings | None = None) -> str:
    """The OpenAPI document of the installed predictors, as it is committed."""
    return json.dumps(create_app(settings).openapi(), indent=2, ensure_ascii=False) + "\n"
