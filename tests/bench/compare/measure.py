"""One arm at a time: started, its answers compared, put under load, and stopped; what came of it as rows."""

import json
import os
import re
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path
from statistics import median
from typing import Any

import httpx

from tests.bench.compare import limits, load
from tests.bench.compare.answers import alike, difference, result_of
from tests.bench.compare.arms.work import Given
from tests.bench.compare.plan import Plan, Setting, grid
from tests.bench.compare.rows import Cell, Missing, Open, Results, Row, limits_key
from tests.bench.compare.servers import ROOT, NotStarted, Server, arm, free_port, running
from tests.bench.compare.settle import LAST, Window

EXAMPLE = ROOT / "openapi" / "examples" / "car.jpg"
LARGEST = {"damage": 4, "parts": 4}
"""The largest batch of predictors that have another than 16."""


def say(text: str) -> None:
    sys.stdout.write(f"{time.strftime('%H:%M:%S')} {text}\n")
    sys.stdout.flush()


class OutOfTime(Exception):
    """The time that the run may take is over."""


@dataclass(slots=True)
class Bench:
    """A run of a plan. `photos` by name; `results` is filled as it goes; `until` on the monotonic clock, or infinity.
    `references` are the first answers of each cell, carlens' own where it starts; `refused` arms are left out."""

    plan: Plan
    photos: Mapping[str, Path]
    results: Results
    until: float
    cores: int
    references: dict[Cell, list[Mapping[str, Any]]] = field(default_factory=dict)
    refused: set[tuple[Cell, str]] = field(default_factory=set)

    def cell(self, cell: Cell) -> None:
        """Everything in one cell: the limits, the peers' settings, then all arms in turns. Raises `OutOfTime`."""
        self.limits(cell)
        self.start_reference(cell)
        settings = {name: self.tuned(cell, name) for name in self.plan.arms}
        for repeat in range(self.plan.repeats_of(cell)):
            for name, setting in settings.items():
                if setting is not None and (cell, name) not in self.refused:
                    self.rows(cell, name, setting, repeat)

    def given(self, cell: Cell, setting: Setting) -> Given:
        return Given(
            cell.predictor, cell.table, free_port(), setting.batch, setting.wait_ms, setting.threads, self.cores
        )

    @contextmanager
    def serving(self, cell: Cell, name: str, setting: Setting) -> Iterator[Server | None]:
        """The arm, running; None where it does not start, which the report then says."""
        if time.monotonic() > self.until:
            raise OutOfTime
        command, url, environment = arm(name, self.given(cell, setting))
        say(f"{cell.title}: {name} {setting}")
        started = False
        try:
            with running(command, url, self.photos[cell.photo], environment) as server:
                started = True
                yield server
        except NotStarted as error:
            if started:
                raise
            self.refused.add((cell, name))
            self.results.missing.append(Missing(f"{cell.title}: {name} {setting}".strip(), str(error)))
            say(f"  not started: {str(error).splitlines()[-1]}")
            yield None

    def start_reference(self, cell: Cell) -> None:
        """What carlens answers in this cell, by which the others are judged."""
        if "carlens" in self.plan.arms:
            with self.serving(cell, "carlens", Setting()) as server:
                if server:
                    self.compare(cell, "carlens", server)

    def compare(self, cell: Cell, name: str, server: Server) -> Mapping[str, Any] | None:
        """The arm's answer to the cell's photo, after its answers were held against carlens' own. One of
        `same` that answers otherwise is not measured."""
        photos = (self.photos[cell.photo], EXAMPLE)
        answers = [result_of(ask(server.url, photo, cell.form)) for photo in photos]
        found = [answer for answer in answers if answer is not None]
        if len(found) < len(answers):
            self.refused.add((cell, name))
            self.results.missing.append(Missing(f"{cell.title}: {name}", "it answers without a result"))
            return None
        reference = self.references.setdefault(cell, found)
        if reference is found:
            return found[0]
        agree = [alike(wanted, one) for wanted, one in zip(reference, found, strict=True)]
        most = max(difference(wanted, one) for wanted, one in zip(reference, found, strict=True))
        told = f"{sum(agree)} of {len(agree)} photos answered alike, scores at most {most:.3f} apart"
        if (cell, name, told) not in self.results.agreement:
            self.results.agreement.append((cell, name, told))
        if cell.table == "same" and not all(agree):
            self.refused.add((cell, name))
            self.results.missing.append(Missing(f"{cell.title}: {name}", f"it answers otherwise: {told}"))
            return None
        return found[0]

    def order(self, cell: Cell, url: str, **more: Any) -> load.Order:
        photo = str(self.photos[cell.photo])
        return load.Order(url, photo, cell.form, window_s=self.plan.window_s, windows=self.plan.windows, **more)

    def tuned(self, cell: Cell, name: str) -> Setting | None:
        """The arm's best setting at the largest concurrency; None where none starts."""
        settings = grid(name, self.cores, LARGEST.get(cell.predictor, 16), self.plan.full)
        if len(settings) == 1 or not self.plan.tune:
            return settings[0]
        found: dict[Setting, float] = {}
        for setting in settings:
            with self.serving(cell, name, setting) as server:
                expected = server and self.compare(cell, name, server)
                if server and expected:
                    order = self.order(
                        cell, server.url, expected=expected, concurrency=min(64, max(self.plan.concurrencies))
                    )
                    found[setting] = row_of(loaded(order)).throughput
                    say(f"  {found[setting]:.1f} per s")
        return max(found, key=lambda one: found[one], default=None)

    def rows(self, cell: Cell, name: str, setting: Setting, repeat: int) -> None:
        """The arm at every concurrency, once."""
        with self.serving(cell, name, setting) as server:
            expected = server and self.compare(cell, name, server)
            if not server or not expected:
                return
            for concurrency in self.plan.concurrencies:
                server.memory_mib = 0.0
                before = server.cpu_seconds()
                found = loaded(self.order(cell, server.url, expected=expected, concurrency=concurrency))
                cpu_ms = 1000 * (server.cpu_seconds() - before) / max(1, found["requests"])
                server.look()
                whole = row_of(found)
                self.results.rows.append(
                    Row(
                        cell,
                        name,
                        str(setting),
                        concurrency,
                        repeat,
                        whole.throughput,
                        whole.p50_ms,
                        whole.p95_ms,
                        whole.p99_ms,
                        cpu_ms,
                        server.memory_mib,
                        whole.failed,
                        whole.refused,
                        found["settled"],
                    )
                )
                say(
                    f"  {concurrency} clients: {whole.throughput:.1f} per s, {whole.p50_ms:.1f} ms, {found['statuses']}"
                )
            if name == "carlens":
                base = server.url.partition("/v1/")[0]
                text = httpx.get(f"{base}/metrics", trust_env=False).text
                self.results.histograms[cell.title] = histogram(text, cell.predictor)

    def opened(self, cell: Cell) -> None:
        """carlens under arrivals that do not wait, at every share of the peak that was found."""
        reached = max((row.throughput for row in self.results.best(cell, "carlens")), default=0.0)
        for share in self.plan.shares if reached else ():
            with self.serving(cell, "carlens", Setting()) as server:
                expected = server and self.compare(cell, "carlens", server)
                if not server or not expected:
                    return
                rate, start = share * reached, server.look()
                more: dict[str, Any] = {"expected": expected, "rate": rate, "window_s": self.plan.open_s}
                found = loaded(load.Order(server.url, str(self.photos[cell.photo]), cell.form, **more))
                whole = row_of(found)
                quick, slow = found["refused_ms"]
                share_told = found["retry_after"] / found["refused"] if found["refused"] else 0.0
                figures = (whole.throughput, whole.p50_ms, whole.p99_ms, whole.failed, whole.refused, quick, slow)
                self.results.opens.append(Open(cell, share, rate, *figures, share_told, start, server.look()))
                say(f"  {rate:.1f} sent per s: {whole.throughput:.1f} answered, {found['statuses']}")

    def limits(self, cell: Cell) -> None:
        """The limits of the cell's predictor and photo, once."""
        key = limits_key(cell.predictor, cell.photo)
        if key in self.results.limits:
            return
        say(f"limits of {key}")
        order = limits.Order(cell.predictor, str(self.photos[cell.photo]), max(2.0, self.plan.window_s))
        found: dict[str, Any] = called("limits", asdict(order))
        found["shared_per_s"] = limits.Limits(**found).shared_per_s
        with self.serving(cell, "noop", Setting()) as server:
            if server:
                order_http = self.order(cell, server.url, concurrency=16)
                found["http_per_s"] = row_of(loaded(order_http)).throughput
        self.results.limits[key] = found


