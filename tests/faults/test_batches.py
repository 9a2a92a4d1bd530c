"""What goes wrong with one photo, or with one batch, and what becomes of those beside it."""

import json
from concurrent.futures import Future
from pathlib import Path

import httpx
import pytest

from tests.faults.control import GO
from tests.faults.crowd import busy, crowd, grey, means, queued
from tests.faults.process import Service, serving
from tests.gateway import problem

BAD = 13


def test_a_bad_photo_in_a_batch_of_eight_costs_its_neighbours_nothing(service: Service) -> None:
    """Twenty rounds, 140 good photos: in the even ones the model fails on the eighth, in the odd it is no photo."""
    control = service.control
    alone = {number: service.post(grey(number)).json()["result"] for number in range(20, 160)}
    control.policy = lambda told: "raise" if BAD in told.numbers else GO
    right = 0
    with crowd(service, 9) as post:
        for start in range(20):
            numbers = range(20 + 7 * start, 27 + 7 * start)
            broken = start % 2 == 1
            control.told.clear()
            with busy(service, post) as first:
                good = [post(grey(number)) for number in numbers]
                bad = post(b"no photo" if broken else grey(BAD))
                queued(service, 7 if broken else 8)
            assert means([first]) == [255]
            told = (415, "unsupported_media_type") if broken else (500, "prediction_failed")
            assert problem(bad.result(60)) == told
            answers = [answer.result(60) for answer in good]
            if not broken:
                control.until(lambda: control.proofs > 0, "a drawn photo is sent after the one that failed")
            assert sorted(control.runs[1]) == sorted([*numbers] if broken else [*numbers, BAD])
            right += sum(
                one.status_code == 200 and one.json()["result"] == alone[number]
                for one, number in zip(answers, numbers, strict=True)
            )
    assert right == 140


def test_a_predictor_that_raises_once_costs_one_photo_or_none(service: Service) -> None:
    failures = ["raise"]
    service.control.policy = lambda told: failures.pop() if failures and told.numbers else GO
    assert problem(service.post(grey(40))) == (500, "prediction_failed")
    assert service.post(grey(40)).status_code == 200
    with crowd(service, 5) as post:
        with busy(service, post):
            answers = [post(grey(number)) for number in (41, 42, 43, 44)]
            queued(service, 4)
            failures.append("raise")
        assert means(answers) == [41, 42, 43, 44]
    assert service.ready()


def test_a_batch_too_large_for_the_memory_is_halved_for_good(tmp_path: Path) -> None:
    with serving(tmp_path) as service:
        assert halved(service, "memory") == [8, 4, 2, 2, 4, 2, 2]
        assert halved(service, "memory") == [2, 2, 2, 2]


def test_memory_that_is_out_by_another_name_costs_no_photo(service: Service) -> None:
    assert halved(service, "torch-memory") == [8, 4, 2, 2, 4, 2, 2]


def halved(service: Service, order: str) -> list[int]:
    """The sizes of the runs of eight photos, each answered right, where more than two at a time are too many."""
    control = service.control
    control.forget()
    control.policy = lambda told: order if len(told.numbers) > 2 else GO
    numbers = list(range(50, 58))
    with crowd(service, 9) as post:
        with busy(service, post):
            answers = [post(grey(number)) for number in numbers]
            queued(service, 8)
        assert means(answers) == numbers
    return [len(run) for run in control.runs[1:]]


def test_a_photo_too_large_for_the_memory_alone_fails_alone(service: Service) -> None:
    service.control.policy = lambda told: "memory" if BAD in told.numbers else GO
    assert problem(service.post(grey(BAD))) == (500, "prediction_failed")
    assert service.post(grey(40)).json()["result"]["mean"] == 40
    assert service.ready()


@pytest.mark.parametrize("order", ["nan", "inf"])
def test_what_is_no_number_is_a_problem_and_nothing_else(service: Service, order: str) -> None:
    service.control.policy = lambda told: order if BAD in told.numbers else GO
    response = service.post(grey(BAD))
    assert problem(response) == (500, "prediction_failed")
    json.loads(response.text, parse_constant=lambda name: pytest.fail(f"{name} is no JSON"))
    assert "traceback" not in response.text.lower()
    assert service.post(grey(40)).json()["result"]["mean"] == 40


def test_what_exceeds_the_queue_is_refused_and_nothing_else(service: Service) -> None:
    """The shared service lets 40 wait."""
    with crowd(service, 60) as post:
        with busy(service, post) as first:
            waiting: list[Future[httpx.Response]] = []
            for count in range(1, 41):
                waiting.append(post(grey(50 + count)))
                queued(service, count)  # one after the other, so that there is an order to be kept
            refused = [post(grey(200)).result(60) for _ in range(15)]  # answered while the device is held
            assert [problem(one) for one in refused] == [(503, "overloaded")] * 15
            assert all(int(one.headers["retry-after"]) >= 1 for one in refused)
            assert service.waiting() == 40
        assert means([first, *waiting]) == [255, *range(51, 91)]
    assert service.control.computed == [255, *range(51, 91)]


def quickened(service: Service) -> None:
    """Photos held on the device by earlier tests made it seem slow, and short deadlines would be refused."""
    for _ in range(30):
        assert service.post(grey(30)).status_code == 200
    service.control.forget()


def test_a_deadline_that_passes_in_the_queue_keeps_the_photo_from_the_model(service: Service) -> None:
    quickened(service)
    with crowd(service, 4) as post:
        with busy(service, post) as first:
            late = [post(grey(number), headers={"X-Deadline-Ms": "700"}) for number in (61, 62)]
            patient = post(grey(63))
            assert [problem(one.result(60)) for one in late] == [(504, "deadline_exceeded")] * 2
            queued(service, 1)
        assert means([first, patient]) == [255, 63]
    assert service.control.computed == [255, 63]


def test_a_deadline_that_passes_on_the_device_is_told_at_once(service: Service) -> None:
    quickened(service)
    with service.control.hold():
        response = service.post(grey(64), headers={"X-Deadline-Ms": "700"})  # answered while the device is held
        assert problem(response) == (504, "deadline_exceeded")
    assert service.control.computed == [64]
    assert service.post(grey(65)).json()["result"]["mean"] == 65
