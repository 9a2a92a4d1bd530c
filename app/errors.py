"""Every problem a caller can meet, and the one handler that turns an exception into `application/problem+json`."""

import json
import logging
import math
from collections.abc import Callable, Mapping
from typing import Any, ClassVar, Literal

from fastapi import FastAPI
from fastapi.exceptions import RequestValidationError
from pydantic import BaseModel, ConfigDict, Field
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response

from models.photo import PhotoError

MEDIA_TYPE = "application/problem+json"
CLIENT_GONE_STATUS = 499
"""What a request counts as in metrics when nobody waited for its answer; it is never sent."""

log = logging.getLogger("carlens")


class Problem(Exception):
    """An answer that is not the one asked for. `detail` tells the caller what to do about it.

    `retry_after_s` seconds go out as `Retry-After`, rounded up; `extra` are further keys of the answer; `headers`
    further headers.
    """

    status: ClassVar[int] = 500
    code: ClassVar[str] = "prediction_failed"
    title: ClassVar[str] = "The prediction failed"
    example: ClassVar[str] = "Something in the service failed. Tell its operator the request_id."
    reason: Literal["full", "deadline"] | None = None
    """What metrics count it under, where its code has two reasons."""

    def __init__(
        self,
        detail: str,
        *,
        retry_after_s: float | None = None,
        extra: Mapping[str, object] | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(detail)
        self.detail = detail
        self.extra = dict(extra or {})
        self.headers = dict(headers or {})
        if self.status == 503 or retry_after_s is not None:
            self.headers["Retry-After"] = _whole_seconds(retry_after_s)

    def body(self, request_id: str) -> dict[str, object]:
        """The problem as plain data; `extra` never replaces one of the standard keys."""
        standard: dict[str, object] = {
            "type": f"urn:carlens:problem:{self.code}",
            "title": self.title,
            "status": self.status,
            "detail": self.detail,
            "code": self.code,
            "request_id": request_id,
        }
        return {**standard, **{key: value for key, value in self.extra.items() if key not in standard}}


class MissingImage(Problem):
    status, code, title = 400, "missing_image", "The request holds no photo"
    example = "Send the photo as the form field `file`: curl -F file=@car.jpg …"


class EmptyImage(Problem):
    status, code, title = 400, "empty_image", "The photo is empty"
    example = "The field `file` has no bytes. Check the path of the photo that was sent."


class MalformedRequest(Problem):
    status, code, title = 400, "malformed_request", "The request cannot be read"
    example = "The form holds two photos. Send one photo per request."


class TooManyPhotos(Problem):
    status, code, title = 400, "too_many_photos", "The claim has too many photos"
    example = "The form has more than 24 photos. Send the rest as a claim of its own."


class Unauthenticated(Problem):
    status, code, title = 401, "unauthenticated", "A key is needed"
    example = "Send your key as `Authorization: Bearer …` or `X-API-Key: …`."


class Forbidden(Problem):
    """Carries `scope`, the one that is wanted, beside the standard keys."""

    status, code, title = 403, "forbidden", "The key does not allow this"
    example = "The key shop-1 lacks the scope admin. Ask the operator for one that has it."


class NotFound(Problem):
    status, code, title = 404, "not_found", "There is nothing at this address"
    example = "There is nothing at /v1/damages. /docs lists every call."


class UnknownModel(Problem):
    status, code, title = 404, "unknown_model", "No such model is served"
    example = "No model is called damages. Served are: attributes, car_details, damage."


class MethodNotAllowed(Problem):
    status, code, title = 405, "method_not_allowed", "The method is not allowed here"
    example = "GET is not allowed at /v1/damage. Use POST."


class LoadFailed(Problem):
    """Carries `workers`, what came of the change in each."""

    status, code, title = 409, "load_failed", "The model could not be loaded"
    example = "weights/damage.safetensors: sha256 is 9f2c41d07be6…, the manifest expects 2dd6b38d7308…"


class BodyTooLarge(Problem):
    status, code, title = 413, "body_too_large", "The body is too large"
    example = "The photo has more than 33554432 bytes. Send a smaller or more strongly compressed one."


class ImageTooLarge(Problem):
    status, code, title = 413, "image_too_large", "The image has too many pixels"
    example = "The photo has 20000 x 20000 pixels, allowed are 60000000 in all. Scale it down."


class UnsupportedMediaType(Problem):
    status, code, title = 415, "unsupported_media_type", "The media type is not supported"
    example = "text/plain is not accepted. Send multipart/form-data, an image/* body or application/json."


class UndecodableImage(Problem):
    status, code, title = 422, "undecodable_image", "The image cannot be decoded"
    example = "The JPEG data ends early. Send the whole file."


class InvalidOption(Problem):
    status, code, title = 422, "invalid_option", "An option is not valid"
    example = "Query option `min_score` was given '2': Input should be less than or equal to 1."


class RateLimited(Problem):
    status, code, title = 429, "rate_limited", "Too many requests"
    example = "More than 600 requests with this key within 60 s. Try again after the seconds in Retry-After."


class PredictionFailed(Problem):
    pass


class Overloaded(Problem):
    status, code, title = 503, "overloaded", "Too many requests are waiting"
    example = "The answer would come after the deadline. Try again after the seconds in Retry-After."


class NotReady(Problem):
    """Carries `ready` and `predictors` (name to state) beside the standard keys."""

    status, code, title = 503, "not_ready", "The service is not ready"
    example = "Not loaded yet: damage (loading). Try again after the seconds in Retry-After."

    def __init__(
        self,
        detail: str,
        *,
        retry_after_s: float | None = None,
        extra: Mapping[str, object] | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> None:
        whole = {"ready": False, "predictors": {}, **(extra or {})}
        super().__init__(detail, retry_after_s=retry_after_s, extra=whole, headers=headers)


class ShuttingDown(Problem):
    status, code, title = 503, "shutting_down", "The service is shutting down"
    example = "This server takes no more requests. Try again after the seconds in Retry-After."


class DeadlineExceeded(Problem):
    status, code, title = 504, "deadline_exceeded", "The deadline has passed"
    example = "No answer within 10000 ms. Raise X-Deadline-Ms or send fewer requests at a time."


PROBLEMS: tuple[type[Problem], ...] = tuple(Problem.__subclasses__())
"""Every kind there is, in the order of their status."""

BY_CODE: Mapping[str, type[Problem]] = {problem.code: problem for problem in PROBLEMS}


class ClientGone(Exception):
    """The client closed the connection before its answer was ready: nothing is sent, nothing is an error."""


class ProblemDetails(BaseModel):
    """Why a call was not answered, after RFC 9457; some problems carry further keys."""

    model_config = ConfigDict(extra="allow")

    type: str = Field(description="Identifies the kind of problem.", examples=["urn:carlens:problem:undecodable_image"])
    title: str = Field(description="What the kind of problem is, the same for every problem of its code.")
    status: int = Field(description="The HTTP status.", ge=400, le=599)
    detail: str = Field(description="What happened here and what to do about it.")
    code: str = Field(description="The kind of problem as one word, for programs.", examples=["undecodable_image"])
    request_id: str = Field(description="Identifies the request in the service's log; also in `X-Request-ID`.")


def from_photo_error(error: PhotoError) -> Problem:
    """The problem of a photo that cannot be read, by the error's `code`."""
    return BY_CODE.get(error.code, UndecodableImage)(str(error) or UndecodableImage.example)


def shown(value: object, limit: int = 80) -> str:
    """What a caller sent, fit to be quoted back: printable, on one line, at most `limit` characters."""
    text = ascii(value)
    return text if len(text) <= limit else text[: limit - 1] + "…"


def problem_for(request: Request, error: Exception) -> Problem | None:
    """The problem that tells of `error`, looked up by its classes, nearest first; None where nobody waits for it."""
    for kind in type(error).__mro__:
        if kind in _CONVERTERS:
            return _CONVERTERS[kind](request, error)
    raise TypeError(f"{type(error).__name__} is not an Exception")


def respond(request: Request, error: Exception) -> Response | None:
    """The response that tells of `error`; None where the client has gone."""
    problem = problem_for(request, error)
    if problem is None:
        return None
    state = request.scope.setdefault("state", {})
    state["problem"] = problem
    request_id = str(state.get("request_id", ""))
    if problem.status == 500:
        log.error("request %s: %s", request_id, problem.code, exc_info=error)
    # ensure_ascii keeps half a surrogate pair, quoted back from a caller's JSON, from breaking the answer.
    content = json.dumps(_finite(problem.body(request_id)), allow_nan=False, ensure_ascii=True).encode("ascii")
    return Response(content, problem.status, headers=problem.headers, media_type=MEDIA_TYPE)


async def _handle(request: Request, error: Exception) -> Response:
    # Starlette sends nothing where a handler returns None, which its types do not say.
    return respond(request, error)  # type: ignore[return-value]


def install(app: FastAPI) -> None:
    """Makes every exception in `app` a problem, and declares `ProblemDetails` in its OpenAPI document."""
    # Starlette gives its own handler for HTTPException and FastAPI its own for RequestValidationError, so each kind
    # is named; Exception alone goes to the outermost layer, which answers and raises again.
    for kind in _CONVERTERS:
        app.add_exception_handler(kind, _handle)
    document = app.openapi

    def with_problem_details() -> dict[str, Any]:
        return add_problem_schema(document())

    app.openapi = with_problem_details  # type: ignore[method-assign]


def add_problem_schema(document: dict[str, Any]) -> dict[str, Any]:
    """Puts the schema that `responses` refers to into an OpenAPI document, and returns the document."""
    schemas = document.setdefault("components", {}).setdefault("schemas", {})
    schemas.setdefault("ProblemDetails", ProblemDetails.model_json_schema())
    return document


def responses(*problems: type[Problem]) -> dict[int | str, dict[str, Any]]:
    """FastAPI's `responses=` for these problems, one entry per status with an example per code."""
    declared: dict[int | str, dict[str, Any]] = {}
    for problem in problems:
        entry = declared.setdefault(problem.status, _declaration(problem.status))
        media = entry["content"][MEDIA_TYPE]
        body = problem(problem.example).body("5f3c2f9e8d0b4a53")
        media["examples"][problem.code] = {"summary": problem.title, "value": body}
        entry["description"] = "; ".join(f"`{code}`: {e['summary']}" for code, e in media["examples"].items())
    return declared


def _declaration(status: int) -> dict[str, Any]:
    schema = {"$ref": "#/components/schemas/ProblemDetails"}
    entry: dict[str, Any] = {"description": "", "content": {MEDIA_TYPE: {"schema": schema, "examples": {}}}}
    if status in (429, 503):
        entry["headers"] = {
            "Retry-After": {"description": "Seconds to wait.", "schema": {"type": "integer", "minimum": 1}}
        }
    elif status in _TOLD:
        name, description = _TOLD[status]
        entry["headers"] = {name: {"description": description, "schema": {"type": "string"}}}
    return entry


_TOLD = {401: ("WWW-Authenticate", "How to send a key."), 405: ("Allow", "The methods allowed here.")}


def _from_http(request: Request, error: Exception) -> Problem:
    assert isinstance(error, HTTPException)
    path = shown(request.scope.get("path", ""))
    headers = dict(error.headers or {})
    if error.status_code == 404:
        return NotFound(f"There is nothing at {path}. /docs lists every call.", headers=headers)
    if error.status_code == 405:
        allow = next((value for name, value in headers.items() if name.lower() == "allow"), "")
        hint = f"Use {allow}." if allow else "/docs lists every call."
        return MethodNotAllowed(f"{shown(request.method, 20)} is not allowed at {path}. {hint}", headers=headers)
    if error.status_code >= 500:
        return PredictionFailed(PredictionFailed.example, headers=headers)  # never its own text
    by_status: dict[int, type[Problem]] = {413: BodyTooLarge, 415: UnsupportedMediaType, 422: InvalidOption}
    return by_status.get(error.status_code, MalformedRequest)(str(error.detail), headers=headers)


def _from_validation(request: Request, error: Exception) -> Problem:
    assert isinstance(error, RequestValidationError)
    found = error.errors()
    if any(item["loc"][:1] == ("body",) for item in found):
        return MalformedRequest("The body does not have the form that this call reads. /docs shows it.")
    lines = [_option_line(request, item) for item in found[:5]]
    return InvalidOption(" ".join(lines) or InvalidOption.example)


def _option_line(request: Request, item: Mapping[str, Any]) -> str:
    place, *names = [str(part) for part in item["loc"]] or ["query"]
    name = ".".join(names) or place
    if item["type"] == "extra_forbidden":
        known = query_options(request)
        allowed = f"Allowed are: {', '.join(known)}." if known else "This call has none."
        return f"There is no {place} option {shown(name)}. {allowed}"
    if item["type"] == "missing":
        return f"The {place} option {shown(name)} is missing."
    return f"The {place} option {shown(name)} was given {shown(item.get('input'))}: {item['msg']}."


def query_options(request: Request) -> list[str]:
    """Names of the query options that the OpenAPI document declares for the request's route."""
    operation = request.app.openapi().get("paths", {}).get(route_template(request.scope), {})
    parameters = operation.get(request.method.lower(), {}).get("parameters", [])
    return sorted(parameter["name"] for parameter in parameters if parameter.get("in") == "query")


def route_template(scope: Mapping[str, Any]) -> str:
    """The path of the route that took the request, parameters unfilled; `unmatched` where none did. Bounded by the
    number of routes, whatever callers ask for."""
    # FastAPI keeps a route's path with the prefix of the router it came by here; `route` alone lacks the prefix.
    route = scope.get("fastapi", {}).get("effective_route_context") or scope.get("route")
    template = getattr(route, "path_format", None) or getattr(route, "path", None)
    if isinstance(template, str):
        return template
    root, outer = str(scope.get("root_path", "")), scope.get("app_root_path")
    if isinstance(outer, str) and root != outer:
        return root.removeprefix(outer) + "/{path}"
    # A plain Starlette route leaves its endpoint alone; without parameters its path is the template.
    return str(scope["path"]) if "endpoint" in scope and not scope.get("path_params") else "unmatched"


_CONVERTERS: dict[type[Any], Callable[[Request, Exception], Problem | None]] = {
    Problem: lambda _, error: error if isinstance(error, Problem) else None,
    PhotoError: lambda _, error: from_photo_error(error) if isinstance(error, PhotoError) else None,
    HTTPException: _from_http,
    RequestValidationError: _from_validation,
    ClientDisconnect: lambda _, __: None,
    ClientGone: lambda _, __: None,
    Exception: lambda _, __: PredictionFailed(PredictionFailed.example),
}


def _whole_seconds(seconds: float | None) -> str:
    if seconds is None or not math.isfinite(seconds):
        return "1"
    return str(max(1, math.ceil(min(seconds, 3600.0))))


def _finite(value: object) -> object:
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, Mapping):
        return {str(key): _finite(entry) for key, entry in value.items()}
    if isinstance(value, list | tuple):
        return [_finite(entry) for entry in value]
    return value
