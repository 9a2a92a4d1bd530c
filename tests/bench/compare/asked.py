"""The figures that carlens is asked for, each beside what was measured."""

from collections.abc import Iterator
from dataclasses import dataclass
from statistics import median

from tests.bench.compare.rows import PEERS, Cell, Results, limits_key, peak, ratios

PLAIN = {"attributes": 3.5, "car_details": 3.5, "damage": 4.0}
PEER = 1.5
SHARE = 0.90
GOODPUT = 0.95


@dataclass(frozen=True, slots=True)
class Figure:
    """One figure: what is asked in words, what was measured, and whether that is enough; None: not measured."""

    name: str
    asked: str
    measured: str
    met: bool | None

    @property
    def verdict(self) -> str:
        return {True: "yes", False: "**no**", None: "not measured"}[self.met]


def figures(results: Results) -> list[Figure]:
    """All of them, in the order of the tables."""
    found = [one for cell in results.cells() for one in _cell(results, cell)]
    return [*found, *_extras(results)]


def _cell(results: Results, cell: Cell) -> Iterator[Figure]:
    ours = results.best(cell, "carlens")
    if not ours:
        yield Figure(f"{cell.title}: carlens", "an answer", "-", None)
        return
    peers = {arm: results.best(cell, arm) for arm in PEERS if results.best(cell, arm)}
    best = max(peers, key=lambda arm: peak(peers[arm]), default=None)
    if cell.table == "same":
        yield from _same(results, cell)
        if best:
            yield _above(f"{cell.title}: throughput over the best peer, {best}", 1.0, ratios(ours, peers[best]), ">")
        return
    if "plain" in peers and cell.predictor in PLAIN:
        name = f"{cell.title}: throughput over plain FastAPI"
        yield _above(name, PLAIN[cell.predictor], ratios(ours, peers["plain"]))
    if best:
        yield _above(f"{cell.title}: throughput over the best peer, {best}", PEER, ratios(ours, peers[best]))


def _same(results: Results, cell: Cell) -> Iterator[Figure]:
    tightest = results.tightest(cell)
    if tightest:
        shares = [row.throughput / tightest[1] for row in results.best(cell, "carlens")]
        yield _above(f"{cell.title}: throughput over the tightest limit, {tightest[0]}", SHARE, shares)
    alone = results.limits.get(limits_key(cell.predictor, cell.photo), {}).get("alone_ms")
    rows = results.of(cell, "carlens", 1)
    if alone and rows:
        more = median(row.p50_ms for row in rows) - float(alone)
        yield _at_most(f"{cell.title}: p50 of a lone client over the bare pipeline", 2.0, more, "ms")


def _extras(results: Results) -> Iterator[Figure]:
    for one in results.opens:
        if one.share > 1:
            reached = peak(results.best(one.cell, "carlens"))
            name = f"{one.cell.title}: goodput at {one.share:.0%} of the peak"
            yield _above(name, GOODPUT, [one.goodput / reached] if reached else [])
            if one.refused:
                yield _at_most(f"{one.cell.title}: a refusal comes within (p50)", 10.0, one.refused_p50_ms, "ms")
                yield _above(f"{one.cell.title}: refusals with Retry-After", 1.0, [one.retry_after])
    limits = {
        "damage on a phone photo, p50": ("damage_phone_ms", 250.0),
        "inspect with every task on a web photo, p50": ("inspect_web_ms", 600.0),
        "the locator on a decoded photo": ("locator_ms", 12.0),
        "car_details: vehicle=auto over vehicle=whole": ("auto_ms", 15.0),
    }
    for name, (key, most) in limits.items():
        yield _at_most(name, most, results.extras.get(key), "ms")
    right = results.extras.get("good_beside_bad")
    told = "-" if right is None else f"{right:.0f}"
    total = round(results.extras.get("good_beside_bad_of", 140))
    yield Figure(
        "good requests beside bad ones", f"{total} of {total}", told, None if right is None else right == total
    )


def _above(name: str, least: float, figures: list[float], sign: str = "≥") -> Figure:
    if not figures:
        return Figure(name, f"{sign} {least:g}", "-", None)
    middle = median(figures)
    span = f" ({min(figures):.2f}-{max(figures):.2f})" if len(figures) > 1 else ""
    return Figure(name, f"{sign} {least:g}", f"{middle:.2f}{span}", middle > least if sign == ">" else middle >= least)


def _at_most(name: str, most: float, figure: float | None, unit: str) -> Figure:
    if figure is None:
        return Figure(name, f"≤ {most:g} {unit}", "-", None)
    return Figure(name, f"≤ {most:g} {unit}", f"{figure:.1f} {unit}", figure <= most)
