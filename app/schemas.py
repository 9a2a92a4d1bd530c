"""The envelope around every answer, and the other bodies the API sends; typed per predictor, so clients are too."""

from collections.abc import Iterable, Mapping
from copy import copy
from typing import Any, Generic, TypeVar

from pydantic import BaseModel, ConfigDict, Field, create_model
from pydantic.fields import FieldInfo

from app.errors import ProblemDetails
from models.answers import Box
from models.join import Join
from models.photo import Header
from models.predictor import Card, Input, Licence, Predictor, Specification, State

AnyPredictor = Predictor[Any, Any]
"""A predictor whose options and answer types are known to itself alone."""

EXAMPLE_ID = "5f3c2f9e8d0b4a53"

A = TypeVar("A", bound=BaseModel)


class Model(BaseModel):
    """Which weights answered, on what."""

    name: str = Field(description="The predictor's name, the last part of its route.")
    version: str = Field(description="Version of the weights.")
    architecture: str = Field(description="The network.")
    weights: str = Field(description="The first 12 hexadecimal digits of the weights' SHA-256.")
    backend: str = Field(description="The runtime that computes.")
    device: str = Field(description="Where it computes: `cpu`, `cuda`, `cuda:1`.")


class Image(BaseModel):
    """The photo as it was understood. Every coordinate of the answer is in these pixels."""

    width: int = Field(description="Pixels, after EXIF orientation.")
    height: int = Field(description="Pixels, after EXIF orientation.")
    format: str = Field(description="JPEG, PNG, WEBP, GIF, BMP, TIFF, AVIF or HEIC; the content decides.")
    exif_orientation: int = Field(description="1 to 8 as the file says; it has been applied.")


class TaskTimings(BaseModel):
    """Where one predictor's time went, in milliseconds."""

    locate: float | None = Field(
        default=None,
        description="Finding the part of the photo to read, and decoding it finer; only where another predictor was "
        "asked for it.",
    )
    prepare: float = Field(description="Pixels to the predictor's input.")
    queue: float = Field(description="Waiting for the device.")
    device: float = Field(description="Computing, with the batch it was part of.")
    finish: float = Field(description="Output to the answer.")
    complete: float | None = Field(
        default=None,
        description="Asking another predictor about each thing found; only where one completes the answer.",
    )


class Timings(BaseModel):
    """Where the time went, in milliseconds."""

    receive: float = Field(description="The request's body coming in.")
    decode: float = Field(description="Bytes to pixels.")
    locate: float | None = Field(
        default=None,
        description="Finding the part of the photo to read, and decoding it finer; only where another predictor was "
        "asked for it.",
    )
    prepare: float = Field(description="Pixels to the predictor's input.")
    queue: float = Field(description="Waiting for the device.")
    device: float = Field(description="Computing, with the batch it was part of.")
    finish: float = Field(description="Output to the answer.")
    complete: float | None = Field(
        default=None,
        description="Asking another predictor about each thing found; only where one completes the answer.",
    )
    total: float = Field(description="All of it, from the request's head to the answer.")


class InspectTimings(BaseModel):
    """Where the time went, in milliseconds; one decode feeds all tasks."""

    receive: float = Field(description="The request's body coming in.")
    decode: float = Field(description="Bytes to pixels, once for all tasks.")
    join: float = Field(description="What the answers tell together.")
    total: float = Field(description="All of it, from the request's head to the answer.")
    tasks: dict[str, TaskTimings] = Field(description="By task, those that answered.")


class Envelope(BaseModel, Generic[A]):
    """One predictor's answer, with what it was made from."""

    request_id: str = Field(description="As in the header `X-Request-ID`.")
    model: Model
    image: Image
    result: A
    timings_ms: Timings


class ModelCard(BaseModel):
    """What is served under one name."""

    model_config = ConfigDict(json_schema_serialization_defaults_required=True)

    name: str = Field(description="The predictor's name, the last part of its route.")
    summary: str
    version: str = Field(description="Version of the weights.")
    architecture: str = Field(description="The network.")
    labels: dict[str, list[str]] = Field(description="The labels it knows, by head; `label` where there is one head.")
    thresholds: dict[str, float] = Field(
        default_factory=dict,
        description="By label, the score from which it is told unless the caller names another, 0.5 where it is not "
        "here; under `recognised` that from which the best label counts as recognised.",
    )
    input: Input
    figures: dict[str, float] = Field(description="Measured on the validation photos, with the stored weights.")
    licence: Licence
    weights: str = Field(description="The first 12 hexadecimal digits of the weights' SHA-256.")
    backend: str = Field(description="The runtime that computes.")
    device: str = Field(description="Where it computes: `cpu`, `cuda`, `cuda:1`.")
    batch_sizes: list[int] = Field(description="The padded sizes the device sees, ascending.")
    state: State = Field(description="`loading`, `ready`, `failed` or `unloaded`.")
    versions: list[str] = Field(
        default_factory=list,
        description="What the option `version` can ask for, the one that serves everybody first; none while nothing is "
        "loaded.",
    )


class WorkerChange(BaseModel):
    """What one worker serves after a change."""

    worker: int = Field(description="The worker's number, 0 where there is one alone.")
    state: State = Field(description="`loading`, `ready`, `failed` or `unloaded`.")
    version: str = Field(description="The version that serves everybody, or served last.")
    versions: list[str] = Field(description="What the option `version` can ask for.")
    failure: str | None = Field(description="Why nothing was changed; null where it was.")


