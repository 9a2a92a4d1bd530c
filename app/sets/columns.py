"""Answers as columns of a table: a predictor's answer model as an Arrow type, and what came of one photo as a row."""

import io
import json
from collections.abc import Mapping, Sequence
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
from pydantic import BaseModel

SCALARS = {"string": pa.string(), "integer": pa.int64(), "number": pa.float64(), "boolean": pa.bool_()}

PROBLEM = pa.struct([("task", pa.string()), ("code", pa.string()), ("reason", pa.string())])
"""`task` is null where the whole photo could not be answered."""

Row = dict[str, Any]


class _Untyped(Exception):
    """There is no Arrow type for it."""


def schema(answers: Mapping[str, type[BaseModel]]) -> pa.Schema:
    """A row for each photo: its file, size in pixels, problems, the lines of the summary where there is one, and a
    column for each task's answer."""
    return pa.schema(
        [
            pa.field("file", pa.string(), nullable=False),
            ("width", pa.int32()),
            ("height", pa.int32()),
            pa.field("problems", pa.list_(PROBLEM), nullable=False),
            ("summary", pa.list_(pa.string())),
            *((task, column_type(answer)) for task, answer in answers.items()),
        ]
    )


def column_type(answer: type[BaseModel]) -> pa.DataType:
    """A struct like the model; text, which is JSON then, where Arrow has no such type."""
    told = answer.model_json_schema(mode="serialization")
    try:
        return _type_of(told, told.get("$defs", {}), ())
    except _Untyped:
        return pa.string()


def parquet(rows: Sequence[Row], of: pa.Schema) -> bytes:
    """A Parquet file; the same rows are the same bytes."""
    text = [field.name for field in of if field.name != "file" and pa.types.is_string(field.type)]
    plain = [{**row, **{name: json.dumps(row[name], sort_keys=True) for name in text if row.get(name)}} for row in rows]
    buffer = io.BytesIO()
    pq.write_table(pa.Table.from_pylist(plain, schema=of), buffer, compression="zstd")
    return buffer.getvalue()


def _type_of(told: Mapping[str, Any], named: Mapping[str, Any], above: tuple[str, ...]) -> pa.DataType:
    """The type for a JSON schema; `above` are the names of those it is within, which it cannot hold again."""
    if "$ref" in told:
        name = told["$ref"].rpartition("/")[2]
        if name in above:
            raise _Untyped
        return _type_of(named[name], named, (*above, name))
    if "anyOf" in told:
        kinds = [_type_of(one, named, above) for one in told["anyOf"] if one.get("type") != "null"]
        return _merged(kinds)
    match told.get("type"):
        case "array" if "items" in told:
            return pa.list_(_type_of(told["items"], named, above))
        case "object" if "properties" in told:
            return pa.struct([(name, _type_of(one, named, above)) for name, one in told["properties"].items()])
        case "object" if isinstance(told.get("additionalProperties"), Mapping):
            return pa.map_(pa.string(), _type_of(told["additionalProperties"], named, above))
        case str(kind) if kind in SCALARS:
            return SCALARS[kind]
    raise _Untyped


def _merged(kinds: Sequence[pa.DataType]) -> pa.DataType:
    """One type for several: that of all of them, or a struct with the fields of each."""
    if kinds and all(kind == kinds[0] for kind in kinds):
        return kinds[0]
    if not kinds or not all(pa.types.is_struct(kind) for kind in kinds):
        raise _Untyped
    fields: dict[str, pa.DataType] = {}
    for field in (field for kind in kinds for field in kind):
        fields[field.name] = _merged([fields.get(field.name, field.type), field.type])
    return pa.struct(list(fields.items()))
