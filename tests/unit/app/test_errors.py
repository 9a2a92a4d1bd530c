"""Every exception becomes the right problem, and no problem says too much."""

import asyncio
import contextlib
import json
import logging
import math
from typing import Annotated, Any

import pytest
from fastapi import FastAPI, Query
from pydantic import BaseModel, ConfigDict, Field
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect

from app import errors
from app.errors import PROBLEMS, ClientGone, Problem, ProblemDetails
from models import photo
from tests.asgi import Answer, chunked, talk

AGREED = {
    "missing_image": 400,
    "empty_image": 400,
    "malformed_request": 400,
    "too_many_photos": 400,
    "unauthenticated": 401,
    "forbidden": 403,
    "not_found": 404,
    "unknown_model": 404,
    "method_not_allowed": 405,
    "load_failed": 409,
    "body_too_large": 413,
    "image_too_large": 413,
    "unsupported_media_type": 415,
    "undecodable_image": 422,
    "invalid_option": 422,
    "rate_limited": 429,
    "prediction_failed": 500,
    "overloaded": 503,
    "not_ready": 503,
    "shutting_down": 503,
    "deadline_exceeded": 504,
}
SECRET = "secret path /srv/weights"


class Choice(BaseModel):
    model_config = ConfigDict(extra="forbid")

    min_score: float = Field(default=0.5, ge=0, le=1)
    masks: str = Field(default="none", pattern="^(none|rle)$")


class NoChoice(BaseModel):
    model_config = ConfigDict(extra="forbid")


class Special(errors.UndecodableImage):
    """A problem nobody registered."""


def raising(error: Exception) -> FastAPI:
    app = FastAPI()
    errors.install(app)

    @app.post("/photo")
    async def photo_call() -> None:
        raise error

    return app


def answer_to(error: Exception) -> Answer:
    """What is sent; an exception that goes on to the server after that is let go."""
    app = raising(error)
    sent: list[Answer] = []

    async def ask() -> None:
        async def keeping(scope: Any, receive: Any, send: Any) -> None:
            with contextlib.suppress(type(error)):
                await app(scope, receive, send)

        sent.append(await talk(keeping, chunked(b"")))

    asyncio.run(ask())
    return sent[0]


def test_the_problems_are_those_agreed() -> None:
    assert {problem.code: problem.status for problem in PROBLEMS} == AGREED
    assert len({problem.title for problem in PROBLEMS}) == len(PROBLEMS)


@pytest.mark.parametrize("problem", PROBLEMS)
def test_a_problem_is_sent_as_it_is(problem: type[Problem]) -> None:
    answer = answer_to(problem("Do this."))
    body = answer.json()
    assert answer.status == AGREED[problem.code]
    assert answer.headers["content-type"] == "application/problem+json"
    assert body["type"] == f"urn:carlens:problem:{problem.code}"
    assert body["detail"] == "Do this."
    assert {"type", "title", "status", "detail", "code", "request_id"} <= set(body)
    assert ("retry-after" in answer.headers) == (answer.status == 503)


def test_the_shape_is_the_agreed_example() -> None:
    body = errors.UndecodableImage("The JPEG data ends early. Send the whole file.").body("5f3c2f9e8d0b4a53")
    assert body == {
        "type": "urn:carlens:problem:undecodable_image",
        "title": "The image cannot be decoded",
        "status": 422,
        "detail": "The JPEG data ends early. Send the whole file.",
        "code": "undecodable_image",
        "request_id": "5f3c2f9e8d0b4a53",
    }


def test_a_subclass_is_found_by_its_classes() -> None:
    assert answer_to(Special("x")).json()["code"] == "undecodable_image"


@pytest.mark.parametrize(
    ("seconds", "header"),
    [(None, "1"), (0.0, "1"), (-3.0, "1"), (0.2, "1"), (1.01, "2"), (7, "7"), (math.inf, "1"), (math.nan, "1")],
)
def test_retry_after_is_whole_seconds(seconds: float | None, header: str) -> None:
    assert answer_to(errors.Overloaded("x", retry_after_s=seconds)).headers["retry-after"] == header


