"""The OpenAPI document's word on keys and limits: which call needs which scope, and the answers of those refused."""

from typing import Any

from fastapi import FastAPI

from app.access import wanted
from app.errors import Forbidden, RateLimited, Unauthenticated, responses

SCHEMES = {
    "bearer": {"type": "http", "scheme": "bearer", "description": "A key, as `Authorization: Bearer …`."},
    "api_key": {"type": "apiKey", "in": "header", "name": "X-API-Key", "description": "The same key, the other way."},
}


def install(app: FastAPI, required: bool) -> None:
    """Declares on every call what `access` asks of it. Where keys are off, `required` is False, and a call without one
    is allowed: the document says both, except of the calls that nobody may make then."""
    document = app.openapi

    def with_security() -> dict[str, Any]:
        return declare(document(), required)

    app.openapi = with_security  # type: ignore[method-assign]


def declare(document: dict[str, Any], required: bool) -> dict[str, Any]:
    """Adds the schemes, and to each operation its needs and refusals; returns the document."""
    document.setdefault("components", {})["securitySchemes"] = SCHEMES
    for path, item in document.get("paths", {}).items():
        for method, operation in item.items():
            what = wanted(method.upper(), path)
            if what == "health":
                operation["security"] = []
                continue
            refusals = responses(RateLimited)
            if what == "open":
                operation["security"] = []
            else:
                refusals |= responses(Unauthenticated, Forbidden)
                optional: list[dict[str, list[str]]] = [] if required or what == "admin" else [{}]
                operation["security"] = [*optional, *({name: [what]} for name in SCHEMES)]
            answers = {**operation["responses"], **{str(status): answer for status, answer in refusals.items()}}
            operation["responses"] = dict(sorted(answers.items()))
    return document
