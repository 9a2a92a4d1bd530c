"""Shards, and the manifest that tells one set from another."""

from dataclasses import replace

import pytest

from app.sets.order import Manifest, Order, Shard, shards
from app.settings import Settings
from tests.fakes import Brightness

NAMES = ["a.jpg", "b.jpg", "c.jpg"]


def order() -> Order:
    return Order(Settings(), ["brightness"], {"brightness": "sha256:000000000000"}, "en", {"min_score": 0.5})


def manifest(of: Order, names: list[str] = NAMES, size: int = 2) -> Manifest:
    return Manifest.of(names, size, of, {"brightness": Brightness()})


def test_each_photo_is_in_one_shard() -> None:
    assert list(shards(NAMES, 2)) == [Shard(0, NAMES[:2]), Shard(1, NAMES[2:])]
    assert list(shards(NAMES, 3)) == [Shard(0, NAMES)]


def test_the_same_set_has_no_differences_also_after_it_was_written() -> None:
    before = Manifest.model_validate_json(manifest(order()).model_dump_json())
    assert before.differences(manifest(order())) == []


@pytest.mark.parametrize(
    ("other", "field"),
    [
        (manifest(order(), ["a.jpg", "b.jpg", "d.jpg"]), "listing"),
        (manifest(order(), ["a.jpg", "b.jp", "gc.jpg"]), "listing"),
        (manifest(order(), size=3), "shard (was 2, is 3)"),
        (manifest(replace(order(), tasks=["plain"])), "tasks"),
        (manifest(replace(order(), given={})), "options (was {'min_score': 0.5}, is {})"),
        (manifest(replace(order(), language="de")), "language"),
        (manifest(replace(order(), settings=Settings(backend="torch"))), "backend"),
    ],
)
def test_another_set_differs_by_name(other: Manifest, field: str) -> None:
    (difference,) = manifest(order()).differences(other)
    assert difference.startswith(field)


def test_other_weights_make_another_set() -> None:
    changed = Brightness()
    changed.card = changed.card.model_copy(update={"weights": "sha256:111111111111"})
    (difference,) = manifest(order()).differences(Manifest.of(NAMES, 2, order(), {"brightness": changed}))
    assert difference.startswith("models")
