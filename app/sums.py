"""The figures of all workers as those of one service."""

from collections.abc import Iterable, Iterator

from prometheus_client import Metric
from prometheus_client.exposition import generate_latest
from prometheus_client.registry import Collector
from prometheus_client.samples import Sample

Families = list[Metric]
"""What a registry collects."""

PROCESS = "process_"
"""Families that tell of one process: they keep a line for each worker, labelled with its number."""


class Sums(Collector):
    """The last figures of every worker. Counters and histograms are summed, with what workers that have ended had
    counted, so that they never go down; gauges are summed over those that live."""

    def __init__(self) -> None:
        self._living: dict[int, Families] = {}
        self._past: Families = []

    def told(self, worker: int, families: Families) -> None:
        self._living[worker] = families

    def ended(self, worker: int) -> None:
        """What it told last is kept, and what it counted after that is lost with it."""
        last = self._living.pop(worker, [])
        lasting = [one for one in last if one.type in ("counter", "histogram") and not one.name.startswith(PROCESS)]
        self._past = _summed([self._past, lasting])

    def collect(self) -> Iterator[Metric]:
        yield from _summed([self._past, *(self._living[worker] for worker in sorted(self._living))])
        yield from self._processes()

    def text(self, own: Iterable[Metric] = ()) -> bytes:
        """Everything in Prometheus's text format, the supervisor's `own` figures last."""
        return generate_latest(_Given([*self.collect(), *own]))

    def _processes(self) -> Families:
        merged: dict[str, Metric] = {}
        for worker in sorted(self._living):
            for family in self._living[worker]:
                if family.name.startswith(PROCESS):
                    into = merged.setdefault(family.name, Metric(family.name, family.documentation, family.type))
                    into.samples += [
                        one._replace(labels={**one.labels, "worker": str(worker)}) for one in family.samples
                    ]
        return list(merged.values())


class _Given(Collector):
    def __init__(self, families: Families) -> None:
        self._families = families

    def collect(self) -> Families:
        return self._families


def _summed(told: Iterable[Families]) -> Families:
    """Without those of processes, each family and label in the order in which it was told first."""
    kinds: dict[str, Metric] = {}
    sums: dict[str, dict[tuple[str, tuple[tuple[str, str], ...]], Sample]] = {}
    for families in told:
        for family in families:
            if family.name.startswith(PROCESS):
                continue
            kinds.setdefault(family.name, family)
            samples = sums.setdefault(family.name, {})
            for one in family.samples:
                key = one.name, tuple(sorted(one.labels.items()))
                samples[key] = _added(samples[key], one) if key in samples else one
    merged = []
    for name, kind in kinds.items():
        family = Metric(name, kind.documentation, kind.type)
        family.samples = list(sums[name].values())
        merged.append(family)
    return merged


def _added(one: Sample, other: Sample) -> Sample:
    if one.name.endswith("_created"):  # the time since when it is counted
        return one._replace(value=min(one.value, other.value))
    if one.name.endswith("_info"):  # the same is true of all, once
        return one
    return one._replace(value=one.value + other.value)
