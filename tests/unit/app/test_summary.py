"""Answers told in a few words."""

from typing import Any

import pytest

from app.commands.summary import summary

SEDAN = {"label": "sedan", "score": 0.9, "scores": {"sedan": 0.9}}
BEST = {"label": "Audi TTS Coupe 2012", "make": "Audi", "score": 0.714}


@pytest.mark.parametrize(
    ("result", "told"),
    [
        (None, "-"),
        ({"damaged": False, "counts": {"dent": 0}, "detections": []}, "not damaged"),
        (
            {
                "damaged": True,
                "detections": [
                    {"label": "dent", "score": 0.9},
                    {"label": "dent", "score": 0.8},
                    {"label": "crack", "score": 0.7},
                ],
            },
            "damaged\n2 x dent, crack",
        ),
        ({"type": SEDAN, "yaw_degrees": 40.52, "region": {"x1": 0.0}}, "sedan 0.90\nyaw_degrees 40.52"),
        ({"recognised": True, "best": BEST, "candidates": [BEST, BEST]}, "recognised\nAudi TTS Coupe 2012 0.71"),
        ({"vehicles": [{"type": "car", "score": 0.9}, {"type": "bus", "score": 0.8}]}, "car, bus"),
        ({"note": "x" * 41, "mean": None}, "-"),
    ],
)
def test_summary(result: dict[str, Any] | None, told: str) -> None:
    assert summary(result) == told
