"""`/v1/inspect` tells what several answers say together: parts of damages, a summary in one's language, damages of
vehicles; and where that fails, the rest."""

from collections.abc import Sequence
from typing import Any

import httpx
import pytest
from pydantic import BaseModel

from app.schemas import inspect_model
from models.answers import Box, PolygonMask
from models.drawing import Drawn
from models.joins.damage_parts import damage_parts
from models.joins.damage_vehicles import damage_vehicles
from models.joins.summary import summary
from models.photo import Header, Photo, Region
from models.predictor import Arrays, Options, Predictor, Specification, Tensor
from models.predictors.classifier import LabelScore
from models.predictors.damage import DamageAnswer, Detection
from models.predictors.instances import Instance
from models.predictors.parts import PartsAnswer
from tests.fakes import SIZE, Brightness, Finder, photo, reader
from tests.gateway import JPEG, application, problem, running

pytestmark = pytest.mark.anyio

JOINS = [damage_parts, damage_vehicles, summary]


class Says(Predictor[Options, BaseModel]):
    """Answers as it is told to."""

    card = Brightness.card

    def __init__(self, name: str, answer: BaseModel) -> None:
        inputs = {"pixels": Tensor((SIZE, SIZE, 3))}
        self.specification = Specification(
            name, "Says", "Says what it is told to.", Options, type(answer), inputs, (SIZE, SIZE), drawable=True
        )
        self.answer = answer
        self.fail: Exception | None = None
        self.drawn: BaseModel | None = None

    def load(self, device: str) -> None:
        pass

    def prepare(self, photo: Photo, region: Region, options: Options) -> Arrays:
        return {"pixels": photo.resized(region, SIZE, SIZE)}

    def run(self, batch: Arrays) -> Arrays:
        return batch

    def finish(self, output: Arrays, header: Header, region: Region, options: Options) -> BaseModel:
        if self.fail:
            raise self.fail
        return self.answer

    def shapes(self, answer: BaseModel) -> Sequence[Drawn]:
        self.drawn = answer
        return [Drawn("x", box=(1, 1, 9, 9))]


def thing(label: str, x1: float, x2: float) -> dict[str, Any]:
    mask = PolygonMask(polygons=[[x1, 0, x2, 0, x2, 40, x1, 40]])
    return {"label": label, "score": 0.9, "box": Box(x1=x1, y1=0, x2=x2, y2=40), "mask": mask, "area_fraction": 0.1}


def damage() -> Says:
    bad, slight = LabelScore(label="moderate", score=0.7), LabelScore(label="minor", score=0.7)
    found = [
        Detection(**thing("scratch", 40, 60), severity=slight),
        Detection(**thing("dent", 0, 20), severity=bad),
        Detection(**thing("crack", 62, 64)),
    ]
    return Says("damage", DamageAnswer(damaged=True, damaged_score=0.9, counts={}, detections=found))


def parts() -> Says:
    found = [Instance(**thing("front_left_door", 0, 30)), Instance(**thing("hood", 45, 60))]
    return Says("parts", PartsAnswer(parts=found))


async def ask(
    *predictors: Any, path: str = "/v1/inspect", failing: Sequence[Any] = (), **headers: str
) -> httpx.Response:
    app = application(*predictors, joins=JOINS)
    async with running(app) as client:
        for one in failing:
            one.fail = ValueError("secret")
        return await client.post(path, content=photo(), headers={**JPEG, **headers})


async def test_what_several_say_together() -> None:
    response = await ask(damage(), parts())
    body = response.json()
    keys = ["request_id", "models", "image", "results", "problems", "summary", "by_part", "left_out", "timings_ms"]
    assert list(body) == keys
    assert [one["parts"] for one in body["results"]["damage"]["detections"]] == [
        [{"label": "hood", "share": 0.75}],
        [{"label": "front_left_door", "share": 1.0}],
        [],
    ]
    assert [(one["text"], one["damage"]) for one in body["summary"]] == [
        ("moderate dent on the front left door", 1),
        ("minor scratch on the hood", 0),
        ("crack", 2),
    ]
    assert body["by_part"] == {"front_left_door": [1], "hood": [0]}
    assert body["left_out"] == {}
    assert body["timings_ms"]["join"] > 0
    assert "join;dur=" in response.headers["server-timing"]
    served = [damage().specification, parts().specification]
    inspect_model(served, [damage_parts, summary]).model_validate_json(response.content, strict=True)


