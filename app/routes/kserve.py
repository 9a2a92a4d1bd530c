"""`GET /v2/…`: health and metadata under the names of the Open Inference Protocol, as KServe and its clients ask."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from importlib import metadata
from typing import Any

import numpy as np
from fastapi import APIRouter, Request
from pydantic import BaseModel, Field

from app import errors, schemas
from app.ask import Loaded
from app.routes.health import RETRY_S, check
from app.routes.models import NAME
from app.shelf import Shelf

DATATYPES = {
    "bool": "BOOL",
    **{f"{kind}int{bits}": f"{kind}int{bits}".upper() for kind in ("", "u") for bits in (8, 16, 32, 64)},
    **{f"float{bits}": f"FP{bits}" for bits in (16, 32, 64)},
}
"""The protocol's names of numpy's types."""

VERSION = {
    "name": "version",
    "in": "path",
    "required": True,
    "description": "One of the model's versions.",
    "schema": {"type": "string"},
    "example": "1.0.0",
}


class ServerMetadata(BaseModel):
    """The server, in the protocol's form."""

    name: str
    version: str
    extensions: list[str]


class ServerReady(BaseModel):
    """Whether the server can answer, in the protocol's form."""

    live: bool = Field(description="The specification calls it so; always as `ready`.")
    ready: bool


class ModelReady(BaseModel):
    """Whether the model can answer, in the protocol's form."""

    name: str
    ready: bool


class TensorMetadata(BaseModel):
    """One array that a network reads or gives."""

    name: str
    datatype: str
    shape: list[int] = Field(description="-1 is the batch.")


class ModelMetadata(BaseModel):
    """The model, in the protocol's form."""

    name: str
    versions: list[str]
    platform: str = Field(description="The runtime that computes.")
    inputs: list[TensorMetadata] = Field(description="What the network reads: made from the photo by the service.")
    outputs: list[TensorMetadata] = Field(description="What it gives, known once it is loaded.")


@contextmanager
def _told_twice() -> Iterator[None]:
    """The protocol's clients look for the reason under `error`."""
    try:
        yield
    except errors.Problem as problem:
        problem.extra["error"] = problem.detail
        raise


def _tensors(arrays: Mapping[str, tuple[tuple[int, ...], Any]]) -> list[TensorMetadata]:
    return [
        TensorMetadata(name=name, datatype=DATATYPES.get(np.dtype(dtype).name, "BYTES"), shape=[-1, *shape])
        for name, (shape, dtype) in arrays.items()
    ]


def _metadata(shelf: Shelf, loaded: Loaded) -> ModelMetadata:
    entry = shelf.entry(loaded.lane.name)
    return ModelMetadata(
        name=entry.name,
        versions=entry.versions,
        platform=loaded.predictor.card.backend,
        inputs=_tensors(loaded.lane.inputs),
        outputs=_tensors(loaded.lane.outputs),
    )


def _ready(shelf: Shelf, loaded: Loaded) -> ModelReady:
    """Raises `NotReady` where it cannot answer."""
    entry = shelf.entry(loaded.lane.name)
    if loaded.lane.state != "ready" or not shelf.running or (entry.doubt and loaded is entry.serving):
        state = "failed" if entry.doubt else loaded.lane.state
        extra = {"name": entry.name, "predictors": {entry.name: state}}
        raise errors.NotReady(f"{entry.name} is not ready ({state}).", retry_after_s=RETRY_S, extra=extra)
    return ModelReady(name=entry.name, ready=True)


def router(shelf: Shelf) -> APIRouter:
    """Inference by tensors is not offered: photos come in as they are, at `/v1`."""
    routes = APIRouter(prefix="/v2", tags=["operation"])
    failed = errors.responses(errors.PredictionFailed)
    missing = errors.responses(errors.UnknownModel, errors.PredictionFailed)
    waiting = errors.responses(errors.UnknownModel, errors.NotReady, errors.PredictionFailed)

    @routes.get("", operation_id="v2_server", summary="The server, for KServe", responses=failed)
    async def server() -> ServerMetadata:
        """Name and version of the server; it has none of the protocol's extensions."""
        return ServerMetadata(name="carlens", version=metadata.version("carlens"), extensions=[])

    @routes.get("/health/live", operation_id="v2_live", summary="The process runs, for KServe", responses=failed)
    async def live() -> schemas.Live:
        """As `/health/live`."""
        return schemas.Live(live=True)

    ready_problems = errors.responses(errors.NotReady, errors.PredictionFailed)

    @routes.get(
        "/health/ready",
        operation_id="v2_ready",
        summary="Every wanted predictor can answer, for KServe",
        responses=ready_problems,
    )
    async def ready() -> ServerReady:
        """As `/health/ready`."""
        with _told_twice():
            check(shelf)
        return ServerReady(live=True, ready=True)

    for place, parameters in (("/models/{name}", [NAME]), ("/models/{name}/versions/{version}", [NAME, VERSION])):
        suffix = "_version" if "version" in place else ""
        extra: dict[str, Any] = {"parameters": parameters}

        @routes.get(
            place,
            operation_id=f"v2_model{suffix}",
            summary="One model, for KServe",
            responses=missing,
            openapi_extra=extra,
        )
        async def model(request: Request) -> ModelMetadata:
            """Its versions, and the arrays that its network reads and gives."""
            with _told_twice():
                return _metadata(shelf, shelf.loaded(**request.path_params))

        @routes.get(
            f"{place}/ready",
            operation_id=f"v2_model_ready{suffix}",
            summary="Whether one model can answer, for KServe",
            responses=waiting,
            openapi_extra=extra,
        )
        async def model_ready(request: Request) -> ModelReady:
            """200 where it can, 503 where it is not loaded, or fails."""
            with _told_twice():
                return _ready(shelf, shelf.loaded(**request.path_params))

    return routes
