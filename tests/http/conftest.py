"""What tests over HTTP share."""

import pytest

from models.photo import Header, Photo, decode


@pytest.fixture
def decoded(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """The scale of every decode from now on, in order."""
    scales: list[float] = []

    def counted(data: bytes, header: Header, scale: float) -> Photo:
        scales.append(scale)
        return decode(data, header, scale)

    monkeypatch.setattr("app.pipeline.decode", counted)
    return scales
