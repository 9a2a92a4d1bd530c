"""Weights of what a client accepts, and the language that meets them best."""

import pytest

from app.accept import language, media_type, weighted

OFFERED = ("en", "de", "pt-br")
KINDS = ("image/jpeg", "image/webp", "image/png")


def test_values_with_their_weights() -> None:
    assert weighted("a/b, C;q=0.5 ;x=y,d;level=1;q=0") == [("a/b", 1.0), ("c", 0.5), ("d", 0.0)]
    assert weighted("") == weighted(" , ,") == []


@pytest.mark.parametrize("weight", ["q=x", "q=", "q=nan", "q=inf", "q=-1", "q=1.1"])
def test_a_weight_that_is_none_counts_for_nothing(weight: str) -> None:
    assert weighted(f"a;{weight}") == [("a", 0.0)]


@pytest.mark.parametrize(
    ("header", "told"),
    [
        ("", "en"),
        ("de", "de"),
        ("DE", "de"),
        ("de-CH, en;q=0.8", "de"),
        ("de-Latn-AT-1996", "de"),
        ("en-US,en;q=0.9,de;q=0.8", "en"),
        ("fr, de;q=0.3, en;q=0.2", "de"),
        ("fr-FR", "en"),
        ("fr, *;q=0.5, de;q=0.1", "en"),
        ("*", "en"),
        ("de;q=0", "en"),
        ("de;q=bad", "en"),
        ("pt-BR", "pt-br"),
        ("pt", "en"),
        ("deu", "en"),
        ("de-", "de"),
        (";;q=,,-", "en"),
        ("en;q=0.5, de;q=0.5", "en"),
    ],
)
def test_the_language_that_is_met(header: str, told: str) -> None:
    assert language(header, OFFERED) == told


@pytest.mark.parametrize(
    ("accept", "kind"),
    [
        ("", "image/jpeg"),
        ("*/*", "image/jpeg"),
        ("image/*", "image/jpeg"),
        ("image/png", "image/png"),
        ("IMAGE/WebP", "image/webp"),
        ("text/plain", "image/jpeg"),
        ("image/avif", "image/jpeg"),
        ("image/png;q=0.5, image/webp;q=0.9", "image/webp"),
        ("image/*, image/jpeg;q=0.1, image/webp;q=0", "image/png"),
        ("*/*;q=0.1, image/png;q=0.2", "image/png"),
        ("image/jpeg;q=0, */*", "image/webp"),
        ("*/*;q=0", "image/jpeg"),
        ("image/png;q=nonsense, image/webp;q=0.1", "image/webp"),
        ("image/png;q=nan", "image/jpeg"),
        ("image/png;level=1;q=1.0, image/jpeg;q=0.9", "image/png"),
        (";;,,=", "image/jpeg"),
    ],
)
def test_accept_is_weighed(accept: str, kind: str) -> None:
    assert media_type(accept, KINDS) == kind
