"""carlens beside other ways to serve the same models: `make bench`, or `python -m tests.bench.compare`.

The core set takes under half an hour on two cores (`make bench`); `--full` measures every predictor, photo, form and
concurrency, for many hours (`make bench FULL=1`). `--smoke` takes one predictor, the small photo and short windows, to
see that every arm starts, answers alike and stops. Other options narrow either set: see `--help`. The report is
`reports/bench/report.md`, with plots, a CSV and `results.json` beside it; `--report` writes it anew from the latter.
A peer that is not installed or does not start is told in the report, and the rest goes on. Ctrl-C stops every server
and reports what was measured so far. Needs Linux (/proc) and an otherwise idle machine.
"""

import argparse
import os
import platform
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from importlib import metadata
from pathlib import Path

from tests.bench.compare import extras, photos, plan, plots, report, rows
from tests.bench.compare.measure import Bench, OutOfTime, say
from tests.bench.compare.plan import Plan
from tests.bench.compare.servers import ROOT

FOLDER = ROOT / "reports" / "bench"
VERSIONS = ("carlens", "fastapi", "uvicorn", "torch", "openvino", "onnxruntime", "litserve", "ray", "mosec", "aiohttp")


def main(arguments: Sequence[str] | None = None) -> int:
    chosen = options().parse_args(arguments)
    if chosen.report:
        results = rows.load(chosen.out / "results.json")
        return told(results, chosen.out)
    wanted, results = planned(chosen), rows.Results(conditions())
    signal.signal(signal.SIGTERM, stopped)
    code = 0
    with tempfile.TemporaryDirectory(prefix="bench-photos-") as folder:
        needed = sorted(
            {cell.photo for cell in (*wanted.cells, *wanted.later)} | ({"web", "phone"} if wanted.extras else set())
        )
        until = time.monotonic() + wanted.budget_s if wanted.budget_s else float("inf")
        bench = Bench(wanted, photos.write(Path(folder), needed), results, until, cores())
        try:
            carried_out(bench)
        except KeyboardInterrupt:
            say("stopped: the report tells what was measured so far")
            code = 130
    return told(results, chosen.out) or code


def carried_out(bench: Bench) -> None:
    """The plan, in its order; a failure of one cell leaves the others."""
    wanted = bench.plan
    steps: list[tuple[str, Callable[[], None]]] = [(cell.title, partial(bench.cell, cell)) for cell in wanted.cells]
    opened = [cell for cell in wanted.cells if cell.table == "user"] if wanted.shares else []
    steps += [(f"{cell.title}: arrivals that do not wait", partial(bench.opened, cell)) for cell in opened]
    if wanted.extras:
        steps.append(("carlens alone", partial(extras.measure, bench)))
    steps += [(cell.title, partial(bench.cell, cell)) for cell in wanted.later]
    for name, step in steps:
        try:
            step()
        except OutOfTime:
            bench.results.missing.append(
                rows.Missing(name, f"not finished: {wanted.budget_s / 60:.0f} minutes were over")
            )
        except Exception as error:
            say(f"{name}: {type(error).__name__}: {error}")
            bench.results.missing.append(rows.Missing(name, f"{type(error).__name__}: {error}"))


def told(results: rows.Results, folder: Path) -> int:
    path = report.write(results, folder)
    plots.draw(results, folder)
    say(f"the report is {path}")
    return 0 if results.rows else 1


def planned(chosen: argparse.Namespace) -> Plan:
    """The core or the full set, narrowed by what was chosen."""
    wanted = plan.full() if chosen.full else plan.core()
    if chosen.smoke:
        cells = tuple(rows.Cell(table, "attributes", "small", "raw") for table in ("same", "user"))
        wanted = replace(
            wanted,
            cells=cells,
            later=(),
            concurrencies=(1, 4),
            repeats=1,
            window_s=1.0,
            windows=3,
            open_s=3.0,
            rounds=3,
            asks=3,
            extras=False,
            tune=False,
        )

    def kept(cells: tuple[rows.Cell, ...]) -> tuple[rows.Cell, ...]:
        for name, values in (
            ("table", chosen.tables),
            ("predictor", chosen.predictors),
            ("photo", chosen.photos),
            ("form", chosen.forms),
        ):
            cells = tuple(cell for cell in cells if not values or getattr(cell, name) in values)
        return cells

    given = {
        "arms": chosen.arms and tuple(chosen.arms),
        "concurrencies": chosen.clients and tuple(chosen.clients),
        "repeats": chosen.repeats,
        "window_s": chosen.window,
        "windows": chosen.windows,
        "budget_s": None if chosen.minutes is None else 60 * chosen.minutes,
        "extras": False if chosen.no_extras else None,
    }
    narrowed = {name: value for name, value in given.items() if value is not None}
    return replace(wanted, cells=kept(wanted.cells), later=kept(wanted.later), **narrowed)


def options() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m tests.bench.compare", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--full", action="store_true", help="every predictor, photo, form and concurrency")
    parser.add_argument("--smoke", action="store_true", help="one predictor, short windows: does every arm work")
    parser.add_argument("--report", action="store_true", help="measure nothing, report results.json anew")
    parser.add_argument("--out", type=Path, default=FOLDER, help="folder of the report (default reports/bench)")
    parser.add_argument("--arms", nargs="+", choices=rows.ARMS, help="only these servers")
    parser.add_argument("--tables", nargs="+", choices=("same", "user"), help="only these tables")
    parser.add_argument("--predictors", nargs="+", choices=plan.PREDICTORS, help="only these, of those in the set")
    parser.add_argument("--photos", nargs="+", choices=tuple(photos.SIZES), help="only these, of those in the set")
    parser.add_argument("--forms", nargs="+", choices=("raw", "multipart"), help="only these, of those in the set")
    parser.add_argument("--clients", nargs="+", type=int, help="clients that ask at a time (core: 1 16)")
    parser.add_argument("--repeats", type=int, help="how often each arm gets its turn (core: 2)")
    parser.add_argument("--window", type=float, help="seconds of a window (core: 2)")
    parser.add_argument("--windows", type=int, help="windows at most (core: 5)")
    parser.add_argument("--minutes", type=float, help="stop measuring after so many, 0: never (core: 28)")
    parser.add_argument("--no-extras", action="store_true", help="leave out the figures of carlens alone")
    return parser


def conditions() -> dict[str, str]:
    """Where and on what this runs."""
    commit = subprocess.run(
        ["git", "describe", "--always", "--dirty"], cwd=ROOT, capture_output=True, text=True, check=False
    ).stdout.strip()
    found = {
        "date": time.strftime("%Y-%m-%d %H:%M"),
        "commit": commit or "unknown",
        "machine": machine(),
        "cores": str(cores()),
        "memory": f"{os.sysconf('SC_PAGE_SIZE') * os.sysconf('SC_PHYS_PAGES') / 2**30:.0f} GiB",
        "load before": f"{os.getloadavg()[0]:.1f}",
        "system": platform.platform(),
        "python": platform.python_version(),
    }
    for name in VERSIONS:
        try:
            found[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            found[name] = "not installed"
    return found


def machine() -> str:
    """The processor's name."""
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        lines = []
    return next((line.partition(":")[2].strip() for line in lines if line.startswith("model name")), platform.machine())


def cores() -> int:
    """The cores that this process may use."""
    return len(os.sched_getaffinity(0))


def stopped(*_: object) -> None:
    raise KeyboardInterrupt


if __name__ == "__main__":
    sys.exit(main())
