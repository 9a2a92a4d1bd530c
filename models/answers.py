"""Pieces that several predictors' answers share: boxes, masks, regions, scored labels."""

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field

from models.photo import Region


class Box(BaseModel):
    """A rectangle in the photo's own pixels, upright; x to the right, y down."""

    x1: float
    y1: float
    x2: float
    y2: float

    @classmethod
    def of(cls, region: Region) -> "Box":
        """The rectangle of a `Region`, to a tenth of a pixel."""
        return cls(**{name: round(float(getattr(region, name)), 1) for name in ("x1", "y1", "x2", "y2")})


class PolygonMask(BaseModel):
    """Outlines in the photo's own pixels, each `[x, y, x, y, …]`, closed by itself."""

    polygons: list[list[float]]


class RleMask(BaseModel):
    """COCO's compressed run-length code; `size` is `[height, width]` of the photo."""

    size: list[int]
    counts: str


class RegionRead(BaseModel):
    """The part of the photo that was read, in its own pixels."""

    model_config = ConfigDict(json_schema_serialization_defaults_required=True)

    x1: float
    y1: float
    x2: float
    y2: float
    source: str = Field(
        description="Who named it: `box` (the caller), `vehicle` (found in the photo) or `whole` (all of the photo)"
    )
    score: float | None = Field(default=None, description="How sure it is that a vehicle is there, 0 to 1")
    fallback: bool = Field(
        default=False, description="All of the photo was read only because finding the vehicle failed"
    )

    @classmethod
    def of(cls, region: Region) -> "RegionRead":
        """The answer for a `Region`."""
        return cls(**dict(Box.of(region)), source=region.source, score=region.score, fallback=region.fallback)

    def corners(self) -> tuple[float, float, float, float] | None:
        """x1, y1, x2, y2; None where that is the whole photo."""
        return None if self.source == "whole" else (self.x1, self.y1, self.x2, self.y2)


class Scored(BaseModel):
    """The best label of a head, and every label's share; shares add up to 1."""

    label: str
    score: float = Field(description="Calibrated probability, 0 to 1")
    scores: dict[str, float]

    @classmethod
    def of(cls, labels: Sequence[str], probabilities: NDArray[np.float64]) -> "Scored":
        """The answer for one head's probabilities, in the order of `labels`."""
        best = int(probabilities.argmax())
        scores: Mapping[str, float] = {name: round(float(p), 4) for name, p in zip(labels, probabilities, strict=True)}
        return cls(label=labels[best], score=scores[labels[best]], scores=dict(scores))


def finite(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """The same. Raises `ValueError` where a network gave something that is no number: compared with a threshold it
    would pass for nothing seen."""
    if not np.isfinite(values).all():
        raise ValueError("what the network gave for this photo are no finite numbers")
    return values


def softmax(logits: NDArray[np.generic], temperature: float = 1.0) -> NDArray[np.float64]:
    """Probabilities over the last axis after division by `temperature` (Guo et al. 2017, arXiv:1706.04599). Raises
    `ValueError` where the logits give none."""
    scaled = logits.astype(np.float64) / temperature
    powers = np.exp(scaled - scaled.max(axis=-1, keepdims=True))
    shares: NDArray[np.float64] = powers / powers.sum(axis=-1, keepdims=True)
    return finite(shares)
