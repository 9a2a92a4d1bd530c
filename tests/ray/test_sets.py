"""Sets of photos on a cluster: the same answers as here, across the death of a node and of who ordered them."""

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

import pytest

from app.sets.folder import Folder
from app.sets.order import Order, Shard, shards
from app.sets.worker import Stopped, Worker
from app.settings import Settings
from tests.fakes import photo
from tests.ray.conftest import Nodes
from tests.ray.fakes import DEADLY, Remote
from tests.unit.app.sets.drawn import write

pytest.importorskip("ray", reason='needs pip install "carlens[ray]"')
pytestmark = [pytest.mark.ray, pytest.mark.filterwarnings("ignore")]

COMMAND = (sys.executable, "-c", "from app.cli import main; main()", "predict")
PATIENCE_S = 120


def ordered(weights: str = "sha256:000000000001") -> Order:
    """Each actor takes a whole node."""
    settings = Settings(engine="ray", device="cpu", predictors=["brightness"], replica_cpus="2")
    return Order(settings, ["brightness"], {"brightness": weights}, "en")


def answered(order: Order, cut: list[Shard]) -> Iterator[tuple[Shard, bytes]]:
    from app.sets import on_ray  # it warns where it is imported

    return on_ray.answered(order, cut)


def until(what: Callable[[], bool]) -> None:
    deadline = time.monotonic() + PATIENCE_S
    while not what():
        assert time.monotonic() < deadline, "it never came"
        time.sleep(0.02)


@pytest.fixture
def cut(tmp_path: Path) -> list[Shard]:
    """Twelve shards of three photos."""
    return list(shards([str(path) for path in write(tmp_path / "set", 36)], 3))


@pytest.fixture
def here(nodes: Nodes, cut: list[Shard]) -> dict[int, bytes]:
    """What this process answers."""
    with closing(Worker(ordered(), {"brightness": Remote()})) as worker:
        told = {shard.number: part for shard, part in worker.answered(cut)}
    nodes.remove("runs")
    return told


def test_a_cluster_gives_what_one_process_gives(nodes: Nodes, cut: list[Shard], here: dict[int, bytes]) -> None:
    nodes.has(2)
    told = [(shard.number, part) for shard, part in answered(ordered(), cut)]
    assert len(told) == len(cut)
    assert dict(told) == here
    assert len({process for process, _ in nodes.runs()}) == 2


def test_a_node_that_dies_costs_no_photo(nodes: Nodes, cut: list[Shard], here: dict[int, bytes]) -> None:
    nodes.has(2)
    nodes.write("hold")
    told: list[tuple[int, bytes]] = []

    def go() -> None:
        told.extend((shard.number, part) for shard, part in answered(ordered(), cut))

    thread = threading.Thread(target=go)
    thread.start()
    until(lambda: nodes.there("held") and bool((nodes.folder / "held").read_text()))
    process = int((nodes.folder / "held").read_text())
    nodes.kill(nodes.host(process))
    until(lambda: not Path(f"/proc/{process}").exists())
    nodes.remove("hold")
    thread.join(PATIENCE_S)
    assert sorted(number for number, _ in told) == [shard.number for shard in cut]
    assert dict(told) == here


def test_who_ordered_it_is_killed_and_goes_on(nodes: Nodes, tmp_path: Path) -> None:
    nodes.has(1)
    write(tmp_path / "set", 36)
    environment = {**os.environ, "RAY_ADDRESS": nodes.cluster.address, "CARLENS_DEVICE": "cpu"}
    given = ["set", "--task", "brightness", "--shard", "3"]

    def start(out: str, *more: str) -> "subprocess.Popen[bytes]":
        return subprocess.Popen([*COMMAND, *given, "--out", out, *more], cwd=tmp_path, env=environment)

    parts = tmp_path / "out" / "answers"
    with start("out", "--engine", "ray") as killed:
        until(lambda: parts.is_dir() and len(list(parts.glob("part-*.parquet"))) > 1)
        nodes.write("hold")
        until(lambda: nodes.there("held"))
        killed.send_signal(signal.SIGKILL)
    nodes.remove("hold")
    before = {path.name: path.read_bytes() for path in parts.glob("part-*.parquet")}
    assert 1 < len(before) < 12
    for out, more in (("out", ["--engine", "ray"]), ("here", [])):
        with start(out, *more) as process:
            assert process.wait(PATIENCE_S) == 0
    after = {path.name: path.read_bytes() for path in parts.iterdir()}
    assert after == {path.name: path.read_bytes() for path in (tmp_path / "here" / "answers").iterdir()}
    assert {name: after[name] for name in before} == before
    files = [row["file"] for row in Folder(tmp_path / "out").rows(12, ["file"])]
    assert files == sorted(str(path) for path in (tmp_path / "set").iterdir())


def test_a_photo_that_kills_whoever_reads_it_ends_the_run(nodes: Nodes, cut: list[Shard]) -> None:
    nodes.has(1)
    Path(cut[6].names[0]).write_bytes(photo(16, 12, "PNG", DEADLY))
    told: list[int] = []

    def go() -> Iterator[int]:
        for shard, _ in answered(ordered(), cut):
            yield shard.number

    with pytest.raises(Stopped, match="processes that answer photos die"):
        told.extend(go())
    assert 6 not in told


def test_a_node_with_other_weights_says_so(nodes: Nodes, cut: list[Shard]) -> None:
    nodes.has(1)
    with pytest.raises(
        Stopped, match=r"^brightness: this node has the weights sha256:000000000001.*put the same files on every node$"
    ):
        list(answered(ordered("sha256:000000000002"), cut))
