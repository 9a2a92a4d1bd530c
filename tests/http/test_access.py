"""Keys over HTTP: which calls are closed without one, and what those hear who are kept out."""

from pathlib import Path
from typing import Any

import pytest
from fastapi import FastAPI
from fastapi.routing import iter_route_contexts

from app.limits import GUESSES
from tests.asgi import talk, unfinished
from tests.fakes import Brightness, photo
from tests.gateway import JPEG, application, problem, running, serving
from tests.keyed import bearer, key

pytestmark = pytest.mark.anyio

OPEN = {
    *("/", "/docs", "/redoc", "/openapi.json", "/docs/assets/{path}", "/page/assets/{path}"),
    *("/health/live", "/health/ready", "/v2/health/live", "/v2/health/ready"),
}
"""All that anybody may ask where there are keys."""


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "keys.toml"


def calls(app: FastAPI) -> set[tuple[str, str]]:
    """Every method and path that the app has a route for."""
    found = set()
    for one in iter_route_contexts(app.routes):
        route: Any = one
        path = getattr(route, "path_format", None) or f"{route.path}/{{path}}"
        found |= {(method, path) for method in getattr(route, "methods", None) or {"GET"}}
    return found


async def test_every_route_but_those_named_here_is_closed_also_one_that_is_added(file: Path) -> None:
    key(file, "shop", "predict")
    app = application(Brightness(), keys_file=file)
    app.add_api_route("/v1/brightness/more", lambda: "open", methods=["GET", "PUT"])
    app.add_api_route("/elsewhere", lambda: "open")
    found = calls(app)
    assert {("POST", "/v1/brightness"), ("PUT", "/v1/brightness/more"), ("GET", "/elsewhere")} <= found
    assert {path for _, path in found} >= OPEN
    async with running(app) as client:
        for method, path in found:
            asset = "page.css" if path.startswith("/page") else "swagger-ui.css"
            asked = path.replace("{name}", "brightness").replace("{path}", asset)
            response = await client.request(method, asked)
            assert (response.status_code != 401) == (path in OPEN), (method, path)


@pytest.mark.parametrize("header", ["Authorization", "X-API-Key"])
async def test_a_key_opens_what_its_scopes_name(file: Path, header: str) -> None:
    tokens = {scope: key(file, scope, scope) for scope in ("predict", "metrics")}
    sent = {scope: {header: f"Bearer {one}" if header == "Authorization" else one} for scope, one in tokens.items()}
    async with serving(Brightness(), keys_file=file) as client:
        answer = await client.post("/v1/brightness", content=photo(), headers={**JPEG, **sent["predict"]})
        assert answer.status_code == 200
        assert (await client.get("/v1/models", headers=sent["predict"])).status_code == 200
        assert (await client.get("/metrics", headers=sent["metrics"])).status_code == 200
        for path, scope, wanted in (("/metrics", "predict", "metrics"), ("/v1/models", "metrics", "predict")):
            refused = await client.get(path, headers=sent[scope])
            assert problem(refused) == (403, "forbidden")
            assert refused.json()["scope"] == wanted
            assert f"scope {wanted}" in refused.json()["detail"]
            assert f'scope="{wanted}"' in refused.headers["www-authenticate"]


async def test_who_has_no_key_hears_how_to_send_one(file: Path, caplog: pytest.LogCaptureFixture) -> None:
    token = key(file, "shop", "predict")
    async with serving(Brightness(), keys_file=file) as client:
        none = await client.get("/v1/models")
        wrong = await client.get("/v1/models", headers=bearer(token[:-1]))
    assert problem(none) == problem(wrong) == (401, "unauthenticated")
    assert none.headers["www-authenticate"] == 'Bearer realm="carlens"'
    assert 'error="invalid_token"' in wrong.headers["www-authenticate"]
    assert token[:-1] not in wrong.text + caplog.text
    assert f"request {wrong.headers['x-request-id']}: a wrong key from 127.0.0.1" in caplog.text


async def test_without_keys_all_is_open_but_changing_models() -> None:
    async with serving(Brightness()) as client:
        assert (await client.post("/v1/brightness", content=photo(), headers=JPEG)).status_code == 200
        assert (await client.get("/metrics")).status_code == 200
        for method, path in (("POST", "/v1/models/brightness/reload"), ("DELETE", "/v1/models/brightness")):
            refused = await client.request(method, path)
            assert problem(refused) == (403, "forbidden")
            assert refused.json()["scope"] == "admin"
            assert "CARLENS_KEYS_FILE" in refused.json()["detail"]


async def test_changing_models_needs_admin(file: Path) -> None:
    shop, chief = key(file, "shop", "predict", "metrics"), key(file, "chief", "admin")
    reload = "/v1/models/brightness/reload"
    async with serving(Brightness(), keys_file=file) as client:
        assert problem(await client.post(reload)) == (401, "unauthenticated")
        refused = await client.post(reload, headers=bearer(shop))
        assert problem(refused) == (403, "forbidden")
        assert refused.json()["scope"] == "admin"
        assert (await client.post(reload, headers=bearer(chief))).status_code == 200


async def test_who_is_kept_out_is_told_before_a_byte_of_the_body_is_read(file: Path) -> None:
    token = key(file, "shop", "metrics")
    app = application(Brightness(), keys_file=file)
    for headers, status in (({}, 401), (bearer("wrong"), 401), (bearer(token), 403)):
        answer = await talk(app, unfinished(b"x" * 1000), {**JPEG, **headers}, path="/v1/brightness")
        assert (answer.status, answer.complete, answer.taken) == (status, True, 0)


async def test_a_wrong_key_is_refused_however_it_is_written(file: Path) -> None:
    token = key(file, "shop", "predict")
    app = application(Brightness(), keys_file=file)
    for sent in (f"Bearer {token}\xe9", "Bearer \xff\xfe", f"Basic {token}", token, "Bearer " + "x" * 60_000):
        answer = await talk(app, unfinished(), {"authorization": sent}, path="/v1/models", method="GET")
        assert (answer.status, answer.json()["code"]) == (401, "unauthenticated")


async def test_guessing_is_limited_by_address_and_locks_nobody_out(
    file: Path, caplog: pytest.LogCaptureFixture
) -> None:
    token = key(file, "shop", "predict")
    async with serving(Brightness(), keys_file=file) as client:
        answers = [await client.get("/v1/models", headers=bearer(f"guess-{n}")) for n in range(GUESSES.amount + 5)]
        assert [one.status_code for one in answers] == [401] * GUESSES.amount + [429] * 5
        assert problem(answers[-1]) == (429, "rate_limited")
        assert 1 <= int(answers[-1].headers["retry-after"]) <= GUESSES.get_expiry()
        assert caplog.text.count("a wrong key from") == GUESSES.amount
        assert (await client.get("/v1/models")).status_code == 401  # no guess, and not counted as one
        assert (await client.get("/v1/models", headers=bearer(token))).status_code == 200


async def test_a_route_that_is_asked_for_by_another_spelling_is_not_open(file: Path) -> None:
    key(file, "shop", "predict")
    app = application(Brightness(), keys_file=file)
    for path in ("//v1/models", "/v1/models/", "/health/../v1/models", "/docs/assets/../../v1/models", "/V1/models"):
        answer = await talk(app, unfinished(), path=path, method="GET")
        assert answer.status in (401, 404), path
        assert b"brightness" not in answer.body, path
