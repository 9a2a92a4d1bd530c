"""The report says what the rows say, beside what is asked, and what was not measured."""

from pathlib import Path

import pytest

from tests.bench.compare import report, rows
from tests.bench.compare.asked import figures
from tests.bench.compare.rows import Cell, Missing, Open, Results, Row, limits_key

SAME = Cell("same", "attributes", "web", "raw")
USER = Cell("user", "attributes", "web", "raw")
LIMITS = {"decode_per_s": 300.0, "run_per_s": 100.0, "http_per_s": 900.0, "shared_per_s": 75.0, "alone_ms": 12.0}


def row(cell: Cell, arm: str, throughput: float, repeat: int = 0, concurrency: int = 16, p50_ms: float = 13.0) -> Row:
    return Row(cell, arm, "", concurrency, repeat, throughput, p50_ms, 20.0, 30.0, 9.0, 500.0, 0, 0, True)


@pytest.fixture
def results() -> Results:
    found = Results({"date": "2026-01-02 10:00", "commit": "abc", "machine": "A (R) CPU", "cores": "2"})
    for repeat, (ours, plain, mosec) in enumerate([(92.0, 20.0, 50.0), (94.0, 25.0, 40.0), (96.0, 24.0, 60.0)]):
        for cell in (SAME, USER):
            found.rows += [
                row(cell, "carlens", ours, repeat),
                row(cell, "carlens", 60.0, repeat, concurrency=1),
                row(cell, "plain", plain, repeat),
                row(cell, "mosec", mosec, repeat),
            ]
    found.limits[limits_key("attributes", "web")] = dict(LIMITS)
    return found


def verdicts(results: Results) -> dict[str, bool | None]:
    return {one.name.partition(": ")[2] or one.name: one.met for one in figures(results) if "attributes" in one.name}


def test_saturation_is_the_concurrency_with_the_highest_throughput(results: Results) -> None:
    assert {one.concurrency for one in results.best(SAME, "carlens")} == {16}
    assert rows.peak(results.best(SAME, "carlens")) == 94.0


def test_ratios_are_of_what_ran_side_by_side(results: Results) -> None:
    found = rows.ratios(results.best(SAME, "carlens"), results.best(SAME, "mosec"))
    assert found == pytest.approx([92 / 50, 94 / 40, 96 / 60])
    assert rows.spread(found) == "1.84 (1.60-2.35)"


def test_the_tightest_limit_is_the_lowest(results: Results) -> None:
    assert results.tightest(SAME) == ("backend.run", 100.0)


def test_what_is_met_is_told(results: Results) -> None:
    assert verdicts(results) == {
        "throughput over the tightest limit, backend.run": True,
        "p50 of a lone client over the bare pipeline": True,
        "throughput over the best peer, mosec": True,
        "throughput over plain FastAPI": True,
    }


def test_what_is_not_met_is_told(results: Results) -> None:
    results.limits[limits_key("attributes", "web")].update(run_per_s=200.0, alone_ms=9.0)
    results.rows = [one if one.arm != "plain" else row(one.cell, "plain", 60.0, one.repeat) for one in results.rows]
    found = verdicts(results)
    assert found["throughput over the tightest limit, backend.run"] is False
    assert found["p50 of a lone client over the bare pipeline"] is False
    assert found["throughput over plain FastAPI"] is False


def test_overload_is_held_against_the_peak(results: Results) -> None:
    results.opens.append(Open(USER, 1.5, 141.0, 90.0, 50.0, 90.0, 0, 100, 4.0, 9.0, 0.5, 400.0, 410.0))
    found = {one.name.partition(": ")[2]: one for one in figures(results)}
    assert found["goodput at 150% of the peak"].met is True
    assert found["a refusal comes within (p50)"].met is True
    assert found["refusals with Retry-After"].met is False


def test_figures_that_were_not_measured_say_so(results: Results) -> None:
    found = {one.name: one for one in figures(results)}
    assert found["inspect with every task on a web photo, p50"].met is None
    assert found["good requests beside bad ones"].verdict == "not measured"


def test_the_report_has_both_tables_and_what_is_missing(results: Results) -> None:
    results.missing.append(Missing("same: ray", "ended with exit code 1:\nno such thing"))
    text = report.text(results)
    assert "## Table `same`" in text
    assert "## Table `user`" in text
    assert "| mosec | - | 16 | 50.0 (40.0-60.0) | 1.84 (1.60-2.35) |" in text
    assert "backend.run: 100.0 per s; carlens reaches 0.94 of it" in text
    assert "carlens reaches 1.25 of that" in text
    assert "no such thing" in text


def test_rows_are_read_as_they_were_written(results: Results, tmp_path: Path) -> None:
    results.agreement.append((SAME, "plain", "2 of 2"))
    results.opens.append(Open(USER, 1.5, 141.0, 90.0, 50.0, 90.0, 0, 100, 4.0, 9.0, 0.5, 400.0, 410.0))
    report.write(results, tmp_path)
    assert rows.load(tmp_path / "results.json") == results
    table = (tmp_path / "bench_2026-01-02-10-00_abc_A-R-CPU_2cores.csv").read_text(encoding="utf-8").splitlines()
    assert len(table) == 1 + len(results.rows)
    assert table[0].startswith("table,predictor,photo,form,arm,setting,concurrency")
