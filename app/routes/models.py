"""`GET /v1/models` and `GET /v1/models/NAME`: what is served, with which weights, under which terms."""

from fastapi import APIRouter, Request

from app import errors, schemas
from app.shelf import Entry, Shelf

NAME = {
    "name": "name",
    "in": "path",
    "required": True,
    "description": "As in the list of models.",
    "schema": {"type": "string"},
    "example": "damage",
}
"""By hand: of a declared parameter FastAPI would say that it can be invalid, in a form that is not ours."""

EXAMPLE = {
    "name": "attributes",
    "summary": "Colour, type and orientation of a vehicle",
    "version": "1.0.0",
    "architecture": "resnet18",
    "labels": {"color": ["red", "green"], "type": ["sedan"], "orientation": ["front"]},
    "input": {"width": 128, "height": 128},
    "figures": {"color": 0.94, "type": 0.93, "orientation": 0.95},
    "licence": {
        "weights": "research and non-commercial use only",
        "why": "trained on sets that allow no more",
    },
    "weights": "sha256:9f2c41d07be6",
    "backend": "openvino",
    "device": "cpu",
    "batch_sizes": [1, 2, 4, 8, 16],
    "state": "ready",
    "versions": ["1.0.0", "1.1.0"],
}


def router(shelf: Shelf) -> APIRouter:
    routes = APIRouter(prefix="/v1/models", tags=["models"])

    @routes.get(
        "",
        operation_id="list_models",
        summary="What is served",
        responses={
            200: {"content": {"application/json": {"example": {"models": [EXAMPLE]}}}},
            **errors.responses(errors.PredictionFailed),
        },
    )
    async def list_models() -> schemas.ModelList:
        """Every predictor with its version, labels, figures, licence, weights, and whether it is ready."""
        return schemas.ModelList(models=[_card(entry) for entry in shelf.entries])

    @routes.get(
        "/{name}",
        operation_id="get_model",
        summary="One model",
        openapi_extra={"parameters": [NAME]},
        responses={
            200: {"content": {"application/json": {"example": EXAMPLE}}},
            **errors.responses(errors.UnknownModel, errors.PredictionFailed),
        },
    )
    async def get_model(request: Request) -> schemas.ModelCard:
        """One predictor by its name, the last part of its route."""
        return _card(shelf.entry(request.path_params["name"]))

    return routes


def _card(entry: Entry) -> schemas.ModelCard:
    return schemas.model_card(entry.serving.predictor, entry.condition, entry.versions)
