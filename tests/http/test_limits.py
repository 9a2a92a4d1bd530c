"""Rate limits over HTTP: who is counted, what is never limited, and what the headers say."""

from pathlib import Path

import httpx
import pytest

from tests.asgi import talk, unfinished
from tests.fakes import Brightness, photo
from tests.gateway import JPEG, application, problem, serving
from tests.keyed import bearer, key

pytestmark = pytest.mark.anyio


async def ask(client: httpx.AsyncClient, token: str = "") -> httpx.Response:
    headers = {**JPEG, **(bearer(token) if token else {})}
    return await client.post("/v1/brightness", content=photo(), headers=headers)


async def test_without_a_setting_nobody_is_limited_and_no_header_says_so() -> None:
    async with serving(Brightness()) as client:
        answer = await ask(client)
    assert answer.status_code == 200
    assert not [name for name in answer.headers if name.startswith("ratelimit")]


async def test_each_key_has_its_own_count(tmp_path: Path) -> None:
    file = tmp_path / "keys.toml"
    first, second = key(file, "first", "predict"), key(file, "second", "predict")
    async with serving(Brightness(), keys_file=file, rate_per_key="2/hour") as client:
        told = [await ask(client, first) for _ in range(3)]
        assert [one.status_code for one in told] == [200, 200, 429]
        assert problem(told[2]) == (429, "rate_limited")
        assert [one.headers["ratelimit-policy"] for one in told] == ['"key";q=2;w=3600'] * 3
        assert [one.headers["ratelimit"].split(";t=")[0] for one in told] == ['"key";r=1', '"key";r=0', '"key";r=0']
        assert 3500 < int(told[2].headers["retry-after"]) <= 3600
        assert told[2].headers["ratelimit"].endswith(f";t={told[2].headers['retry-after']}")
        assert (await ask(client, second)).status_code == 200
        assert "ratelimit" not in (await client.get("/docs")).headers  # no key, and no limit of addresses


async def test_an_address_is_limited_whatever_it_asks_but_health() -> None:
    async with serving(Brightness(), rate_per_address="4/hour") as client:
        paths = ["/docs", "/v1/models", "/nothing", "/metrics", "/openapi.json", "/v1/models"]
        assert [(await client.get(path)).status_code for path in paths] == [200, 200, 404, 200, 429, 429]
        assert problem(await ask(client)) == (429, "rate_limited")
        for _ in range(10):
            answer = await client.get("/health/ready")
            assert answer.status_code == 200
            assert "ratelimit" not in answer.headers


async def test_who_must_wait_for_hours_is_told_so() -> None:
    async with serving(Brightness(), rate_per_address="1/day") as client:
        await client.get("/docs")
        assert 86_000 < int((await client.get("/docs")).headers["retry-after"]) <= 86_400


async def test_both_limits_are_told_and_refusals_too(tmp_path: Path) -> None:
    file = tmp_path / "keys.toml"
    token = key(file, "shop", "metrics")
    settings = {"keys_file": file, "rate_per_key": "5/hour", "rate_per_address": "9/hour"}
    async with serving(Brightness(), **settings) as client:
        refused = await ask(client, token)
        assert problem(refused) == (403, "forbidden")
        assert refused.headers["ratelimit-policy"] == '"address";q=9;w=3600, "key";q=5;w=3600'
        assert (await ask(client)).headers["ratelimit"].startswith('"address";r=7;')


async def test_who_is_over_the_limit_is_told_before_a_byte_of_the_body_is_read() -> None:
    app = application(Brightness(), rate_per_address="1/hour")
    first = await talk(app, [], path="/docs", method="GET")
    second = await talk(app, unfinished(b"x" * 1000), JPEG, path="/v1/brightness")
    assert (first.status, second.status, second.taken) == (200, 429, 0)
