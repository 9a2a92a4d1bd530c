"""What each call needs, and which token a request brings."""

import pytest
from starlette.datastructures import Headers

from app.access import Wanted, presented, wanted


@pytest.mark.parametrize(
    ("method", "path", "needs"),
    [
        ("GET", "/", "open"),
        ("GET", "/docs", "open"),
        ("GET", "/redoc", "open"),
        ("GET", "/openapi.json", "open"),
        ("GET", "/docs/assets/swagger-ui.css", "open"),
        ("GET", "/page/assets/main.js", "open"),
        ("GET", "/page/served", "predict"),
        ("GET", "/page/assets", "predict"),
        ("GET", "/health/live", "health"),
        ("GET", "/v2/health/ready", "health"),
        ("GET", "/metrics", "metrics"),
        ("POST", "/v1/damage", "predict"),
        ("POST", "/v1/inspect/annotated", "predict"),
        ("GET", "/v1/models", "predict"),
        ("GET", "/v1/models/damage", "predict"),
        ("HEAD", "/v1/models/damage", "predict"),
        ("POST", "/v2/models/damage/infer", "predict"),
        ("POST", "/v1/models", "admin"),
        ("POST", "/v1/models/", "admin"),
        ("POST", "/v1/models/damage/reload", "admin"),
        ("DELETE", "/v1/models/damage", "admin"),
        ("PUT", "/v1/models/damage", "admin"),
        ("WHATEVER", "/v1/models/damage", "admin"),
        ("POST", "/v2/repository/models/damage/load", "admin"),
        ("POST", "/v1/models_of_mine", "predict"),
        ("GET", "/anything", "predict"),
        ("GET", "/docs/", "predict"),
        ("GET", "/docsy", "predict"),
        ("GET", "/health", "predict"),
        ("GET", "/healthy/live", "predict"),
        ("GET", "//health/live", "predict"),
        ("GET", "/HEALTH/live", "predict"),
        ("GET", "/metrics/", "predict"),
        ("GET", "", "predict"),
    ],
)
def test_what_a_call_needs(method: str, path: str, needs: Wanted) -> None:
    assert wanted(method, path) == needs


@pytest.mark.parametrize(
    ("sent", "token"),
    [
        ({}, None),
        ({"Authorization": "Bearer abc"}, "abc"),
        ({"Authorization": "bearer  abc "}, "abc"),
        ({"Authorization": "Bearer"}, None),
        ({"Authorization": "Bearer "}, None),
        ({"Authorization": "Basic abc"}, None),
        ({"Authorization": "Basic abc", "X-API-Key": "def"}, "def"),
        ({"X-API-Key": "def"}, "def"),
        ({"X-API-Key": ""}, None),
        ({"Authorization": "Bearer abc", "X-API-Key": "def"}, "abc"),
    ],
)
def test_which_token_a_request_brings(sent: dict[str, str], token: str | None) -> None:
    assert presented(Headers(sent)) == token