class Changed(BaseModel):
    """What came of a change of one model, in every worker."""

    name: str = Field(description="The predictor's name, the last part of its route.")
    workers: list[WorkerChange]


class ModelList(BaseModel):
    """Everything that is served."""

    models: list[ModelCard]


class Live(BaseModel):
    """The process runs."""

    live: bool


class Ready(BaseModel):
    """Whether every wanted predictor is loaded and warmed."""

    ready: bool
    predictors: dict[str, State] = Field(description="State of each wanted predictor.")


def pascal(name: str) -> str:
    return "".join(part.capitalize() for part in name.split("_") if part)


def envelope_model(specification: Specification) -> type[BaseModel]:
    """The envelope with this predictor's answer in it, under a name of its own: `DamageEnvelope`."""
    base: Any = Envelope[specification.answer]  # type: ignore[name-defined]
    doc = f"The answer of `{specification.name}`, with what it was made from."
    return create_model(f"{pascal(specification.name)}Envelope", __base__=base, __doc__=doc)


def inspect_model(specifications: Iterable[Specification], joins: Iterable[Join] = ()) -> type[BaseModel]:
    """The envelope of several predictors' answers to one photo, with what the joins add.

    Raises `ValueError` where a join adds a field that is there already.
    """
    specifications, joins = list(specifications), list(joins)
    fields: dict[str, Any] = {s.name: (s.answer | None, Field(default=None)) for s in specifications}
    results = create_model("InspectResults", __doc__="Answer by task; null where the task has a problem.", **fields)
    vehicle: Any = vehicle_model((s for s in specifications if "vehicle" in s.options.model_fields), joins)
    told: dict[str, Any] = {
        "request_id": (str, Field(description="As in the header `X-Request-ID`.")),
        "models": (dict[str, Model], Field(description="By task, those that were asked.")),
        "image": (Image, ...),
        "results": (results, ...),
        "problems": (dict[str, ProblemDetails], Field(description="By task, those that failed.")),
        "left_out": (
            dict[str, str],
            Field(description="What could not be told of several answers together, by its name, and why."),
        ),
        "vehicles": (
            list[vehicle] | None,
            Field(default=None, description="With `vehicle=all` each vehicle, the main one first; else not there."),
        ),
        "timings_ms": (InspectTimings, ...),
    }
    return create_model(
        "InspectEnvelope",
        __doc__="Several predictors' answers to one photo. A task that failed has its own problem.",
        **_with_added(told, joins, each=False),
    )


def _with_added(fields: dict[str, Any], joins: Iterable[Join], each: bool) -> dict[str, Any]:
    """The fields and those that the joins add, to the photo's answer or to `each` vehicle's."""
    for join in joins:
        if join.adds is not None and join.each == each:
            for name, field in join.adds.model_fields.items():
                if name in fields:
                    raise ValueError(f"the join {join.name} adds a field {name!r}, which is there already")
                fields[name] = (field.annotation, always(field))
    return fields


def always(field: FieldInfo) -> FieldInfo:
    """The field of an answer that has it in any case, whoever makes it need not name it."""
    required = copy(field)
    required.default, required.default_factory = FieldInfo().default, None  # none of either
    return required


def vehicle_model(specifications: Iterable[Specification], joins: Iterable[Join] = ()) -> type[BaseModel]:
    """One vehicle of `vehicle=all`, with the answers of the predictors that are asked about each, and what the joins
    add.

    Raises `ValueError` where a predictor's name, or a field that a join adds, is taken by another field.
    """
    fields: dict[str, Any] = {
        "box": (Box, ...),
        "score": (float | None, Field(description="How sure it is that it is a vehicle.")),
        "problems": (dict[str, ProblemDetails], Field(description="By task, those that failed on it.")),
    }
    fields = _with_added(fields, joins, each=True)
    for specification in specifications:
        if specification.name in fields:
            raise ValueError(f"a predictor that reads vehicles cannot be called {specification.name!r}")
        fields[specification.name] = (specification.answer | None, Field(default=None))
    return create_model("InspectVehicle", __doc__="One vehicle of the photo, and what was said of it.", **fields)


def model_info(name: str, card: Card) -> Model:
    return Model(
        name=name,
        version=card.version,
        architecture=card.architecture,
        weights=card.weights,
        backend=card.backend,
        device=card.device,
    )


def image_info(header: Header) -> Image:
    return Image(
        width=header.width, height=header.height, format=header.format, exif_orientation=header.exif_orientation
    )


def model_card(predictor: AnyPredictor, state: State, versions: Iterable[str] = ()) -> ModelCard:
    specification = predictor.specification
    return ModelCard(
        name=specification.name,
        summary=specification.summary,
        batch_sizes=list(specification.sizes_on(predictor.card.device)),
        state=state,
        versions=list(versions),
        **dict(predictor.card),
    )


def json_object(fields: Mapping[str, bytes]) -> bytes:
    """An object from values that are JSON already: a large answer is encoded once, in a worker thread."""
    return b"{" + b",".join(b'"%b":%b' % (name.encode(), value) for name, value in fields.items()) + b"}"


def json_of(model: BaseModel, exclude_none: bool = False) -> bytes:
    return model.model_dump_json(exclude_none=exclude_none).encode()


def server_timing(milliseconds: Mapping[str, float | None]) -> str:
    """The value of a `Server-Timing` header, without what did not happen."""
    return ", ".join(f"{name};dur={value:g}" for name, value in milliseconds.items() if value is not None)
