"""Query parameters to a predictor's typed options; what is unknown, repeated or not finite is refused by name."""

import math
from collections.abc import Awaitable, Callable, Container, Iterable, Mapping
from typing import Annotated, Any, Literal, TypeVar, get_origin

from fastapi import Depends, Query, Request
from pydantic import Field, TypeAdapter, ValidationError, create_model
from pydantic.fields import FieldInfo
from starlette.datastructures import QueryParams
from typing_extensions import TypeAliasType

from app.ask import Ask
from app.errors import InvalidOption
from app.schemas import AnyPredictor
from models.predictor import MOST_REGIONS, Options

Chosen = TypeVar("Chosen", bound=Options)

InspectVehicleChoice = TypeAliasType("InspectVehicleChoice", Literal["auto", "whole", "all"])
LISTS = (list, set, frozenset, tuple)
VEHICLE = (
    "`auto`: the photo's main vehicle is found first, and what is around it is left out. `whole`: all of the photo is "
    f"read. `all`: each vehicle is read, {MOST_REGIONS} at most; the answer has them under `vehicles`, the main one "
    "first."
)
NOTES = {"default", "description", "title", "examples"}
"""What two predictors may say differently of an option they share."""


def parameters(model: type[Options]) -> dict[str, FieldInfo]:
    """The query parameters an options model is made of, by the name the caller uses."""
    return {field.alias or name: field for name, field in model.model_fields.items()}


def check_names(query: QueryParams, known: Mapping[str, FieldInfo]) -> None:
    """Refuses what is not known, and what is given twice. Raises `InvalidOption`."""
    names = ", ".join(known) or "none"
    for name in query:
        if name not in known:
            raise InvalidOption(f"There is no option `{name[:60]}` here. The options are: {names}.")
        if len(query.getlist(name)) > 1 and get_origin(known[name].annotation) not in LISTS:
            raise InvalidOption(f"The option `{name}` is given more than once. Give it once.")


def check_finite(options: Options) -> None:
    for name in type(options).model_fields:
        value = getattr(options, name)
        if isinstance(value, float) and not math.isfinite(value):
            raise InvalidOption(f"The option `{name}` needs a finite number.")


def from_query(model: type[Chosen]) -> Callable[..., Awaitable[Chosen]]:
    """A FastAPI dependency that reads `model` from the query; its fields become the documented parameters."""
    known = parameters(model)

    async def names(request: Request) -> None:
        check_names(request.query_params, known)

    async def read(given: Chosen, _: None = Depends(names)) -> Chosen:
        check_finite(given)
        return given

    async def nothing(request: Request) -> Chosen:
        check_names(request.query_params, known)
        return model()

    read.__annotations__["given"] = Annotated[model, Query()]
    return read if known else nothing


def with_version(model: type[Chosen]) -> type[Chosen]:
    """The same options, and which version of the predictor shall answer. Raises `ValueError` where it has an option of
    that name."""
    if "version" in parameters(model):
        raise ValueError(f"{model.__name__}: `version` is the gateway's own option")
    version = Field(
        default=None,
        max_length=200,
        description="The version of the model that shall answer, where several are served side by side; "
        "`GET /v1/models/NAME` lists them. Without it the one that serves everybody.",
    )
    added: Any = {"version": (str | None, version)}
    return create_model(model.__name__, __base__=model, __doc__=model.__doc__, **added)


def without(model: type[Options], name: str) -> type[Options]:
    """The same options but one, where there is such a one."""
    if name not in parameters(model):
        return model
    kept: dict[str, Any] = {
        own: (field.annotation, field) for own, field in model.model_fields.items() if (field.alias or own) != name
    }
    return create_model(model.__name__, __base__=Options, __doc__=model.__doc__, **kept)


def inspect_options(predictors: Iterable[AnyPredictor], every: bool = True, but: Container[str] = ()) -> type[Options]:
    """`tasks` and the union of all predictors' options, `but` these; with `every`, their `vehicle` may also be
    `all`.

    Raises `ValueError` where two use one name differently.
    """
    predictors = list(predictors)
    names = [predictor.specification.name for predictor in predictors]
    tasks = Field(
        default=None,
        max_length=2000,
        description=f"Which predictors to ask, separated by commas; without it all: {', '.join(names)}.",
        examples=[",".join(names[:2])],
    )
    fields: dict[str, Any] = {"tasks": (str | None, tasks)}
    owners: dict[str, str] = {"tasks": "inspect"}
    for predictor in predictors:
        name = predictor.specification.name
        for option, field in parameters(predictor.specification.options).items():
            if option in but:
                continue
            if option in owners and (option == "tasks" or _meaning(fields[option][1]) != _meaning(field)):
                raise ValueError(f"{owners[option]} and {name} both have an option `{option}`, of different types")
            owners.setdefault(option, name)
            fields.setdefault(option, (field.annotation, field))
    if every and "vehicle" in fields:
        fields["vehicle"] = (InspectVehicleChoice, Field(default="auto", description=VEHICLE))
    return create_model("InspectOptions" if every else "DrawOptions", __base__=Options, **fields)


def _meaning(field: FieldInfo) -> dict[str, Any]:
    whole: Any = Annotated[field.annotation, field]
    schema = TypeAdapter(whole).json_schema()
    return {key: value for key, value in schema.items() if key not in NOTES}


def share(options: Options, model: type[Options]) -> Options:
    """The part of inspect's options that one predictor has; what the caller did not give keeps its own default."""
    given = {name: getattr(options, name) for name in options.model_fields_set if name in parameters(model)}
    if given.get("vehicle") == "all":  # inspect's own: each predictor reads the main one first
        del given["vehicle"]
    return model.model_validate(given)


def task(predictor: AnyPredictor, options: Options) -> Ask:
    """One predictor asked with its part of the options of several. Raises `InvalidOption`."""
    model, name = predictor.specification.options, predictor.specification.name
    try:
        own = share(options, model)
    except ValidationError as error:
        raise InvalidOption(f"The options do not fit {name}: {error.errors()[0]['msg']}.") from error
    return Ask.of(predictor, own, every="vehicle" in parameters(model) and getattr(options, "vehicle", None) == "all")


def chosen(tasks: str | None, names: Iterable[str], lack: str = "is not served") -> list[str]:
    """The tasks asked for, in that order, each once; all where none is named. Raises `InvalidOption` for one that is
    not among the names, which `lack` says of it."""
    served = list(names)
    if tasks is None:
        return served
    wanted = list(dict.fromkeys(task.strip() for task in tasks.split(",")))
    for task in wanted:
        if task not in served:
            raise InvalidOption(f"`tasks` names `{task[:60]}`, which {lack}. There are: {', '.join(served)}.")
    return wanted
