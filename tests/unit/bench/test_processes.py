"""A server's processes are found by their mark, wherever they moved, and none is left when it is stopped."""

import os
import subprocess
import sys
import time
import uuid

import pytest

from tests.bench.compare import processes
from tests.bench.compare.servers import stop

pytestmark = pytest.mark.skipif(not sys.platform.startswith("linux"), reason="reads /proc")

# A child in a session of its own, which ignores SIGTERM, and whose parent may end before it.
STUBBORN = """
import signal, subprocess, sys, time
child = "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); print('up', flush=True); time.sleep(600)"
subprocess.Popen([sys.executable, "-c", child], start_new_session=True)
time.sleep(600)
"""


def test_a_child_that_left_its_session_is_found_and_stopped() -> None:
    mark = uuid.uuid4().hex
    command = [sys.executable, "-c", STUBBORN]
    with subprocess.Popen(command, env={**os.environ, processes.MARK: mark}, stdout=subprocess.PIPE) as process:
        assert process.stdout
        assert process.stdout.readline() == b"up\n"
        found = processes.members(mark)
        assert len(found) == 2
        assert process.pid in found
        assert processes.memory_mib(found) > 1
        assert processes.cpu_seconds(found) >= 0
        began = time.monotonic()
        stop(process, mark, patience_s=1.0)
        assert time.monotonic() - began < 10
        assert not processes.members(mark)


def test_nobody_has_a_mark_that_was_not_given() -> None:
    assert not processes.members(uuid.uuid4().hex)


def test_cpu_time_is_what_was_used() -> None:
    before = processes.cpu_seconds([os.getpid()])
    until = time.process_time() + 0.2
    while time.process_time() < until:
        pass
    assert processes.cpu_seconds([os.getpid()]) - before == pytest.approx(0.2, abs=0.1)
