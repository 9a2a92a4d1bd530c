"""Thousands of damaged photos of every format through the real decoders: answers or 4xx, and nothing stays behind."""

from collections import Counter
from concurrent.futures import ThreadPoolExecutor

import pytest

from tests.faults.crowd import grey
from tests.faults.mutations import hostile
from tests.faults.process import Service

ALLOWED = {200, 413, 415, 422}
PATIENCE_MS = "30000"
"""A photo of a few thousand bytes that keeps a decoder for longer counts as hanging: 504 is not among the allowed."""


def fuzzed(service: Service, seed: int, count: int) -> Counter[int]:
    """How often each status came."""

    def one(file: tuple[str, bytes]) -> int:
        name, data = file
        response = service.post(data, headers={"X-Deadline-Ms": PATIENCE_MS})
        assert response.status_code in ALLOWED, f"{name}: {response.text}"
        if response.status_code == 200:
            assert all(0 <= value <= 255 for value in response.json()["result"]["channels"]), name
        return response.status_code

    with ThreadPoolExecutor(4) as pool:
        return Counter(pool.map(one, hostile(seed, count)))


def test_damaged_photos_are_answered_or_refused(service: Service) -> None:
    fuzzed(service, 1, 300)  # buffers and caches have their size
    before = service.memory()
    seen = fuzzed(service, 2, 1200)
    assert min(seen[200], seen[415], seen[422]) > 10, seen  # the damage is neither nothing nor everything
    assert service.memory() - before < 40
    assert service.post(grey(50)).json()["result"]["mean"] == 50


@pytest.mark.long
def test_many_more_damaged_photos(service: Service) -> None:
    fuzzed(service, 3, 2000)
    before = service.memory()
    for seed in range(10, 20):
        fuzzed(service, seed, 5000)
        assert service.memory() - before < 60, f"after seed {seed}"
    assert service.post(grey(50)).json()["result"]["mean"] == 50
