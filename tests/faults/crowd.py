"""Photos that tell themselves apart by their grey, and many clients at once."""

import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from typing import TypeVar

import httpx

from tests.fakes import photo
from tests.faults.process import Service, until

T = TypeVar("T")


def grey(number: int) -> bytes:
    """A photo whose mean is `number`, 1 to 255; nothing of it is lost in a PNG."""
    return photo(16, 12, "PNG", (number, number, number))


@contextmanager
def crowd(service: Service, size: int) -> Iterator[Callable[..., "Future[httpx.Response]"]]:
    """A function that posts a photo from a thread of its own."""
    with ThreadPoolExecutor(size) as pool:
        yield lambda data, **given: pool.submit(service.post, data, **given)


@contextmanager
def busy(service: Service, post: Callable[..., "Future[httpx.Response]"]) -> Iterator["Future[httpx.Response]"]:
    """The device holds one photo, whose answer comes after the end; whatever is sent meanwhile waits."""
    before = len(service.control.runs)
    with service.control.hold():
        first = post(grey(255))
        service.control.until(lambda: len(service.control.runs) > before, "the first photo is on the device")
        yield first


def queued(service: Service, count: int) -> None:
    until(lambda: service.waiting() == count, f"{count} photos wait")


def together(work: Callable[[int], T], count: int) -> list[T]:
    """`work` with every number, all at the same moment."""
    barrier = threading.Barrier(count)

    def one(number: int) -> T:
        barrier.wait(60)
        return work(number)

    with ThreadPoolExecutor(count) as pool:
        return list(pool.map(one, range(count)))


def means(answers: Sequence["Future[httpx.Response]"]) -> list[float]:
    """What the answers say; every one must be an answer."""
    responses = [answer.result(60) for answer in answers]
    assert [response.status_code for response in responses] == [200] * len(responses), responses[0].text
    return [response.json()["result"]["mean"] for response in responses]
