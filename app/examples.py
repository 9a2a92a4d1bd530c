"""Examples in the OpenAPI document as they were written: FastAPI leaves nulls out of them, and then fields are missing
that every answer has."""

from collections.abc import Iterable
from typing import Any

from fastapi import APIRouter, FastAPI
from fastapi.routing import APIRoute


def install(app: FastAPI, routers: Iterable[APIRouter]) -> None:
    """Puts the examples of the routers' answers into the document once more."""
    document = app.openapi
    routes = [route for router in routers for route in router.routes if isinstance(route, APIRoute)]

    def with_examples() -> dict[str, Any]:
        found = document()
        for route in routes:
            if route.include_in_schema:
                _restore(route, found["paths"][route.path_format])
        return found

    app.openapi = with_examples  # type: ignore[method-assign]


def _restore(route: APIRoute, item: dict[str, Any]) -> None:
    for status, response in route.responses.items():
        for kind, media in response.get("content", {}).items():
            if "example" in media:
                for method in route.methods or ():
                    item[method.lower()]["responses"][str(status)]["content"][kind]["example"] = media["example"]
