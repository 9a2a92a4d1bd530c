"""The OpenAPI document says of every call what it needs, and so does the service."""

from pathlib import Path
from typing import Any

import pytest

from tests.fakes import Brightness
from tests.gateway import application
from tests.keyed import key


def operations(document: dict[str, Any]) -> dict[str, dict[str, Any]]:
    return {f"{method} {path}": one for path, item in document["paths"].items() for method, one in item.items()}


def test_keys_are_optional_in_the_document_of_a_service_without() -> None:
    app = application(Brightness())
    app.add_api_route("/v1/models/{name}/reload", lambda name: name, methods=["POST"])
    found = operations(app.openapi())
    assert found["post /v1/brightness"]["security"] == [{}, {"bearer": ["predict"]}, {"api_key": ["predict"]}]
    assert found["get /metrics"]["security"] == [{}, {"bearer": ["metrics"]}, {"api_key": ["metrics"]}]
    assert found["get /health/live"]["security"] == []
    # Nobody may, without keys: so it is not said that a call without one is allowed.
    assert found["post /v1/models/{name}/reload"]["security"] == [{"bearer": ["admin"]}, {"api_key": ["admin"]}]


def test_keys_are_required_in_the_document_of_a_service_with(tmp_path: Path) -> None:
    key(tmp_path / "keys.toml", "shop", "predict")
    document = application(Brightness(), keys_file=tmp_path / "keys.toml").openapi()
    for name, operation in operations(document).items():
        assert {} not in operation["security"]
        assert bool(operation["security"]) != ("/health/" in name), name
    assert document["components"]["securitySchemes"]["bearer"]["scheme"] == "bearer"
    assert document["components"]["securitySchemes"]["api_key"]["name"] == "X-API-Key"


@pytest.mark.parametrize(("status", "header"), [("401", "WWW-Authenticate"), ("429", "Retry-After"), ("403", None)])
def test_refusals_are_declared_where_there_are_any(status: str, header: str | None) -> None:
    for name, operation in operations(application(Brightness()).openapi()).items():
        assert (status in operation["responses"]) != ("/health/" in name), name
        if header and status in operation["responses"]:
            assert list(operation["responses"][status]["headers"]) == [header]


def test_the_document_is_the_same_however_often_it_is_asked() -> None:
    app = application(Brightness())
    assert app.openapi() == app.openapi()