def test_retry_after_is_never_a_day() -> None:
    assert answer_to(errors.Overloaded("x", retry_after_s=1e30)).headers["retry-after"] == "3600"


def test_not_ready_has_the_keys_of_ready() -> None:
    body = answer_to(errors.NotReady("x", extra={"predictors": {"damage": "loading"}})).json()
    assert (body["ready"], body["predictors"]) == (False, {"damage": "loading"})
    assert answer_to(errors.NotReady("x")).json()["predictors"] == {}


def test_further_keys_never_replace_the_standard_ones() -> None:
    body = answer_to(errors.Overloaded("x", extra={"status": 200, "waiting": 3})).json()
    assert (body["status"], body["waiting"]) == (503, 3)


def test_no_nan_and_no_half_character_goes_out() -> None:
    extra = {"a": math.nan, "b": [math.inf, {"c": (-math.inf, 1.5)}]}
    answer = answer_to(errors.InvalidOption("half \ud800", extra=extra))
    assert answer.json()["a"] is None
    assert answer.json()["b"] == [None, {"c": [None, 1.5]}]


@pytest.mark.parametrize("error", [RuntimeError(SECRET), ValueError(SECRET), KeyError(SECRET), OSError(SECRET)])
def test_anything_else_is_500_that_tells_nothing(error: Exception, caplog: pytest.LogCaptureFixture) -> None:
    answer = answer_to(error)
    assert (answer.status, answer.json()["code"]) == (500, "prediction_failed")
    assert "secret" not in answer.body.decode()
    assert [record.exc_info[1] for record in caplog.records if record.exc_info] == [error], "the log has it"


def test_a_500_of_our_own_is_logged_with_its_cause(caplog: pytest.LogCaptureFixture) -> None:
    answer_to(errors.PredictionFailed("x"))
    assert [record.levelno for record in caplog.records] == [logging.ERROR]
    caplog.clear()
    answer_to(errors.Overloaded("x"))
    assert not caplog.records


@pytest.mark.parametrize("error", [ClientGone(), ClientDisconnect()])
def test_nobody_is_answered_who_has_gone(error: Exception, caplog: pytest.LogCaptureFixture) -> None:
    answer = answer_to(error)
    assert (answer.status, answer.body) == (None, b"")
    assert not caplog.records


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (photo.EmptyImage("say"), "empty_image"),
        (photo.UnsupportedFormat("say"), "unsupported_media_type"),
        (photo.ImageTooLarge("say"), "image_too_large"),
        (photo.UndecodableImage("say"), "undecodable_image"),
        (photo.PhotoError("say"), "undecodable_image"),
    ],
)
def test_a_photos_error_becomes_its_problem(error: photo.PhotoError, code: str) -> None:
    assert (errors.from_photo_error(error).code, errors.from_photo_error(error).detail) == (code, "say")
    assert answer_to(error).json()["code"] == code


@pytest.mark.parametrize(
    ("status", "code"),
    [
        (400, "malformed_request"),
        (404, "not_found"),
        (405, "method_not_allowed"),
        (413, "body_too_large"),
        (415, "unsupported_media_type"),
        (422, "invalid_option"),
        (418, "malformed_request"),
        (500, "prediction_failed"),
        (502, "prediction_failed"),
    ],
)
def test_the_frameworks_own_exceptions(status: int, code: str) -> None:
    answer = answer_to(HTTPException(status, SECRET if status >= 500 else "say", headers={"X-Kept": "1"}))
    assert answer.json()["code"] == code
    assert answer.status == answer.json()["status"] == AGREED[code]
    assert answer.headers["x-kept"] == "1"
    assert b"secret" not in answer.body


def options_app() -> FastAPI:
    app = FastAPI()
    errors.install(app)

    @app.post("/v1/{name}/options")
    async def options(name: str, choice: Annotated[Choice, Query()]) -> str:
        return f"{name}{choice}"

    @app.post("/v1/none")
    async def none(choice: Annotated[NoChoice, Query()]) -> str:
        return str(choice)

    @app.post("/v1/body")
    async def body(choice: Choice) -> str:
        return str(choice)

    return app