@pytest.mark.parametrize(
    ("accept", "code", "text"),
    [
        ("de-AT, en;q=0.5", "de", "Delle an der vorderen linken Tür, mittelschwer"),
        ("fr", "en", "moderate dent on the front left door"),
        ("ÿ;q=x", "en", "moderate dent on the front left door"),
    ],
)
async def test_the_summary_is_in_the_language_that_is_asked_for(accept: str, code: str, text: str) -> None:
    headers: Any = {"accept-language": accept.encode("latin-1")}
    response = await ask(damage(), parts(), **headers)
    assert response.json()["summary"][0]["text"] == text
    assert response.headers["content-language"] == code
    assert response.headers["vary"] == "Accept-Language"


async def test_alone_an_answer_stays_as_it_is() -> None:
    both = [damage(), parts()]
    alone = (await ask(*both, path="/v1/damage")).json()
    assert [one["parts"] for one in alone["result"]["detections"]] == [None, None, None]
    assert "summary" not in alone
    one = (await ask(*both, path="/v1/inspect?tasks=damage")).json()
    assert [line["part"] for line in one["summary"]] == [None, None, None]
    assert one["by_part"] is None
    other = (await ask(*both, path="/v1/inspect?tasks=parts")).json()
    assert (other["summary"], other["by_part"], other["left_out"]) == (None, None, {})


@pytest.mark.parametrize(
    ("failing", "left_out"),
    [
        ("parts", {"damage_parts": "parts gave no answer"}),
        ("damage", {"damage_parts": "damage gave no answer", "summary": "damage gave no answer"}),
    ],
)
async def test_a_failed_predictor_leaves_its_joins_out(failing: str, left_out: dict[str, str]) -> None:
    both = {"damage": damage(), "parts": parts()}
    response = await ask(*both.values(), failing=[both[failing]])
    body = response.json()
    assert response.status_code == 200
    assert body["left_out"] == left_out
    assert list(body["problems"]) == [failing]
    assert body["by_part"] is None
    lines = body["summary"]
    assert (lines and lines[0]["text"]) == (None if failing == "damage" else "moderate dent")
    assert "secret" not in response.text


async def test_one_that_cannot_be_asked_now_is_told_as_the_reason() -> None:
    late = Brightness("parts")
    late.fail_load = ValueError("no weights")
    late.specification = Specification(**{**_fields(late.specification), "answer": PartsAnswer})
    body = (await ask(damage(), late)).json()
    assert body["left_out"] == {"damage_parts": "parts gave no answer"}
    assert body["problems"]["parts"]["code"] == "not_ready"


def _fields(specification: Specification) -> dict[str, Any]:
    return {name: getattr(specification, name) for name in Specification.__slots__}


async def test_where_nobody_answers_the_problem_is_the_answer() -> None:
    both = [damage(), parts()]
    assert problem(await ask(*both, failing=both)) == (500, "prediction_failed")


async def test_vehicles_have_their_damages_by_index() -> None:
    finder = Finder((0, 0, 30, 48), (35, 0, 64, 48))
    body = (await ask(damage(), finder, reader(), path="/v1/inspect?vehicle=all")).json()
    assert [one["damages"] for one in body["vehicles"]] == [[1], [0, 2]]
    assert list(body["vehicles"][0]) == ["box", "score", "brightness", "damages", "problems"]
    path = "/v1/inspect?vehicle=all&tasks=vehicles,brightness"
    body = (await ask(damage(), finder, reader(), path=path)).json()
    assert [one["damages"] for one in body["vehicles"]] == [None, None]


async def test_pictures_show_the_parts_of_damages() -> None:
    one = damage()
    assert (await ask(one, parts(), path="/v1/inspect/annotated")).status_code == 200
    assert isinstance(one.drawn, DamageAnswer)
    assert [found.part for found in one.drawn.detections] == ["hood", "front_left_door", None]
    await ask(one, parts(), path="/v1/damage/annotated")
    assert [found.part for found in one.drawn.detections] == [None, None, None]


async def test_without_what_they_need_there_are_no_joins_nor_their_fields() -> None:
    app = application(Brightness(), joins=JOINS)
    assert (
        app.openapi()["components"]["schemas"]["InspectEnvelope"]["properties"]
        .keys()
        .isdisjoint({"summary", "by_part"})
    )
    async with running(app) as client:
        body = (await client.post("/v1/inspect", content=photo(), headers=JPEG)).json()
    assert list(body) == ["request_id", "models", "image", "results", "problems", "left_out", "timings_ms"]


def test_fields_that_are_taken_are_refused_at_start() -> None:
    class Taken(BaseModel):
        results: int | None = None

    taken = type(summary)("again", summary.needs, summary.run, adds=Taken)
    with pytest.raises(ValueError, match="the join again adds a field 'results'"):
        application(damage(), joins=[taken])
