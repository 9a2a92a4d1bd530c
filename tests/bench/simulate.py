"""Capacity before there are machines: how many replicas for a load, which part is full first, what a zone's loss does.

`python -m tests.bench.simulate [TIMES] [--rates N …] [--p99-ms N] [--price N]`, where TIMES is what
`python -m tests.bench.service_times` wrote; prints tables in Markdown. `--against reports/bench/results.json` holds the
simulation against what `make bench` measured on this machine instead, and exits with 1 where throughput or the 99th
percentile are more than 15 % apart.
"""

import argparse
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

from tests.bench.compare.rows import Results, load
from tests.bench.simulation.capacity import Goal, Need, carried, loads, need
from tests.bench.simulation.fleet import NOTICE_S, Fleet, Seen
from tests.bench.simulation.replica import Shape
from tests.bench.simulation.times import Times, read

TIMES = Path(__file__).parent / "simulation" / "times.json"
APART = 0.15
QUEUE = 1024
"""Of the service that `make bench` measures as `same`: nothing of a closed loop is refused."""


def table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    return "\n".join(f"| {' | '.join(row)} |" for row in (head, ["---"] * len(head), *rows))


def shares(seen: Seen | None) -> str:
    """What was not answered, by outcome."""
    if seen is None:
        return "all lost"
    told = [f"{share:.1%} {name}" for name, share in seen.shares.items() if share >= 0.0005]
    return ", ".join(told) or "none"


def of_one(shape: Shape, goal: Goal) -> str:
    """One replica under loads."""
    rows = [
        [
            f"{share:.0%}",
            f"{seen.throughput:.0f}",
            f"{seen.p50_s * 1000:.0f}",
            f"{seen.p99_s * 1000:.0f}",
            f"{seen.batch:.1f}",
            shares(seen),
        ]
        for share, seen in loads(shape, goal)
    ]
    return table(["load", "answers a second", "p50 ms", "p99 ms", "photos a batch", "without answer"], rows)


def of_many(needs: Sequence[Need]) -> str:
    rows = [
        [
            f"{one.rate:,.0f}",
            f"{one.least:,}",
            f"{one.replicas:,}",
            f"{one.usual.p99_s * 1000:.0f}",
            f"{one.used_s:,.0f}",
            f"{one.paid_s:,.0f}",
            f"{one.price:,.2f}",
            f"{one.gbit:,.2f}",
        ]
        for one in needs
    ]
    head = ["photos a second", "replicas", "with a zone to spare", "p99 ms"]
    head += ["device seconds a million, used", "paid", "price", "Gbit/s in"]
    return table(head, rows)


def of_a_loss(needs: Sequence[Need]) -> str:
    rows = [
        [
            f"{one.rate:,.0f}",
            shares(one.meanwhile),
            f"{shares(one.after)}; p99 {one.after.p99_s * 1000:.0f} ms",
            shares(one.lean) + (f"; p99 {one.lean.p99_s * 1000:.0f} ms" if one.lean else ""),
        ]
        for one in needs
    ]
    head = ["photos a second", f"without answer in the first {NOTICE_S:g} s", "then", "then, without the spare"]
    return table(head, rows)


def full_first(shape: Shape, goal: Goal) -> str:
    """The parts of a replica, the one that is full first before the others."""
    limits = sorted(shape.times.limits(shape.decoders, goal.link_gbit).items(), key=lambda one: one[1])
    return ", ".join(f"{name} {rate:,.0f}" for name, rate in limits)


def tell(times: Times, goal: Goal, rates: Sequence[float]) -> str:
    shape = Shape(times)
    each = carried(shape, goal)
    needs = [need(rate, shape, goal, each) for rate in rates]
    what = f"`{times.predictor}`, photos of {times.photo_bytes / 1000:.0f} kB, times of {times.measured_on}."
    first = f"Photos a second that the parts of one replica pass, the narrowest first: {full_first(shape, goal)}."
    carries = f"One of several replicas carries {each:.1f} photos a second, 99 of 100 answers within {goal.p99_s:g} s."
    zones = f"In {goal.zones} zones, at a price of {goal.price:g} for a replica's hour:"
    texts = [f"{what} {first}", of_one(shape, goal), f"{carries} {zones}", of_many(needs)]
    return "\n\n".join([*texts, "When a zone goes:", of_a_loss(needs)])


