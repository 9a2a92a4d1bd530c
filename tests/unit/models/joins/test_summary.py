"""One line per damage, the worst first, in the language asked for; and the damages of each part."""

from typing import Any

from models.join import Together
from models.joins.summary import Summary, lines, summary
from models.language import language
from models.photo import Header
from models.predictors.damage import Detection, PartShare
from models.predictors.parts import PartsAnswer
from tests.unit.models.joins.drawn import answer, damage, rectangle

SQUARE = rectangle(0, 0, 10, 10)


def on(part: str, share: float = 0.9, also: str = "wheel") -> list[PartShare]:
    return [PartShare(label=part, share=share), PartShare(label=also, share=0.05)]


def told(*detections: Detection, parts: bool = True, code: str = "en") -> Summary:
    answers: dict[str, Any] = {"damage": answer(*detections)} | ({"parts": PartsAnswer(parts=[])} if parts else {})
    found = summary.run(Together(Header(100, 100, "JPEG"), answers, language(code)))
    assert isinstance(found, Summary)
    return found


def test_a_line_says_what_where_and_how_bad() -> None:
    (line,) = lines([damage("dent", SQUARE, grade="moderate", parts=on("front_left_door"))], language())
    assert line.model_dump() == {
        "text": "moderate dent on the front left door",
        "damage": 0,
        "label": "dent",
        "part": "front_left_door",
        "severity": "moderate",
    }


def test_the_worst_comes_first() -> None:
    some = [
        damage("scratch", SQUARE, score=0.9),  # not graded: last
        damage("scratch", SQUARE, grade="minor", area_fraction=0.2),
        damage("dent", SQUARE, grade="severe", score=0.4),
        damage("crack", SQUARE, grade="minor", area_fraction=0.3),
        damage("dent", SQUARE, grade="severe", score=0.6),
        damage("dent", SQUARE, grade="moderate"),
        damage("dent", SQUARE, grade="of another kind", area_fraction=0.5),
    ]
    found = told(*some)
    assert found.summary is not None
    assert [one.damage for one in found.summary] == [4, 2, 5, 3, 1, 6, 0]


def test_by_part_lists_damages_in_the_order_of_the_summary() -> None:
    found = told(
        damage("scratch", SQUARE, grade="minor", parts=on("hood")),
        damage("dent", SQUARE, grade="minor", parts=[]),
        damage("dent", SQUARE, grade="severe", parts=on("hood")),
        damage("dent", SQUARE, grade="minor", parts=on("wheel", 0.2)),  # too little of it to be called its part
        damage("dent", SQUARE, parts=on("trunk")),
    )
    assert found.by_part == {"hood": [2, 0], "trunk": [4]}


def test_without_parts_there_is_a_summary_still() -> None:
    found = told(damage("dent", SQUARE, grade="minor"), parts=False)
    assert found.by_part is None
    assert found.summary is not None
    assert [(one.text, one.part) for one in found.summary] == [("minor dent", None)]


def test_no_damage_is_an_empty_summary() -> None:
    assert told().model_dump() == {"summary": [], "by_part": {}}
    assert told(parts=False).model_dump() == {"summary": [], "by_part": None}


def test_the_language_is_the_one_asked_for() -> None:
    found = told(damage("dent", SQUARE, grade="moderate", parts=on("front_left_door")), code="de")
    assert found.summary is not None
    assert found.summary[0].text == "Delle an der vorderen linken Tür, mittelschwer"