def called(module: str, order: Mapping[str, Any]) -> dict[str, Any]:
    """A module of this package as a process: an order in, its answer out. Raises `RuntimeError` with what it said."""
    command = [sys.executable, "-m", f"tests.bench.compare.{module}"]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    done = subprocess.run(
        command, input=json.dumps(order), cwd=ROOT, env=environment, capture_output=True, text=True, check=False
    )
    if done.returncode:
        raise RuntimeError(f"{module} ended with {done.returncode}: {done.stderr[-2000:]}")
    answer: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return answer


def loaded(order: load.Order) -> dict[str, Any]:
    """What the load's process found."""
    return called("load", asdict(order))


def row_of(found: Mapping[str, Any]) -> Window:
    """The last windows of a load together: their sums, and the medians of their latencies."""
    windows = [Window(**one) for one in found["windows"]][-LAST:]
    latencies = [median(getattr(one, name) for one in windows) for name in ("p50_ms", "p95_ms", "p99_ms")]
    counts = [sum(getattr(one, name) for one in windows) for name in ("seconds", "good", "failed", "refused")]
    return Window(*counts, *latencies)


def ask(url: str, photo: Path, form: str) -> bytes:
    """One answer's body; empty where it is not 200."""
    body, headers = load.body_of(photo.read_bytes(), form)
    answer = httpx.post(url, content=body, headers=headers, timeout=120, trust_env=False)
    return answer.content if answer.status_code == 200 else b""


def histogram(metrics: str, predictor: str) -> dict[str, float]:
    """How many batches had at most so many photos, and more than the bound before; from the service's metrics."""
    pattern = rf'^carlens_batch_size_bucket{{le="([^"]+)",predictor="{re.escape(predictor)}"}} (\S+)$'
    found, before = {}, 0.0
    for bound, count in re.findall(pattern, metrics, re.MULTILINE):
        found[bound.removesuffix(".0")], before = float(count) - before, float(count)
    return found
