"""What is measured: the cells, their order, the settings that each peer is tried with."""

from dataclasses import dataclass

from tests.bench.compare.rows import ARMS, Cell

PREDICTORS = ("attributes", "car_details", "damage")
TUNED = ("pool", "litserve", "ray", "mosec")


@dataclass(frozen=True, slots=True)
class Setting:
    """A peer's settings: the largest batch and the longest wait for it, or the threads of a pool."""

    batch: int = 1
    wait_ms: float = 0.0
    threads: int = 0

    def __str__(self) -> str:
        if self.threads:
            return f"{self.threads} threads"
        return f"batch {self.batch}, {self.wait_ms:g} ms" if self.batch > 1 else ""


@dataclass(frozen=True, slots=True)
class Plan:
    """A run: `cells` in the order they are measured, the first ones `repeats` times, those `later` once; how long and
    how often; `shares` of the peak for arrivals that do not wait; seconds that all of it may take (0: any)."""

    cells: tuple[Cell, ...]
    later: tuple[Cell, ...] = ()
    arms: tuple[str, ...] = ARMS
    concurrencies: tuple[int, ...] = (1, 16)
    shares: tuple[float, ...] = (0.9, 1.5)
    repeats: int = 2
    window_s: float = 2.0
    windows: int = 5
    open_s: float = 10.0
    rounds: int = 20
    asks: int = 15
    extras: bool = True
    tune: bool = True
    full: bool = False
    budget_s: float = 28 * 60

    def repeats_of(self, cell: Cell) -> int:
        return self.repeats if cell in self.cells else 1


def core() -> Plan:
    """What two cores measure in under half an hour."""
    first = tuple(Cell(table, "attributes", "web", "raw") for table in ("same", "user"))
    later = tuple(Cell("user", predictor, "web", "raw") for predictor in ("damage", "car_details"))
    return Plan(cells=first, later=later)


def full() -> Plan:
    """Every predictor, photo, form and concurrency, with a larger grid for the peers: many hours."""
    cells = tuple(
        Cell(table, predictor, photo, form)
        for table in ("same", "user")
        for predictor in PREDICTORS
        for photo in ("small", "web", "phone")
        for form in ("raw", "multipart")
    )
    return Plan(
        cells=cells,
        concurrencies=(1, 4, 16, 64, 256),
        shares=(0.5, 0.7, 0.9, 1.1, 1.5),
        repeats=3,
        window_s=5.0,
        windows=10,
        open_s=20.0,
        asks=40,
        full=True,
        budget_s=0.0,
    )


def grid(arm: str, cores: int, largest: int, full: bool) -> list[Setting]:
    """The settings that an arm is tried with; `largest` is the largest batch that the predictor runs."""
    if arm == "pool":
        return [Setting(threads=times * cores) for times in ((1, 2, 4, 8) if full else (1, 4))]
    if arm not in TUNED:
        return [Setting()]
    if full:
        batches = [size for size in (2, 4, 8, 16) if size <= largest]
        return [Setting(size, wait) for size in batches for wait in (1.0, 5.0, 20.0)]
    return [Setting(max(2, largest // 4), 1.0), Setting(largest, 5.0)]
