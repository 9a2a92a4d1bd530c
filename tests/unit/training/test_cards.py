"""Model cards: what stands in them follows from the manifest and the report."""

import json
from pathlib import Path
from typing import Any

import pytest

from models.manifest import SHIPPED, LabelRow, Training, find
from tests import weights
from tests.unit.training import found
from training import cards, report

NAMES = sorted(path.stem for path in SHIPPED.glob("*.json"))


@pytest.mark.parametrize("name", NAMES)
def test_every_shipped_manifest_has_a_card(name: str) -> None:
    manifest = find(name).manifest
    text = cards.card(manifest)
    assert text.startswith(f"# {name}\n")
    assert manifest.sha256 in text
    assert manifest.licence.why in text
    assert manifest.training.start in text
    imported = manifest.kind == "boxes"
    assert ("carlens import-yolox" if imported else f"carlens train {manifest.training.recipe} --data DATA") in text
    for value in manifest.figures.values():
        assert f"| {value:.3f} |" in text
    how = "How to make it anew" if imported else "How to train"
    for title in ("What it does", "Use", "Data and terms", "Training", "Figures", "Known weaknesses", how):
        assert f"\n## {title}" in text
    assert "\n\n\n" not in text


def test_research_only_says_what_is_allowed_and_what_is_not() -> None:
    bound = cards.card(weights.manifest("damage", licence={"weights": "research only", "why": "so says the data"}))
    assert "**Research only**: so says the data." in bound
    assert "Not allowed: running it in a product" in bound
    free = cards.card(weights.manifest("damage", licence={"weights": "Apache-2.0", "why": "photos of our own"}))
    assert "Not allowed" not in free
    assert "**Apache-2.0**: photos of our own." in free


def test_weak_figures_are_weaknesses_and_good_ones_are_not() -> None:
    figures = {"box_ap50_dent": 0.49, "box_ap50_tire_flat": 0.51, "image_false_alarm_rate": 0.05}
    told = cards.weaknesses(weights.manifest("damage", figures=figures))
    assert "Weak at dent: box AP50 is 0.49." in told
    assert "It finds something in 5 % of the photos that have nothing to find." in told
    assert not any("tire" in line for line in told)
    told = cards.weaknesses(weights.manifest("attributes", figures={"color_ece": 0.08, "type_ece": 0.02}))
    assert "Its scores for color are off by 8 points on average." in told
    assert not any("type" in line for line in told)
    told = cards.weaknesses(weights.manifest("car_details", figures={"ece": 0.06, "recognised": 0.42}))
    assert "Its scores are off by 6 points on average." in told
    assert "It recognises 42 % of the photos; of the others it is not sure." in told


def test_what_was_not_measured_is_said() -> None:
    told = cards.weaknesses(weights.manifest("damage", figures={"box_ap": 0.3}))
    assert "How often it finds something where there is nothing has not been measured." in told


def test_years_and_notes_of_the_manifest_are_told() -> None:
    training = Training(
        recipe="x", data=[], start="s", epochs=1, steps=1, hours=1, machine="m", notes="Blind to green."
    )
    table = [LabelRow(label="a", year=1991), LabelRow(label="b", year=2012), LabelRow(label="c")]
    told = cards.weaknesses(weights.manifest("car_details", table=table, training=training))
    assert "Its models are of 1991 to 2012: a newer one is called by an older name." in told
    assert told[-1] == "Blind to green."


@pytest.fixture
def measured(tmp_path: Path) -> dict[str, Any]:
    """The report of instances, read from its folder."""
    manifest = weights.manifest("damage", labels={"label": ["dent", "scratch"]}, sha256="a" * 64)
    told = report.document(manifest, found.instances(), {"box_ap": 0.3}, "carlens evaluate damage", None)
    (tmp_path / "figures.json").write_text(json.dumps(told))
    return cards.read(tmp_path)


def test_a_report_adds_figures_by_label(measured: dict[str, Any]) -> None:
    manifest = weights.manifest("damage", labels={"label": ["dent", "scratch"]}, sha256="a" * 64)
    text = cards.card(manifest, measured)
    assert "| label | number | threshold | precision | recall | F1 | box AP50 |" in text
    assert "| dent | 2 | 0.500 | 0.500 | 0.500 | 0.500 | 0.835 |" in text
    assert "fewer than 50 each, so figures that say little: all 2 labels." in text
    assert "Misses more than half of: scratch (recall 0.00)." in text
    assert "Most of its false alarms are scratch." in text


def test_a_report_of_heads_adds_what_is_confused(tmp_path: Path) -> None:
    manifest = weights.manifest("attributes")
    doubtful = report.Doubtful("doubted.csv", 3, {"color": 0.75})
    told = report.document(manifest, [found.head()], {"color": 0.5}, "carlens evaluate attributes", doubtful)
    head = told["heads"]["color"]
    head["confused"] = [
        {"true": "red", "given": "front_left", "photos": 30, "share": 0.2},
        {"true": "blue", "given": "red", "photos": 30, "share": 0.14},
        {"true": "green", "given": "red", "photos": 2, "share": 0.5},
    ]
    head["yaw"] = {"mean_error": 12.3, "median_error": 5.0, "over_45": 0.1}
    text = cards.card(manifest, told)
    assert "- Takes (color) red for front left (20 %).\n" in text
    assert "Its angle is off by 12 degrees on average, by over 45 in 10 % of the photos." in text
    assert "| color | 0.500 | 0.750 |" in text
    assert "The labels of 3 validation photos are doubted." in text


def test_a_report_of_other_weights_is_refused(measured: dict[str, Any]) -> None:
    with pytest.raises(
        ValueError, match=r"the report is of damage sha256:aaaaaaaaaaaa, the weights are damage sha256:b"
    ):
        cards.card(weights.manifest("damage", sha256="b" * 64), measured)


@pytest.mark.parametrize(
    ("text", "expected"), [("{", "not JSON"), ("[]", "not the figures"), ('{"format": 1}', "not the figures")]
)
def test_a_broken_report_is_told_by_file(tmp_path: Path, text: str, expected: str) -> None:
    with pytest.raises(FileNotFoundError, match=r"figures\.json: no such file; `carlens evaluate"):
        cards.read(tmp_path)
    (tmp_path / "figures.json").write_text(text)
    with pytest.raises(ValueError, match=expected) as caught:
        cards.read(tmp_path)
    assert "figures.json" in str(caught.value)


@pytest.mark.parametrize("path", sorted(SHIPPED.glob("*.json")), ids=lambda path: path.stem)
def test_the_card_beside_shipped_weights_is_theirs(path: Path) -> None:
    manifest, card = find(path.stem).manifest, path.with_suffix(".md").read_text(encoding="utf-8")
    assert f"`{manifest.sha256}`" in card
    assert f"Version {manifest.version}." in card
    told = [
        line.split("|")[2].strip()  # a further column leaves doubtful labels out
        for line in card.split("## Figures")[1].split("By ")[0].splitlines()
        if "|" in line
    ]
    assert told[2:] == [f"{value:.3f}" for value in manifest.figures.values()]
