"""What the comparison found, as rows that can be written, read again and reported without measuring anew."""

import json
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from statistics import median
from typing import Any

ARMS = ("plain", "pool", "litserve", "ray", "mosec", "carlens")
PEERS = ARMS[:-1]


@dataclass(frozen=True, slots=True)
class Cell:
    """What is compared: `same` or `user`, a predictor, a photo, and the form it is sent in."""

    table: str
    predictor: str
    photo: str
    form: str

    @property
    def title(self) -> str:
        return f"{self.table} · {self.predictor} · {self.photo} · {self.form}"


@dataclass(frozen=True, slots=True)
class Row:
    """One arm at one concurrency, once. Right answers per second, their latencies in milliseconds, CPU milliseconds of
    all its processes for each request, the most memory they held together; `failed` and `refused` requests."""

    cell: Cell
    arm: str
    setting: str
    concurrency: int
    repeat: int
    throughput: float
    p50_ms: float
    p95_ms: float
    p99_ms: float
    cpu_ms: float
    memory_mib: float
    failed: int
    refused: int
    settled: bool


@dataclass(frozen=True, slots=True)
class Open:
    """carlens under arrivals that do not wait, at `share` of its peak: `goodput` per second; latencies from the
    scheduled time; milliseconds until a refusal, and the share of them with Retry-After; MiB at start and end."""

    cell: Cell
    share: float
    rate: float
    goodput: float
    p50_ms: float
    p99_ms: float
    failed: int
    refused: int
    refused_p50_ms: float
    refused_p99_ms: float
    retry_after: float
    memory_start_mib: float
    memory_end_mib: float


@dataclass(frozen=True, slots=True)
class Missing:
    """Something that was to be measured and was not, with the reason."""

    what: str
    reason: str


@dataclass(slots=True)
class Results:
    """Everything a run found. `limits` by predictor and photo (`limits.Limits` as a dictionary, and `http_per_s`),
    `extras` by name, `agreement` by cell and arm: what an arm's answers differ in from carlens' own."""

    conditions: dict[str, str] = field(default_factory=dict)
    rows: list[Row] = field(default_factory=list)
    opens: list[Open] = field(default_factory=list)
    limits: dict[str, dict[str, Any]] = field(default_factory=dict)
    extras: dict[str, float] = field(default_factory=dict)
    agreement: list[tuple[Cell, str, str]] = field(default_factory=list)
    histograms: dict[str, dict[str, float]] = field(default_factory=dict)
    missing: list[Missing] = field(default_factory=list)

    def cells(self) -> list[Cell]:
        """Those with rows, in the order they were measured."""
        return list(dict.fromkeys(row.cell for row in self.rows))

    def of(self, cell: Cell, arm: str, concurrency: int | None = None) -> list[Row]:
        """The arm's rows in a cell, at one concurrency or all."""
        rows = [row for row in self.rows if row.cell == cell and row.arm == arm]
        return rows if concurrency is None else [row for row in rows if row.concurrency == concurrency]

    def best(self, cell: Cell, arm: str) -> list[Row]:
        """The arm's repeats at the concurrency where the median of its throughput is highest."""
        ways = {row.concurrency for row in self.of(cell, arm)}
        return max((self.of(cell, arm, way) for way in ways), key=peak, default=[])

    def tightest(self, cell: Cell) -> tuple[str, float] | None:
        """The limit that is reached first, and its requests per second."""
        found = self.limits.get(limits_key(cell.predictor, cell.photo), {})
        names = {"decode": "decode_per_s", "backend.run": "run_per_s", "HTTP": "http_per_s"}
        known = [(name, float(found[key])) for name, key in names.items() if key in found]
        return min(known, key=lambda one: one[1], default=None)

    def save(self, path: Path) -> None:
        path.write_text(json.dumps(asdict(self), indent=1), encoding="utf-8")


def limits_key(predictor: str, photo: str) -> str:
    return f"{predictor} {photo}"


def load(path: Path) -> Results:
    """What `save` wrote."""
    raw = json.loads(path.read_text(encoding="utf-8"))
    with_cell = {"rows": Row, "opens": Open}
    for name, kind in with_cell.items():
        raw[name] = [kind(**{**one, "cell": Cell(**one["cell"])}) for one in raw[name]]
    raw["agreement"] = [(Cell(**cell), arm, text) for cell, arm, text in raw["agreement"]]
    raw["missing"] = [Missing(**one) for one in raw["missing"]]
    return Results(**raw)


def peak(rows: Sequence[Row]) -> float:
    """The median of the repeats' throughput; 0 of none."""
    return median(row.throughput for row in rows) if rows else 0.0


def ratios(ours: Iterable[Row], theirs: Iterable[Row]) -> list[float]:
    """Our throughput over theirs, repeat by repeat: what was measured side by side."""
    other = {row.repeat: row.throughput for row in theirs}
    return [row.throughput / other[row.repeat] for row in ours if other.get(row.repeat)]


def spread(figures: Sequence[float], digits: int = 2) -> str:
    """Median and range, as the tables write them; a dash for none."""
    if not figures:
        return "-"
    text = f"{median(figures):.{digits}f}"
    return text if len(figures) == 1 else f"{text} ({min(figures):.{digits}f}-{max(figures):.{digits}f})"