def compared(times: Times, results: Results, photo: str) -> Iterator[tuple[str, float, float, float, float]]:
    """Each load of carlens with that predictor and photo: measured and simulated throughput, and both p99 in ms."""
    for row in results.rows:
        if (row.arm, row.cell.predictor, row.cell.photo) == ("carlens", times.predictor, photo):
            shape = Shape(times, queue_limit=QUEUE if row.cell.table == "same" else 64)
            seen = Fleet(shape).closed(row.concurrency, 60)
            yield f"{row.cell.title}, {row.concurrency} clients", row.throughput, seen.throughput, row.p99_ms, ms(seen)
    for one in results.opens:
        if (one.cell.predictor, one.cell.photo) == (times.predictor, photo):
            seen = Fleet(Shape(times)).open(one.rate, 60)
            yield f"{one.cell.title}, {one.rate:.0f} sent a second", one.goodput, seen.throughput, one.p99_ms, ms(seen)


def ms(seen: Seen) -> float:
    return seen.p99_s * 1000


def against(times: Times, results: Results, photo: str) -> tuple[str, bool]:
    """The comparison as a table, and whether all of it is near enough."""
    limits = results.limits.get(f"{times.predictor} {photo}", {})
    if "http_per_s" in limits:  # the load runs on the same cores: a request costs it at most what an empty one takes
        times = times.model_copy(update={"client_s": 1 / limits["http_per_s"]})
    found = list(compared(times, results, photo))
    near = sum(
        apart(real, made) <= APART and apart(slow, made_slow) <= APART for _, real, made, slow, made_slow in found
    )
    rows = [
        [
            title,
            f"{real:.1f}",
            f"{made:.1f}",
            f"{made / real - 1:+.0%}",
            f"{slow:.1f}",
            f"{late:.1f}",
            f"{late / slow - 1:+.0%}",
        ]
        for title, real, made, slow, late in found
    ]
    head = ["load", "measured a second", "simulated", "", "measured p99 ms", "simulated", ""]
    return f"{table(head, rows)}\n\nwithin {APART:.0%}: {near} of {len(found)}", bool(found) and near == len(found)


def apart(real: float, made: float) -> float:
    return abs(made / real - 1) if real else float("inf")


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description="Replicas, price and losses for a load, before there are machines.")
    parser.add_argument("times", nargs="?", type=Path, default=TIMES, help="what service_times wrote")
    parser.add_argument("--rates", type=float, nargs="+", default=[10, 1_000, 100_000], help="photos a second")
    parser.add_argument("--p99-ms", type=float, default=500, help="99 of 100 answers come within (default 500)")
    parser.add_argument("--price", type=float, default=1.0, help="of a replica's hour (default 1)")
    parser.add_argument("--zones", type=int, default=3, help="zones that replicas are dealt out to (default 3)")
    parser.add_argument("--link-gbit", type=float, default=10, help="gigabits a second into a replica (default 10)")
    parser.add_argument("--against", type=Path, metavar="RESULTS", help="results.json of `make bench`")
    parser.add_argument("--photo", default="web", help="with --against: which photo was measured (default web)")
    chosen = parser.parse_args(arguments)
    times = read(chosen.times)
    if chosen.against:
        text, near = against(times, load(chosen.against), chosen.photo)
        sys.stdout.write(f"{text}\n")
        sys.exit(0 if near else 1)
    goal = Goal(chosen.p99_ms / 1000, chosen.zones, chosen.price, chosen.link_gbit)
    try:
        sys.stdout.write(f"{tell(times, goal, chosen.rates)}\n")
    except ValueError as error:
        sys.exit(str(error))


if __name__ == "__main__":
    main()
