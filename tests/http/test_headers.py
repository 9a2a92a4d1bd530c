"""The headers of every answer, errors too, and what pages of other sites may do."""

from pathlib import Path
from typing import Any

import pytest

from tests.asgi import talk, unfinished
from tests.fakes import Brightness, photo
from tests.gateway import JPEG, application, running, serving
from tests.keyed import key

pytestmark = pytest.mark.anyio

ALWAYS = {"x-content-type-options": "nosniff", "x-frame-options": "DENY", "referrer-policy": "no-referrer"}
SHOP = "https://shop.example"


async def test_every_answer_carries_them() -> None:
    async with serving(Brightness(), rate_per_address="20/hour") as client:
        answers = {path: await client.get(path) for path in ("/docs", "/redoc", "/", "/openapi.json", "/metrics")}
        answers |= {
            path: await client.get(path) for path in ("/health/ready", "/v1/models", "/nothing", "/v1/brightness")
        }
        answers["asset"] = await client.get("/docs/assets/swagger-ui.css")
        answers["module"] = await client.get("/page/assets/main.js")
        answers["photo"] = await client.post("/v1/brightness", content=photo(), headers=JPEG)
        answers["drawn"] = await client.post("/v1/brightness/annotated", content=photo(), headers=JPEG)
        answers["bad"] = await client.post("/v1/brightness", content=b"bad", headers=JPEG)
        answers["refused"] = await client.post("/v1/models/brightness/reload")
        while (limited := await client.get("/docs")).status_code != 429:
            pass
        answers["limited"] = limited
    statuses = {one.status_code for one in answers.values()}
    assert statuses == {200, 403, 404, 405, 415, 429}
    for name, answer in answers.items():
        assert {header: answer.headers[header] for header in ALWAYS} == ALWAYS, name
        assert "frame-ancestors 'none'" in answer.headers["content-security-policy"], name
        assert answer.headers["content-security-policy"].startswith("default-src 'none'; "), name
        kept = {**dict.fromkeys(("/", "/docs", "/redoc", "module"), "no-cache"), "asset": "public, max-age=86400"}
        assert answer.headers["cache-control"] == kept.get(name, "no-store"), name
        if name not in ("/", "/docs", "/redoc"):
            assert "script-src" not in answer.headers["content-security-policy"], name


async def test_an_answer_to_what_broke_carries_them() -> None:
    app = application(Brightness())

    async def breaks() -> None:
        raise RuntimeError("secret")

    app.add_api_route("/breaks", breaks)
    answer = await talk(app, unfinished(), path="/breaks", method="GET")
    assert (answer.status, answer.json()["code"]) == (500, "prediction_failed")
    assert ALWAYS.items() <= answer.headers.items()
    assert answer.headers["cache-control"] == "no-store"


def preflight(**more: str) -> dict[str, str]:
    return {"Origin": SHOP, "Access-Control-Request-Method": "POST", **more}


async def test_pages_of_other_sites_may_nothing_by_default() -> None:
    async with serving(Brightness()) as client:
        asked = await client.options("/v1/brightness", headers=preflight())
        told = await client.post("/v1/brightness", content=photo(), headers={**JPEG, "Origin": SHOP})
    assert asked.status_code == 405
    assert not [name for answer in (asked, told) for name in answer.headers if name.startswith("access-control")]


async def test_a_site_that_is_named_may_ask_with_a_key_which_its_preflight_does_not_bring(tmp_path: Path) -> None:
    key(tmp_path / "keys.toml", "shop", "predict")
    settings: dict[str, Any] = {"keys_file": tmp_path / "keys.toml", "cors_origins": [SHOP], "rate_per_key": "9/hour"}
    async with serving(Brightness(), **settings) as client:
        wanted = {
            "Access-Control-Request-Headers": "authorization, x-api-key, x-deadline-ms, x-request-id, content-type"
        }
        asked = await client.options("/v1/brightness", headers=preflight(**wanted))
        assert asked.status_code == 200
        assert asked.headers["access-control-allow-origin"] == SHOP
        assert "access-control-allow-credentials" not in asked.headers
        assert ALWAYS.items() <= dict(asked.headers).items()
        refused = await client.post("/v1/brightness", headers={"Origin": SHOP})
        assert refused.status_code == 401
        assert refused.headers["access-control-allow-origin"] == SHOP  # else a page could not even read the problem
        shown = {name.strip().lower() for name in refused.headers["access-control-expose-headers"].split(",")}
        assert {"x-request-id", "retry-after", "ratelimit", "ratelimit-policy", "server-timing"} <= shown
        for other in ("https://shop.example.evil.example", "http://shop.example", "null"):
            answer = await client.options("/v1/brightness", headers={**preflight(), "Origin": other})
            assert answer.status_code == 400
            assert "access-control-allow-origin" not in answer.headers


async def test_a_page_can_read_that_something_broke() -> None:
    app = application(Brightness(), cors_origins=["*"])

    async def breaks() -> None:
        raise RuntimeError("secret")

    app.add_api_route("/breaks", breaks)
    async with running(app) as client:
        answer = await client.get("/breaks", headers={"Origin": SHOP})
    assert answer.status_code == 500
    assert answer.headers["access-control-allow-origin"] == "*"
