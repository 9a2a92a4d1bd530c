"""`GET /docs` and `GET /redoc`, with scripts and styles from a package, so that they work without internet."""

import base64
import hashlib
import re
from importlib import metadata
from os import PathLike, stat_result

from fastapi import APIRouter, FastAPI
from fastapi.openapi.docs import get_redoc_html, get_swagger_ui_html
from starlette.responses import HTMLResponse, Response
from starlette.staticfiles import StaticFiles
from starlette.types import Scope

PACKAGE = "fastapi-offline"
"""The distribution whose files of Swagger UI and ReDoc are served; none of its code is used."""

ASSETS = "docs/assets"
# Addresses are relative to the page, so that they hold behind a proxy that adds a prefix.
VERSIONED = f"?v={metadata.version(PACKAGE)}"

POLICY = (
    "default-src 'none'; script-src 'self'{scripts}; style-src 'self' 'unsafe-inline'; img-src 'self' data: blob:; "
    "font-src 'self' data:; connect-src 'self'; worker-src blob:; base-uri 'none'; form-action 'none'; "
    "frame-ancestors 'none'"
)
"""Nothing is fetched from elsewhere, not even the logo that ReDoc would like to show. Both pages write styles as they
go; of scripts, those of the package run and the page's own, known by their hashes."""

_INLINE = re.compile(r"<script>(.*?)</script>", re.DOTALL)


class Assets(StaticFiles):
    """Files that change with the package's version alone, which is part of their address."""

    def file_response(
        self, full_path: str | PathLike[str], stat_result: stat_result, scope: Scope, status_code: int = 200
    ) -> Response:
        response = super().file_response(full_path, stat_result, scope, status_code)
        response.headers["Cache-Control"] = "public, max-age=86400"
        return response


def install(app: FastAPI) -> None:
    """Adds the pages and what they load."""
    app.mount(f"/{ASSETS}", Assets(packages=[(PACKAGE.replace("-", "_"), "static")]), name="docs-assets")
    app.include_router(_pages(app.title))


def _pages(title: str) -> APIRouter:
    routes = APIRouter(include_in_schema=False)
    icon = f"{ASSETS}/favicon.png{VERSIONED}"

    @routes.get("/docs")
    async def docs() -> HTMLResponse:
        page = get_swagger_ui_html(
            openapi_url="openapi.json",
            title=f"{title}: try it",
            swagger_js_url=f"{ASSETS}/swagger-ui-bundle.js{VERSIONED}",
            swagger_css_url=f"{ASSETS}/swagger-ui.css{VERSIONED}",
            swagger_favicon_url=icon,
            swagger_ui_parameters={
                "tryItOutEnabled": True,
                "displayRequestDuration": True,
                "defaultModelsExpandDepth": 0,
            },
        )
        return _guarded(page)

    @routes.get("/redoc")
    async def redoc() -> HTMLResponse:
        page = get_redoc_html(
            openapi_url="openapi.json",
            title=f"{title}: reference",
            redoc_js_url=f"{ASSETS}/redoc.standalone.js{VERSIONED}",
            redoc_favicon_url=icon,
            with_google_fonts=False,
        )
        return _guarded(page)

    return routes


def _guarded(page: HTMLResponse) -> HTMLResponse:
    scripts = _INLINE.findall(bytes(page.body).decode())
    hashes = [base64.b64encode(hashlib.sha256(script.encode()).digest()).decode() for script in scripts]
    page.headers["Content-Security-Policy"] = POLICY.format(scripts="".join(f" 'sha256-{one}'" for one in hashes))
    page.headers["Cache-Control"] = "no-cache"
    return page
