"""The report: `report.md`, a CSV whose name carries the conditions, and the rows as JSON."""

import csv
import math
import re
from collections.abc import Iterable, Sequence
from dataclasses import asdict
from pathlib import Path
from statistics import median

from tests.bench.compare.asked import figures
from tests.bench.compare.rows import ARMS, Cell, Results, Row, limits_key, peak, ratios, spread

HEAD = "# carlens beside other ways to serve the same models"
EXPLAINED = {
    "same": "Every arm decodes, prepares, runs and finishes with the same code on the same backend: what differs is "
    "the gateway. carlens serves the predictor alone here; all read the whole photo.",
    "user": "Every other arm as its user would write it: Pillow decodes the whole photo, torch runs the same weights "
    "eagerly. carlens as `carlens serve` comes, asked for the whole photo (`vehicle=whole`) as the others read it; of "
    "damages it grades each one besides, which the others do not.",
}


def text(results: Results) -> str:
    """`report.md`."""
    parts = [HEAD, _conditions(results), "## What is asked, and what was measured", _asked(results)]
    for name, explained in EXPLAINED.items():
        cells = [cell for cell in results.cells() if cell.table == name]
        if cells:
            parts += [f"## Table `{name}`", explained]
            parts += [part for cell in cells for part in (f"### {cell.title}", _cell(results, cell))]
    parts += ["## Arrivals that do not wait (carlens)", _opens(results)] if results.opens else []
    parts += ["## Limits", _limits(results)] if results.limits else []
    parts += ["## Batches that carlens made", _histograms(results)] if results.histograms else []
    parts += ["## Whether the answers agree", _agreement(results)] if results.agreement else []
    if results.missing:
        told = [f"- **{one.what}**: {_fenced(one.reason)}" for one in results.missing]
        parts += ["## Not measured", "\n".join(told)]
    return "\n\n".join(parts) + "\n"


def table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A Markdown table."""
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join(f"| {' | '.join(cell.replace('|', '/') for cell in line)} |" for line in lines)


def _conditions(results: Results) -> str:
    return table(["condition", "value"], [[name, value] for name, value in results.conditions.items()])


def _asked(results: Results) -> str:
    rows = [[one.name, one.asked, one.measured, one.verdict] for one in figures(results)]
    return table(["figure", "asked", "measured", "met"], rows)


def _cell(results: Results, cell: Cell) -> str:
    ours, rows = results.best(cell, "carlens"), []
    for arm in ARMS:
        best, lone = results.best(cell, arm), results.of(cell, arm, 1)
        if best:
            rows.append(
                [
                    arm,
                    best[0].setting or "-",
                    str(best[0].concurrency),
                    spread([row.throughput for row in best], 1),
                    spread(ratios(ours, best)),
                    spread([row.p50_ms for row in best], 1),
                    spread([row.p99_ms for row in best], 1),
                    spread([row.p50_ms for row in lone], 1),
                    f"{median(row.cpu_ms for row in best):.1f}",
                    f"{max(row.memory_mib for row in results.of(cell, arm)):.0f}",
                    str(sum(row.failed + row.refused for row in best)),
                    "settled" if all(row.settled for row in best) else "unsettled",
                ]
            )
    head = ["arm", "setting", "clients", "per s", "carlens over it", "p50 ms", "p99 ms", "p50 ms, 1 client"]
    made = table([*head, "CPU ms each", "MiB", "not answered", "windows"], rows)
    return made + "\n\n" + _bound(results, cell, ours)


def _bound(results: Results, cell: Cell, ours: Sequence[Row]) -> str:
    """A sentence on what holds carlens' throughput where it is."""
    tightest = results.tightest(cell)
    if not ours or not tightest:
        return "What bounds it is not known: carlens or the limits were not measured."
    found = results.limits[limits_key(cell.predictor, cell.photo)]
    name, most = tightest
    told = f"The tightest limit is {name}: {most:.1f} per s; carlens reaches {peak(ours) / most:.2f} of it."
    if found.get("shared_per_s"):
        shared = float(found["shared_per_s"])
        told += (
            f" Where decode and run share the cores they leave {shared:.1f} per s together; carlens reaches "
            f"{peak(ours) / shared:.2f} of that."
        )
    cores = float(results.conditions.get("cores", "0") or 0)
    if cores:
        busy = median(row.cpu_ms * row.throughput / 1000 for row in ours) / cores
        told += f" Its processes keep {busy:.0%} of the cores busy; the load has the rest."
    return told


def _opens(results: Results) -> str:
    head = ["cell", "of the peak", "sent per s", "answered per s", "p50 ms", "p99 ms", "failed", "refused"]
    head += ["refusal p50 / p99 ms", "with Retry-After", "MiB at start", "at end"]
    rows = [
        [
            one.cell.title,
            f"{one.share:.0%}",
            f"{one.rate:.1f}",
            f"{one.goodput:.1f}",
            _number(one.p50_ms),
            _number(one.p99_ms),
            str(one.failed),
            str(one.refused),
            f"{_number(one.refused_p50_ms)} / {_number(one.refused_p99_ms)}",
            f"{one.retry_after:.0%}" if one.refused else "-",
            f"{one.memory_start_mib:.0f}",
            f"{one.memory_end_mib:.0f}",
        ]
        for one in results.opens
    ]
    return table(head, rows)


def _limits(results: Results) -> str:
    keys = ["decode_per_s", "run_per_s", "best_batch", "shared_per_s", "http_per_s", "alone_ms"]
    head = ["predictor and photo", "decode per s", "run per s", "best batch", "both on the same cores", "HTTP per s"]
    rows = [
        [name, *(_number(found.get(key)) for key in keys), str(found.get("backend", "-"))]
        for name, found in results.limits.items()
    ]
    return table([*head, "one photo alone, ms", "backend"], rows)


def _histograms(results: Results) -> str:
    rows = [
        [name, ", ".join(f"{size}: {count:.0f}" for size, count in found.items() if count)]
        for name, found in results.histograms.items()
    ]
    return table(["cell", "batches of at most this many photos: how many"], rows)


def _agreement(results: Results) -> str:
    return table(["cell", "arm", "beside carlens"], [[cell.title, arm, told] for cell, arm, told in results.agreement])


def _number(value: object) -> str:
    return f"{value:.1f}" if isinstance(value, int | float) and math.isfinite(value) else "-"


def _fenced(reason: str) -> str:
    first, _, rest = reason.partition("\n")
    return (
        first
        if not rest
        else f"{first}\n\n  ```text\n" + "\n".join(f"  {line}" for line in rest.splitlines()) + "\n  ```"
    )


def csv_name(conditions: dict[str, str]) -> str:
    """`bench_DATE_COMMIT_MACHINE_CORES.csv`, letters a file may have."""
    parts = [conditions.get(key, "unknown") for key in ("date", "commit", "machine", "cores")]
    return "bench_" + "_".join(re.sub(r"[^A-Za-z0-9.-]+", "-", part).strip("-") for part in parts) + "cores.csv"


def write(results: Results, folder: Path) -> Path:
    """All of it into `folder`; where `report.md` is."""
    folder.mkdir(parents=True, exist_ok=True)
    results.save(folder / "results.json")
    with (folder / csv_name(results.conditions)).open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        names = [name for name in Row.__dataclass_fields__ if name != "cell"]
        writer.writerow([*Cell.__dataclass_fields__, *names])
        for row in results.rows:
            flat = asdict(row)
            writer.writerow([*flat.pop("cell").values(), *flat.values()])
    (folder / "report.md").write_text(text(results), encoding="utf-8")
    return folder / "report.md"
