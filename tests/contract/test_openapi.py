"""The OpenAPI document: in step with the code, stable where clients hold on to it, and complete for a stranger."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from app.errors import BY_CODE
from app.main import openapi_document
from app.settings import Settings
from tests.fakes import Brightness
from tests.gateway import application

COMMITTED = Path(__file__).parents[2] / "openapi" / "openapi.json"

OPERATIONS = {
    "predict_attributes": ("post", "/v1/attributes"),
    "predict_car_details": ("post", "/v1/car_details"),
    "predict_damage": ("post", "/v1/damage"),
    "annotate_damage": ("post", "/v1/damage/annotated"),
    "mask_damage": ("post", "/v1/damage/masks"),
    "inspect_photo": ("post", "/v1/inspect"),
    "inspect_claim": ("post", "/v1/inspect/claim"),
    "list_models": ("get", "/v1/models"),
    "get_model": ("get", "/v1/models/{name}"),
    "health_live": ("get", "/health/live"),
    "health_ready": ("get", "/health/ready"),
    "metrics": ("get", "/metrics"),
}
"""What generated clients call: a name here changes only on purpose."""


BINARY = {"type": "string", "format": "binary"}


def document() -> dict[str, Any]:
    loaded: dict[str, Any] = json.loads(COMMITTED.read_text(encoding="utf-8"))
    return loaded


def operations(found: dict[str, Any]) -> Iterator[tuple[str, str, dict[str, Any]]]:
    for path, item in found["paths"].items():
        for method, operation in item.items():
            yield method, path, operation


def test_the_committed_document_is_the_code_s() -> None:
    assert COMMITTED.read_text(encoding="utf-8") == openapi_document(Settings(device="cpu")), (
        "carlens openapi --output openapi/openapi.json"
    )


def test_operation_ids_are_stable() -> None:
    found = {operation["operationId"]: (method, path) for method, path, operation in operations(document())}
    assert OPERATIONS.items() <= found.items()


def test_operation_ids_come_from_the_name() -> None:
    found = application(Brightness("any_name")).openapi()
    names = {operation["operationId"] for _, _, operation in operations(found)}
    assert {"predict_any_name", "annotate_any_name", "inspect_photo"} <= names
    assert len(names) == len(list(operations(found)))


def test_every_operation_tells_a_stranger_what_it_is() -> None:
    found = document()
    tags = {tag["name"] for tag in found["tags"] if tag["description"]}
    assert found["info"]["title"] == "carlens"
    assert found["info"]["description"]
    assert found["info"]["license"]["name"]
    for _, path, operation in operations(found):
        assert operation["summary"], path
        assert operation["description"], path
        assert operation["tags"], path
        assert set(operation["tags"]) <= tags, path


def test_every_operation_has_examples_and_problems() -> None:
    for _, path, operation in operations(document()):
        for kind, media in operation["responses"]["200"]["content"].items():
            assert media["schema"] == BINARY or media.get("example") or media.get("examples"), (path, kind)
        problems = {status: answer for status, answer in operation["responses"].items() if status >= "400"}
        assert problems, path
        for status, answer in problems.items():
            media = answer["content"]["application/problem+json"]
            assert list(answer["content"]) == ["application/problem+json"], (path, status)
            assert media["schema"] == {"$ref": "#/components/schemas/ProblemDetails"}
            assert all(BY_CODE[code].status == int(status) for code in media["examples"]), (path, status)


def test_every_parameter_is_described() -> None:
    for _, path, operation in operations(document()):
        for parameter in operation.get("parameters", []):
            described = parameter.get("description") or parameter["schema"].get("description")
            assert described, (path, parameter["name"])


def test_answers_are_typed_all_the_way() -> None:
    found = document()
    for name in ("damage", "car_details", "attributes"):
        content = found["paths"][f"/v1/{name}"]["post"]["responses"]["200"]["content"]["application/json"]
        envelope = found["components"]["schemas"][content["schema"]["$ref"].rpartition("/")[2]]
        assert set(envelope["required"]) == {"request_id", "model", "image", "result", "timings_ms"}
        for part in ("model", "image", "result", "timings_ms"):
            assert envelope["properties"][part]["$ref"].startswith("#/components/schemas/"), (name, part)


def test_component_names_can_be_read() -> None:
    for name in document()["components"]["schemas"]:
        assert name.isalnum(), f"{name}: a generated client calls its class so"


@pytest.mark.parametrize("path", [path for path, item in document()["paths"].items() if "post" in item])
def test_examples_are_what_the_schema_says(path: str) -> None:
    jsonschema_rs = pytest.importorskip("jsonschema_rs")
    found = document()
    content = found["paths"][path]["post"]["responses"]["200"]["content"].get("application/json")
    if content:  # else it answers with a picture
        schema = {**content["schema"], "components": found["components"]}
        jsonschema_rs.validator_for(schema).validate(content["example"])


def test_an_example_with_nulls_has_them() -> None:
    answers = document()["paths"]["/v1/inspect/claim"]["post"]["responses"]["200"]["content"]
    answered, failed = answers["application/json"]["example"]["photos"]
    assert (answered["problem"], failed["image"], failed["timings_ms"]) == (None, None, None)
    assert answered["results"]["damage"]["detections"][0]["parts"] is None


MAY_BE_ABSENT = {
    "InspectEnvelope": {"vehicles"},  # without `vehicle=all`
    "InspectResults": {"attributes", "car_details", "damage", "parts", "severity", "vehicles"},  # those not asked
    "InspectVehicle": {"attributes", "car_details"},
    "TaskTimings": {"locate", "complete"},  # steps that did not happen
    "Timings": {"locate", "complete"},
}


def test_what_every_answer_has_is_required() -> None:
    found = document()["components"]["schemas"]
    optional = {name: set(one.get("properties", {})) - set(one.get("required", [])) for name, one in found.items()}
    assert {name: fields for name, fields in optional.items() if fields} == MAY_BE_ABSENT


def test_the_data_of_each_event_has_its_schema() -> None:
    jsonschema_rs = pytest.importorskip("jsonschema_rs")
    found = document()
    content = found["paths"]["/v1/inspect/claim"]["post"]["responses"]["200"]["content"]["text/event-stream"]
    told = content["schema"]["x-events"]
    assert list(told) == ["photo", "claim", "problem"]
    named = {name: one["$ref"].rpartition("/")[2] for name, one in told.items()}
    assert all(f"`{schema}`" in content["schema"]["description"] for schema in named.values())
    blocks = [block.split("\n") for block in content["example"].split("\n\n")[:-1]]
    events = [(name.removeprefix("event: "), json.loads(data.removeprefix("data: "))) for name, data in blocks]
    failed = events[1][1]["problem"]
    for name, data in [*events, ("problem", failed)]:
        schema = {**told[name], "components": found["components"]}
        jsonschema_rs.validator_for(schema).validate(data)
    assert {name for name, _ in events} == {"photo", "claim"}
