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
from app.shelf import Entry, Shelf

DATATYPES = {
    "bool": "BOOL",
    **{f"{kind}int{bits}": f"{kind}int{bits}".upper() for kind in ("", "u") for bits in (8, 16, 32, 64)},
    **{f"float{bits}": f"FP{bits}" for bits in (16, 32, 64)},
}
"""The protocol's names of numpy's types."""


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


def _ready(shelf: Shelf, entry: Entry) -> ModelReady:
    """Raises `NotReady` where it cannot answer."""
    state = entry.condition
    if state != "ready" or not shelf.running:
        extra = {"name": entry.name, "predictors": {entry.name: state}}
        raise errors.NotReady(f"{entry.name} is not ready ({state}).", retry_after_s=RETRY_S, extra=extra)
    return ModelReady(name=entry.name, ready=True)


MODEL = {
    "name": "attributes",
    "versions": ["1.0.0"],
    "platform": "openvino",
    "inputs": [{"name": "image", "datatype": "UINT8", "shape": [-1, 256, 256, 3]}],
    "outputs": [{"name": "color", "datatype": "FP32", "shape": [-1, 10]}],
}


def _responses(example: Mapping[str, object], *problems: type[errors.Problem]) -> dict[int | str, dict[str, Any]]:
    told: dict[int | str, dict[str, Any]] = {200: {"content": {"application/json": {"example": example}}}}
    return told | errors.responses(*problems, errors.PredictionFailed)


def router(shelf: Shelf) -> APIRouter:
    """Inference by tensors is not offered: photos come in as they are, at `/v1`."""
    routes = APIRouter(prefix="/v2", tags=["operation"])

    @routes.get(
        "",
        operation_id="v2_server",
        summary="The server, for KServe",
        responses=_responses({"name": "carlens", "version": "0.1.0", "extensions": []}),
    )
    async def server() -> ServerMetadata:
        """Name and version of the server; it has none of the protocol's extensions."""
        return ServerMetadata(name="carlens", version=metadata.version("carlens"), extensions=[])

    @routes.get(
        "/health/live",
        operation_id="v2_live",
        summary="The process runs, for KServe",
        responses=_responses({"live": True}),
    )
    async def live() -> schemas.Live:
        """As `/health/live`."""
        return schemas.Live(live=True)

    @routes.get(
        "/health/ready",
        operation_id="v2_ready",
        summary="Every wanted predictor can answer, for KServe",
        responses=_responses({"live": True, "ready": True}, errors.NotReady),
    )
    async def ready() -> ServerReady:
        """As `/health/ready`."""
        with _told_twice():
            check(shelf)
        return ServerReady(live=True, ready=True)

    extra: dict[str, Any] = {"parameters": [NAME]}

    @routes.get(
        "/models/{name}",
        operation_id="v2_model",
        summary="One model, for KServe",
        responses=_responses(MODEL, errors.UnknownModel),
        openapi_extra=extra,
    )
    async def model(request: Request) -> ModelMetadata:
        """Its versions, and the arrays that its network reads and gives."""
        with _told_twice():
            return _metadata(shelf, shelf.loaded(request.path_params["name"]))

    @routes.get(
        "/models/{name}/ready",
        operation_id="v2_model_ready",
        summary="Whether one model can answer, for KServe",
        responses=_responses({"name": "damage", "ready": True}, errors.UnknownModel, errors.NotReady),
        openapi_extra=extra,
    )
    async def model_ready(request: Request) -> ModelReady:
        """200 where it can, 503 where it is not loaded, or fails."""
        with _told_twice():
            return _ready(shelf, shelf.entry(request.path_params["name"]))

    return routes
