"""What the fault tests share: one service with the probe, which every test finds and leaves in good health."""

import sys
from collections.abc import Iterator

import pytest

from tests.faults.process import Service, serving, until


@pytest.fixture(scope="session", autouse=True)
def linux() -> None:
    if sys.platform != "linux":
        pytest.skip("processes are looked at through /proc")


@pytest.fixture(scope="session")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    with serving(
        tmp_path_factory.mktemp("faults"), queue_limit=40, header_timeout_s=2, body_timeout_s=2, answer_timeout_s=2
    ) as service:
        yield service


@pytest.fixture
def service(shared: Service) -> Iterator[Service]:
    """The shared service, which nothing that a test does to it may have harmed when the test ends."""
    shared.control.forget()
    yield shared
    until(shared.ready, "the service is ready after the test")
    until(lambda: shared.in_flight() == 0 and shared.waiting() == 0, "the gauges are back at zero")
