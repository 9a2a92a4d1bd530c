"""The dashboard and the alerts ask for figures that the service has, by labels that these have."""

import asyncio
import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from prometheus_client.parser import text_string_to_metric_families

from app.link import Figures
from app.metrics import Refusal, Stage
from app.supervisor import Slot, Supervisor
from tests.contract.promtool import needs_promtool, promtool
from tests.fakes import Finder, photo, reader
from tests.gateway import JPEG, application, running

GIVEN = {"instance", "job", "worker", "le"}
"""Labels that Prometheus adds, that several workers have, or that belong to a histogram."""

OURS = re.compile(r"\b(?:carlens|process)_\w+")
NAMED = re.compile(r"(\w+)\s*(?:=~|!~|!=|=)\s*\"|\bby \(([^)]*)\)|\{\{\s*(?:\$labels\.)?(\w+)\s*\}\}")


@pytest.fixture(scope="module")
def scrape() -> str:
    """`/metrics` of a gateway that has answered and refused, as a supervisor of several workers tells it."""

    async def asked() -> bytes:
        app = application(reader(), Finder((0, 0, 16, 16)))
        async with running(app) as client:
            await client.post("/v1/brightness", content=photo(), headers=JPEG)
            await client.post("/v1/brightness", content=b"GIF89a", headers=JPEG)
            supervisor = Supervisor(2, start, lambda: None, 1.0)
            supervisor.handle((Slot(0), Figures(list(app.state.metrics.registry.collect()))))
            return supervisor.text()

    def start(*given: Any) -> Any:
        raise AssertionError("no worker is started here")

    return asyncio.run(asked()).decode()


@pytest.fixture(scope="module")
def known(scrape: str) -> dict[str, set[str]]:
    """The labels of every sample that there is, by its name."""
    found: dict[str, set[str]] = {}
    for family in text_string_to_metric_families(scrape):
        for sample in family.samples:
            found.setdefault(sample.name, set()).update(sample.labels)
    return found


def panels(root: Path) -> Iterator[tuple[str, str, str]]:
    """Title, expression and legend of every query of the dashboard, its variables filled in."""
    board = json.loads((root / "docker" / "grafana.json").read_text(encoding="utf-8"))
    for panel in board["panels"]:
        for target in panel.get("targets", []):
            expression = re.sub(r"\$(instance|predictor)", ".*", target["expr"]).replace("$__rate_interval", "5m")
            yield panel["title"], expression, target["legendFormat"]
    for variable in board["templating"]["list"]:
        if variable["type"] == "query":
            asked = re.fullmatch(r"label_values\((.*), (\w+)\)", variable["query"]["query"])
            assert asked, variable
            yield variable["name"], asked[1].replace("$instance", ".*"), f"{{{{{asked[2]}}}}}"


def alerts(root: Path) -> list[dict[str, Any]]:
    groups = yaml.safe_load((root / "docker" / "alerts.yml").read_text(encoding="utf-8"))["groups"]
    return [rule for group in groups for rule in group["rules"]]


def faults(expression: str, legend: str, known: dict[str, set[str]]) -> list[str]:
    """Which figures there are not, and which labels none of the figures has."""
    names = set(OURS.findall(expression))
    labels = {
        label.strip() for found in NAMED.findall(f"{expression} {legend}") for label in ",".join(found).split(",")
    }
    there = set().union(*(known.get(name, set()) for name in names)) | GIVEN | {""}
    return [*sorted(names - set(known)), *sorted(labels - there)]


def test_every_panel_asks_for_what_there_is(root: Path, known: dict[str, set[str]]) -> None:
    found = list(panels(root))
    assert len(found) > 20
    assert {title: missing for title, query, legend in found if (missing := faults(query, legend, known))} == {}
    assert all(OURS.search(query) for _, query, _ in found)


def test_every_alert_asks_for_what_there_is(root: Path, known: dict[str, set[str]]) -> None:
    found = alerts(root)
    assert len(found) > 5
    told = [(rule["alert"], rule["expr"], rule["annotations"]["summary"]) for rule in found]
    assert {name: missing for name, query, summary in told if (missing := faults(query, summary, known))} == {}
    for _, query, _ in told:
        reasons = re.findall(r'reason(?:=~|=)"([^"]*)"', query)
        assert {one for some in reasons for one in some.split("|")} <= set(literals(Refusal))


def literals(annotation: Any) -> list[str]:
    return [text for one in annotation.__args__ for text in (literals(one) if hasattr(one, "__args__") else [one])]


def test_what_is_not_there_is_found(known: dict[str, set[str]]) -> None:
    assert faults('rate(carlens_nothing_total{route="x"}[5m])', "", known) == ["carlens_nothing_total", "route"]
    assert faults('sum by (colour) (carlens_queue_depth{predictor="x"})', "{{shape}}", known) == ["colour", "shape"]


def test_every_figure_of_the_service_is_on_the_dashboard(root: Path, known: dict[str, set[str]]) -> None:
    """But those that belong to another one, and what Linux tells of memory besides."""
    shown = {name for _, query, _ in panels(root) for name in OURS.findall(query)}
    parts = re.compile(r"_(bucket|sum|count|total|created|info)$")
    wanted = {parts.sub("", name) for name in known if name.startswith("carlens_")}
    assert wanted - {parts.sub("", name) for name in shown} == set()
    assert {f"carlens_{stage}_seconds_sum" for stage in literals(Stage)} <= shown


@needs_promtool
def test_the_metrics_are_as_prometheus_wants_them(scrape: str) -> None:
    assert promtool("check", "metrics", given=scrape) == ""


@needs_promtool
def test_the_alerts_are_rules_that_fire_when_they_shall(root: Path) -> None:
    assert f"{len(alerts(root))} rules found" in promtool("check", "rules", root / "docker" / "alerts.yml")
    assert "SUCCESS" in promtool("test", "rules", root / "docker" / "alerts_test.yml")


def test_every_alert_has_a_test(root: Path) -> None:
    tests = yaml.safe_load((root / "docker" / "alerts_test.yml").read_text(encoding="utf-8"))["tests"]
    fire = {one["alertname"] for test in tests for one in test["alert_rule_test"] if one.get("exp_alerts")}
    assert fire == {rule["alert"] for rule in alerts(root)}


@needs_promtool
def test_every_panel_is_an_expression(root: Path, tmp_path: Path) -> None:
    rules = [{"record": f"panel:{n}", "expr": query} for n, (_, query, _) in enumerate(panels(root))]
    path = tmp_path / "panels.yml"
    path.write_text(json.dumps({"groups": [{"name": "panels", "rules": rules}]}))
    assert f"{len(rules)} rules found" in promtool("check", "rules", path)