def ask(path: str, query: str = "", method: str = "POST") -> Answer:
    return asyncio.run(talk(options_app(), chunked(b""), path=path, query=query, method=method))


@pytest.mark.parametrize(
    ("query", "said"),
    [
        ("min_score=2", ["'min_score'", "'2'", "less than or equal to 1"]),
        ("min_score=abc", ["'min_score'", "'abc'", "valid number"]),
        ("min_score=nan", ["'min_score'", "'nan'"]),
        ("masks=polygons", ["'masks'", "'polygons'", "none|rle"]),
        ("minscore=0.5", ["There is no query option 'minscore'", "Allowed are: masks, min_score"]),
        ("min_score=9&masks=9", ["'min_score'", "'masks'"]),
        ("min_score=" + "9" * 5000, ["'min_score'"]),
        ("min_score=%0d%0aSet-Cookie%00", ["'min_score'"]),
        ("%ff%fe=1", ["There is no query option"]),
    ],
)
def test_an_invalid_option_is_named_with_what_is_allowed(query: str, said: list[str]) -> None:
    answer = ask("/v1/damage/options", query)
    assert (answer.status, answer.json()["code"]) == (422, "invalid_option")
    for words in said:
        assert words in answer.json()["detail"]
    assert len(answer.json()["detail"]) < 500
    assert answer.json()["detail"].isprintable()


def test_a_call_without_options_says_so() -> None:
    assert "This call has none" in ask("/v1/none", "a=1").json()["detail"]


def test_an_invalid_body_is_malformed() -> None:
    answer = ask("/v1/body")
    assert (answer.status, answer.json()["code"]) == (400, "malformed_request")


def test_no_such_address() -> None:
    answer = ask("/v1/damages\r\n")
    assert (answer.status, answer.json()["code"]) == (404, "not_found")
    assert "'/v1/damages\\r\\n'" in answer.json()["detail"]


def test_a_wrong_method_is_told_the_right_one() -> None:
    answer = ask("/v1/none", method="GET")
    assert (answer.status, answer.json()["code"]) == (405, "method_not_allowed")
    assert answer.headers["allow"] == "POST"
    assert "Use POST" in answer.json()["detail"]


def test_problems_are_declared_with_an_example_per_code() -> None:
    declared = errors.responses(*PROBLEMS)
    assert set(declared) == set(AGREED.values())
    for status, entry in declared.items():
        assert entry["description"]
        [(media, content)] = entry["content"].items()
        assert media == "application/problem+json"
        assert set(content["examples"]) == {code for code, s in AGREED.items() if s == status}
        for code, example in content["examples"].items():
            told = ProblemDetails.model_validate(example["value"])
            assert (told.code, told.status) == (code, status)
            assert json.dumps(example, allow_nan=False)
    assert declared[503]["headers"]["Retry-After"]["schema"]["type"] == "integer"
    assert "Allow" in declared[405]["headers"]
    assert "ready" in declared[503]["content"]["application/problem+json"]["examples"]["not_ready"]["value"]


def test_the_document_has_what_the_responses_refer_to() -> None:
    app = FastAPI()
    errors.install(app)
    app.post("/photo", responses=errors.responses(errors.InvalidOption))(lambda min_score: None)
    document = app.openapi()
    schema = document["components"]["schemas"]["ProblemDetails"]
    assert set(schema["required"]) == {"type", "title", "status", "detail", "code", "request_id"}
    assert list(document["paths"]["/photo"]["post"]["responses"]["422"]["content"]) == ["application/problem+json"]
    assert "HTTPValidationError" not in document["components"]["schemas"]


def test_what_is_quoted_back_is_short_and_printable() -> None:
    assert errors.shown("x" * 1000, 20) == "'" + "x" * 18 + "…"
    assert errors.shown("a\r\n\x1b[31m\ud800é").isprintable()
