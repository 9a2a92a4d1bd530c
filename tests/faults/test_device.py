"""A device that hangs, whose thread dies, that never gets warm; and the start, while nothing is loaded yet."""

import signal
from pathlib import Path

import pytest

from tests.faults.control import GO, PATIENCE_S, Control
from tests.faults.crowd import busy, crowd, grey, queued, together
from tests.faults.process import serving, started, until
from tests.gateway import problem


def test_a_device_that_hangs_is_told_and_missed_until_it_is_back(tmp_path: Path) -> None:
    with serving(tmp_path, stuck_s=1) as service, crowd(service, 4) as post:
        with service.control.hold():
            late = [post(grey(number), headers={"X-Deadline-Ms": "5000"}) for number in (41, 42, 43)]
            until(lambda: not service.ready(), "the service is not ready")
            assert service.get("/health/ready").json()["detail"].startswith("The device hangs")
            assert service.get("/health/live").status_code == 200
            refused = service.post(grey(44))  # answered while the device hangs
            assert problem(refused) == (503, "not_ready")
            assert [problem(one.result(60)) for one in late] == [(504, "deadline_exceeded")] * 3
            assert not service.ready()
            assert service.waiting() == 0
        until(service.ready, "the device is back")
        # The estimate still has the time that it took, so for some seconds few are let in.
        until(lambda: service.post(grey(45)).status_code == 200, "photos are answered again")
        assert 44 not in service.control.computed


def test_a_device_that_hangs_does_not_keep_the_process_from_ending(tmp_path: Path) -> None:
    with serving(tmp_path, grace_s=1) as service, crowd(service, 2) as post, busy(service, post) as held:
        waiting = post(grey(42))
        queued(service, 1)
        service.process.send_signal(signal.SIGTERM)
        assert [problem(one.result(60)) for one in (held, waiting)] == [(503, "shutting_down")] * 2
        assert service.process.wait(PATIENCE_S) == 0


def test_a_device_thread_that_dies_ends_the_process_and_leaves_nobody_waiting(tmp_path: Path) -> None:
    with serving(tmp_path) as service, crowd(service, 4) as post:
        service.control.policy = lambda told: "die" if 13 in told.numbers else GO
        with service.control.hold():
            doomed = post(grey(13))
            service.control.until(lambda: service.control.runs == [[13]], "the photo is on the device")
            waiting = [post(grey(number)) for number in (41, 42, 43)]
            queued(service, 3)
        assert [problem(one.result(60)) for one in (doomed, *waiting)] == [(503, "not_ready")] * 4
        assert service.process.wait(PATIENCE_S) == 1
        assert "the thread of device cpu died" in service.log.read_text()


@pytest.mark.parametrize(("what", "how"), [("load", "raise"), ("load", "die"), ("run", "raise")])
def test_a_predictor_that_does_not_load_or_warm_is_named(tmp_path: Path, what: str, how: str) -> None:
    control = Control()
    control.policy = lambda told: how if told.what == what else GO
    with started(tmp_path, control, {}) as service:
        until(lambda: "failed" in service.get("/health/ready").text, "the failure is told")
        response = service.get("/health/ready")
        assert problem(response) == (503, "not_ready")
        assert response.json()["predictors"] == {"probe": "failed"}
        assert "probe (failed)" in response.json()["detail"]
        assert service.get("/health/live").status_code == 200
        assert problem(service.post(grey(41))) == (503, "not_ready")
        assert control.computed == []
        assert "was told to" in service.log.read_text()


def test_however_many_ask_before_it_is_loaded_it_is_loaded_once(tmp_path: Path) -> None:
    control = Control()
    with control.hold(), started(tmp_path, control, {}) as service:
        control.until(lambda: control.loads == 1, "it loads")
        early = together(lambda number: service.post(grey(41 + number)), 20)
        assert [problem(one) for one in early] == [(503, "not_ready")] * 20
        assert all(int(one.headers["retry-after"]) >= 1 for one in early)
        assert early[0].json()["predictors"] == {"probe": "loading"}
        control.release()
        until(service.ready, "the service is ready")
        later = together(lambda number: service.post(grey(41 + number)), 20)
        assert [one.json()["result"]["mean"] for one in later] == list(range(41, 61))
        assert control.loads == 1
