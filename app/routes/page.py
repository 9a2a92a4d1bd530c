"""`GET /`: the page for people, in their browser's language, what it loads, and what it must know of what is served."""

from collections.abc import Iterable
from hashlib import sha256
from os import PathLike, stat_result
from pathlib import Path

from fastapi import APIRouter, FastAPI, Request
from pydantic import BaseModel
from starlette.responses import HTMLResponse, Response
from starlette.staticfiles import StaticFiles
from starlette.types import Scope

from app import wording
from app.accept import language
from app.schemas import AnyPredictor
from app.settings import Settings
from app.shelf import Entry, Shelf
from models.predictor import Licence, State
from models.predictors.attributes import YAW

FOLDER = Path(__file__).parents[1] / "page"
ASSETS = "page/assets"

POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' blob: data:; connect-src 'self'; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'; require-trusted-types-for 'script'; "
    "trusted-types 'none'"
)
"""Its own files alone, and photos that the visitor chose. Nothing is ever made from text, neither script nor markup."""


class Shown(BaseModel):
    """What the page must know of one predictor. `thresholds` and `colors`, `#rrggbb`, are by label; colours have those
    alone whose answers are found in places. `options` are those of its route, `calls` what there is below it."""

    summary: str
    state: State
    thresholds: dict[str, float]
    colors: dict[str, str]
    options: list[str]
    calls: list[str]
    licence: Licence


class Served(BaseModel):
    """What the page must know of the service. `calls` are those about several predictors; `views` are degrees by the
    name of the view, as `yaw_degrees` counts them; a photo may have `body_bytes`, an answer take `deadline_ms`."""

    models: dict[str, Shown]
    calls: list[str]
    views: dict[str, int]
    body_bytes: int
    deadline_ms: int


class Files(StaticFiles):
    """Files that may change with any start of the service: a browser keeps them, and asks whether they are as they
    were. Their addresses never change, so that modules of one version are never mixed with another's."""

    def file_response(
        self, full_path: str | PathLike[str], stat_result: stat_result, scope: Scope, status_code: int = 200
    ) -> Response:
        response = super().file_response(full_path, stat_result, scope, status_code)
        response.headers["Cache-Control"] = "no-cache"
        return response


def install(app: FastAPI, settings: Settings, names: Iterable[str], shelf: Shelf) -> None:
    """Adds the page, which shows the predictors of these names."""
    files = Files(directory=FOLDER)
    names = list(names)
    routes = APIRouter(include_in_schema=False)

    @routes.api_route("/", methods=["GET", "HEAD"])
    async def page(request: Request) -> Response:
        code = language(",".join(request.headers.getlist("accept-language")), wording.codes())
        body = wording.page(code)
        tag = f'"{sha256(body).hexdigest()[:32]}"'
        headers = {
            "Content-Security-Policy": POLICY,
            "Content-Language": code,
            "Vary": "Accept-Language",
            "Cache-Control": "no-cache",
            "ETag": tag,
        }
        if tag in request.headers.get("if-none-match", ""):
            return Response(status_code=304, headers=headers)
        return HTMLResponse(body, headers=headers)

    @routes.get("/page/served")
    async def served() -> Served:
        paths = list(app.openapi()["paths"])
        return Served(
            models={name: _shown(shelf.entry(name), paths) for name in names},
            calls=[path.removeprefix("/v1/") for path in paths if path.startswith("/v1/inspect")],
            views=YAW,
            body_bytes=settings.max_body_bytes,
            deadline_ms=settings.max_deadline_ms,
        )

    app.include_router(routes)
    app.mount(f"/{ASSETS}", files, name="page-assets")


def _shown(entry: Entry, paths: Iterable[str]) -> Shown:
    predictor = entry.serving.predictor
    card, below = predictor.card, f"/v1/{entry.name}/"
    return Shown(
        summary=predictor.specification.summary,
        state=entry.condition,
        thresholds=card.thresholds,
        colors=colors(predictor),
        options=list(predictor.specification.options.model_fields),
        calls=[path.removeprefix(below) for path in paths if path.startswith(below)],
        licence=card.licence,
    )


def colors(predictor: AnyPredictor) -> dict[str, str]:
    """By label, `#rrggbb` as in pictures; none where answers have no places, and so no scores to choose from."""
    if "min_score" not in predictor.specification.options.model_fields:
        return {}
    labels = predictor.card.labels.get("label", ())
    return {label: "#{:02x}{:02x}{:02x}".format(*predictor.color(number)) for number, label in enumerate(labels)}
