"""Answers as columns: every shipped predictor's has a type, and what is written is what was answered."""

import io
import json
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from pydantic import BaseModel, Field

from app.sets.columns import column_type, parquet, schema
from models.answers import PolygonMask, RleMask
from models.registry import discover


class Found(BaseModel):
    label: str
    mask: PolygonMask | RleMask | None


class Told(BaseModel):
    counts: dict[str, int]
    found: list[Found] = Field(alias="seen")
    sure: bool | None = None
    share: float = 0.5


class Tree(BaseModel):
    leaves: list["Tree"] = []


class Odd(BaseModel):
    either: int | str


def back(data: bytes) -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = pq.read_table(io.BytesIO(data)).to_pylist(maps_as_pydicts="strict")
    return rows


def test_a_model_is_a_struct_with_all_kinds_of_masks_in_one() -> None:
    mask = pa.struct({"polygons": pa.list_(pa.list_(pa.float64())), "size": pa.list_(pa.int64()), "counts": "string"})
    assert column_type(Told) == pa.struct(
        {
            "counts": pa.map_("string", "int64"),
            "seen": pa.list_(pa.struct({"label": "string", "mask": mask})),
            "sure": "bool",
            "share": "float64",
        }
    )


def test_rows_come_back_as_they_were_answered() -> None:
    found = [{"label": "dent", "mask": {"size": [2, 3], "counts": "05"}}, {"label": "dent", "mask": None}]
    answered = {"counts": {"dent": 2}, "seen": found, "sure": None, "share": 1.0}
    bad = {"task": None, "code": "undecodable_image", "reason": "It is broken."}
    rows: list[dict[str, Any]] = [
        {"file": "a", "width": 3, "height": 2, "problems": [], "summary": ["a dent"], "damage": answered},
        {"file": "b", "problems": [bad]},
    ]
    first, second = back(parquet(rows, schema({"damage": Told})))
    assert first["damage"]["seen"][0]["mask"] == {"polygons": None, "size": [2, 3], "counts": "05"}
    assert first["damage"]["seen"][1] == {"label": "dent", "mask": None}
    assert {**first, "damage": {**first["damage"], "seen": found}} == rows[0]
    assert second == {"file": "b", "width": None, "height": None, "problems": [bad], "summary": None, "damage": None}


@pytest.mark.parametrize(("answer", "value"), [(Tree, {"leaves": [{"leaves": []}]}), (Odd, {"either": "x"})])
def test_what_arrow_has_no_type_for_is_json(answer: type[BaseModel], value: dict[str, Any]) -> None:
    assert column_type(answer) == pa.string()
    (row,) = back(parquet([{"file": "a", "problems": [], "odd": value}], schema({"odd": answer})))
    assert json.loads(row["odd"]) == value


def test_every_shipped_answer_has_a_type_of_its_own_and_its_example_fits() -> None:
    for name, predictor in discover().items():
        told = predictor.specification
        assert pa.types.is_struct(column_type(told.answer)), name
        (row,) = back(parquet([{"file": "a", "problems": [], name: told.example}], schema({name: told.answer})))
        assert without_none(row[name]) == without_none(told.example), name


def without_none(value: Any) -> Any:
    if isinstance(value, list):
        return [without_none(one) for one in value]
    if isinstance(value, dict):
        return {key: without_none(one) for key, one in value.items() if one is not None}
    return value
