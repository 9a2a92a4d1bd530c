"""A choice of unlabelled photos to label: seeded, spread over their folders, each picture once."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import PurePosixPath

import numpy as np

from training.data import duplicates
from training.data.archive import Archive


@dataclass(slots=True)
class Sample:
    """The photos that were chosen, with their hashes, in the order of the choice; and those that were passed over."""

    chosen: list[tuple[str, int]] = field(default_factory=list)
    broken: list[tuple[str, str]] = field(default_factory=list)
    near_duplicates: list[tuple[str, str]] = field(default_factory=list)


def draw(archive: Archive, count: int, seed: int = 0, step: Callable[[Sample], None] = lambda sample: None) -> Sample:
    """At most `count` photos. Folders take turns, so that a small one is not lost beside a large one; within a folder
    the seed decides. What shows the same as a chosen one is passed over. `step` is called after each photo opened."""
    sample, names = Sample(), archive.photos()
    hashes = np.zeros(min(count, len(names)), np.uint64)
    for name in _turns(names, seed):
        if len(sample.chosen) == count:
            break
        try:
            one = duplicates.perceptual_hash(archive.read(name))
        except ValueError as error:
            sample.broken.append((name, str(error)))
        else:
            same = duplicates.near(hashes[: len(sample.chosen)], one)
            if len(same):
                sample.near_duplicates.append((name, sample.chosen[int(same[0])][0]))
            else:
                hashes[len(sample.chosen)] = one
                sample.chosen.append((name, one))
        step(sample)
    return sample


def _turns(names: Sequence[str], seed: int) -> Iterator[str]:
    """Every name once: one of each folder, shuffled, then the next of each."""
    rng = np.random.default_rng(seed)
    folders: dict[str, list[str]] = {}
    for name in names:
        folders.setdefault(str(PurePosixPath(name).parent), []).append(name)
    piles = [[of[int(n)] for n in rng.permutation(len(of))] for of in folders.values()]
    while piles:
        for place in rng.permutation(len(piles)):
            yield piles[int(place)].pop()
        piles = [pile for pile in piles if pile]
