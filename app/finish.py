"""The last room before the envelope: one row of the device's output becomes an answer and its JSON, which others may
complete."""

import json
from collections.abc import Sequence

from pydantic import BaseModel

from app.ask import Ask
from models.photo import Header, Region
from models.predictor import Arrays


def finished(ask: Ask, output: Arrays, header: Header, region: Region) -> tuple[BaseModel, bytes]:
    """The answer of the predictor for its row, and the same as JSON. Raises `TypeError` where it is of a foreign type,
    `ValueError` where a number in it is not finite."""
    return _checked(ask, "finish", ask.predictor.finish(output, header, region, ask.options))


def completed(
    ask: Ask, answer: BaseModel, said: Sequence[tuple[str, Sequence[tuple[Region, BaseModel]]]]
) -> tuple[BaseModel, bytes]:
    """The answer with what others said of its regions, by their names, and the same as JSON. Raises as `finished`."""
    for by, regions in said:
        answer = ask.predictor.complete(answer, by, regions)
    return _checked(ask, "complete", answer)


def _checked(ask: Ask, step: str, value: object) -> tuple[BaseModel, bytes]:
    specification = ask.predictor.specification
    if not isinstance(value, specification.answer):
        raise TypeError(f"{specification.name}.{step} gave {type(value).__name__}, not {specification.answer.__name__}")
    return value, encoded(value)


def encoded(answer: BaseModel) -> bytes:
    """The answer as JSON. Raises `ValueError` where a number in it is not finite."""
    plain = answer.model_dump(mode="json", by_alias=True)
    return json.dumps(plain, allow_nan=False, ensure_ascii=False, separators=(",", ":")).encode()
