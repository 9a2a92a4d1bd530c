"""What a client would rather have: the values of `Accept` and `Accept-Language` with their weights (RFC 9110)."""

from collections.abc import Sequence
from typing import TypeVar

Kind = TypeVar("Kind", bound=str)


def weighted(header: str) -> list[tuple[str, float]]:
    """The values of the header in lower case with their weights, 0 to 1, in their order; 0 where a weight is none."""
    return [_weighted(part) for part in header.split(",") if part.strip()]


def _weighted(text: str) -> tuple[str, float]:
    value, *parameters = (part.strip().lower() for part in text.split(";"))
    quality = next((number for key, _, number in (p.partition("=") for p in parameters) if key.strip() == "q"), "1")
    try:
        number = float(quality)
    except ValueError:
        number = 0.0
    return value, number if 0.0 <= number <= 1.0 else 0.0


def media_type(header: str, offered: Sequence[Kind]) -> Kind:
    """The media type of `offered` to answer in: the one of the highest weight, the first of equals, and the first of
    all where the header wants none of them."""
    wanted = weighted(header)
    best, best_quality = offered[0], 0.0
    for kind in offered:
        family = f"{kind.partition('/')[0]}/*"
        # the most specific range that covers the kind decides, not the kindest
        fitting = [(len(pattern), quality) for pattern, quality in wanted if pattern in (kind, family, "*/*")]
        exact = [quality for pattern, quality in wanted if pattern == kind]
        quality = max(exact) if exact else max(fitting, default=(0, 0.0))[1]
        if quality > best_quality:
            best, best_quality = kind, quality
    return best


def language(header: str, offered: Sequence[str]) -> str:
    """The language of `offered` to answer in, the first of them where the header wants none of them: the one of the
    highest weight, by look-up (RFC 4647): `de-CH` is met by `de`."""
    for value, quality in sorted(weighted(header), key=lambda one: -one[1]):
        if quality <= 0:
            break
        words = value.split("-")
        for count in range(len(words), 0, -1):
            if (tag := "-".join(words[:count])) in offered:
                return tag
        if value == "*":
            break
    return offered[0]
